#include "base/json_pointer.h"

#include <algorithm>
#include <charconv>

namespace sluice {

Status check_pointer(std::string_view pointer) {
  if (!pointer.empty() && pointer[0] != '/') return fail(Code::kInvalid, "a JSON pointer begins with / (RFC 6901)");
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] != '~') continue;
    if (i + 1 == pointer.size() || (pointer[i + 1] != '0' && pointer[i + 1] != '1')) {
      return fail(Code::kInvalid, "in a JSON pointer ~ is written ~0 and / in a name ~1 (RFC 6901)");
    }
  }
  return {};
}

std::vector<std::string> pointer_steps(std::string_view pointer) {
  std::vector<std::string> steps;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);  // the slash
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    std::string step;
    for (std::size_t i = 0; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end) {
        step += pointer[++i] == '1' ? '/' : '~';
      } else {
        step += pointer[i];
      }
    }
    steps.push_back(std::move(step));
    pointer.remove_prefix(end);
  }
  return steps;
}

std::string pointer_segment(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// RFC 6901 §4: no leading zeros.
std::optional<std::size_t> pointer_index(std::string_view step, std::size_t size) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error != std::errc() || end != step.data() + step.size()) return std::nullopt;
  if ((step.size() > 1 && step[0] == '0') || index >= size) return std::nullopt;
  return index;
}

Json* child_of(Json& parent, const std::string& step) {
  if (parent.is_object()) {
    const auto found = parent.find(step);
    return found == parent.end() ? nullptr : &*found;
  }
  if (!parent.is_array()) return nullptr;
  const auto index = pointer_index(step, parent.size());
  return index ? &parent[*index] : nullptr;
}

const Json* find_pointer(const Json& document, std::string_view pointer) {
  Json* at = const_cast<Json*>(&document);  // child_of() changes nothing
  for (const std::string& step : pointer_steps(pointer)) {
    at = child_of(*at, step);
    if (!at) return nullptr;
  }
  return at;
}

}  // namespace sluice
