#include "rules/json_edit.h"

#include <optional>

#include "base/json_pointer.h"

namespace sluice::rules {
namespace {

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
  const std::vector<std::string> steps = pointer_steps(edit.pointer);
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
  std::vector<std::string> steps = pointer_steps(edit.pointer);
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
  const auto index = pointer_index(last, at->size());
  if (index) at->erase(*index);
  return index.has_value();
}

}  // namespace

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
