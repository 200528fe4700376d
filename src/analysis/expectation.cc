#include "analysis/expectation.h"

#include <fmt/format.h>

#include "analysis/flow_view.h"
#include "base/json_pointer.h"

namespace sluice::analysis {
namespace {

// A member's text as it is shown; only what is shown can be compared.
Json shown(const Json& value, std::string_view pointer, const Redactor* redactor) {
  if (!redactor || !value.is_string()) return value;
  const auto steps = pointer_steps(pointer);
  return redactor->mask_member(steps.empty() ? "" : steps.back(), value.get_ref<const std::string&>()).text;
}

bool holds(std::string_view shown, std::string_view wanted) {
  return without_masks(shown).find(wanted) != std::string::npos;
}

std::string why_unmet_in_body(const Expectation& expectation, const http::FieldList& fields, const std::string& content,
                              const Redactor* redactor) {
  if (!expectation.text.empty()) {
    const std::string text = redactor ? redactor->mask_body(content, media_type_of(fields)).text : content;
    if (!holds(text, expectation.text)) return "The expected text is not in the body.";
  }
  if (!expectation.pointer) return "";
  const auto json = parse_json(content, {.refuse_duplicate_keys = false});
  if (!json) return "The body is no JSON.";
  const Json* const at = find_pointer(*json, *expectation.pointer);
  if (!at) return "The body has no value at the expected place.";
  if (expectation.equals && shown(*at, *expectation.pointer, redactor) != *expectation.equals)
    return "The value at the expected place is another.";
  return "";
}

}  // namespace

std::string why_unmet(const Expectation& expectation, int status, const http::FieldList& fields,
                      const std::string& content, const Redactor* redactor) {
  if (expectation.status != 0 && status != expectation.status)
    return fmt::format("The status is {}, not {}.", status, expectation.status);
  if (!expectation.header.empty()) {
    const auto value = shown_field(fields, expectation.header, redactor);
    if (!value) return "The expected header field is not there.";
    if (!holds(*value, expectation.header_text)) return "The expected header field has another value.";
  }
  return why_unmet_in_body(expectation, fields, content, redactor);
}

}  // namespace sluice::analysis
