#include "tools/mitm_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::tools {

Result<std::string> CallerValues::put(std::string_view text, analysis::VariablePlace place, analysis::Given given) {
  analysis::SubstituteOptions options{.place = place, .given = given};
  if (handles_ && given == analysis::Given::kByCaller) {
    SLUICE_TRY(options.stretches, handles_->find(text, variables_));
  }
  SLUICE_TRY(analysis::Substituted made, analysis::substitute(text, variables_, options));
  for (std::string& name : made.unresolved) {
    if (given == analysis::Given::kCaptured) continue;  // most likely it means something else there
    if (std::find(unresolved_.begin(), unresolved_.end(), name) == unresolved_.end())
      unresolved_.push_back(std::move(name));
  }
  return std::move(made.text);
}

Status read_headers_json(const std::string& text, CallerValues& values, replay::Overrides& overrides) {
  const auto given = parse_json(text);
  if (!given || !given->is_object()) {
    return fail(Code::kInvalid, "headers_json is no JSON object of header names and values.");
  }
  for (const auto& [name, value] : given->items()) {
    if (value.is_null()) {
      overrides.fields.emplace_back(name, std::nullopt);
    } else if (value.is_string()) {
      SLUICE_TRY(std::string made, values.put(value.get<std::string>(), analysis::VariablePlace::kHeader));
      overrides.fields.emplace_back(name, std::move(made));
    } else if (value.is_number() || value.is_boolean()) {
      overrides.fields.emplace_back(name, dump_json(value));
    } else {
      return fail(Code::kInvalid, fmt::format("headers_json: the value of {} is no text.", repair_utf8(name)));
    }
  }
  return {};
}

}  // namespace sluice::tools
