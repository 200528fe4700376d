#include "rules/json_edit.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sluice::rules {
namespace {

std::vector<std::string> steps_of(std::string_view pointer) {
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

// RFC 6901 §4: no leading zeros.
std::optional<std::size_t> index_of(std::string_view step, std::size_t size) {
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
  const auto index = index_of(step, parent.size());
  return index ? &parent[*index] : nullptr;
}

// Whether set() can go all the way: an edit that cannot be made to its end leaves no trace.
bool can_set(Json& document, const std::vector<std::string>& steps) {
  Json* at = &document;
  for (const std::string& step : steps) {
    if (at->is_null() || (at->is_array() && step == "-")) return true;  // from here on all is new
    Json* child = child_of(*at, step);
    if (!child) return at->is_object();
    at = child;
  }
  return true;
}

bool set(Json& document, const JsonEdit& edit) {
  const std::vector<std::string> steps = steps_of(edit.pointer);
  if (!can_set(document, steps)) return false;
  Json* at = &document;
  bool made = false;
  for (const std::string& step : steps) {
    if (at->is_null()) *at = Json::object();
    Json* child = child_of(*at, step);
    made |= !child;
    if (!child && at->is_array()) {
      at->push_back(Json());
      child = &at->back();
    }
    at = child ? child : &(*at)[step];
  }
  if (!made && *at == edit.value) return false;
  *at = edit.value;
  return true;
}

bool remove(Json& document, const JsonEdit& edit) {
  std::vector<std::string> steps = steps_of(edit.pointer);
  if (steps.empty()) return false;  // a document cannot be nothing
  const std::string last = std::move(steps.back());
  steps.pop_back();
  Json* at = &document;
  for (const std::string& step : steps) {
    at = child_of(*at, step);
    if (!at) return false;
  }
  if (at->is_object()) return at->erase(last) > 0;
  if (!at->is_array()) return false;
  const auto index = index_of(last, at->size());
  if (index) at->erase(*index);
  return index.has_value();
}

}  // namespace

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

Result<bool> edit_json(const std::vector<JsonEdit>& edits, std::string& text, ByteCount most) {
  if (edits.empty()) return false;
  auto document = parse_json(text, {.max_members = 1'000'000, .refuse_duplicate_keys = false});
  if (!document) return false;
  bool changed = false;
  for (const JsonEdit& edit : edits) {
    changed |= edit.op == JsonEdit::Op::kSet ? set(*document, edit) : remove(*document, edit);
  }
  if (!changed) return false;
  const bool indented = text.find('\n') != std::string::npos;
  std::string written = dump_json(*document, indented ? JsonStyle::kIndented : JsonStyle::kCompact);
  if (written.size() > most) return fail(Code::kTooLarge, "the edited JSON is too large");
  text = std::move(written);
  return true;
}

}  // namespace sluice::rules
