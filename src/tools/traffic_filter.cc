#include "tools/traffic_filter.h"

#include "tools/subjects.h"

namespace sluice::tools {

void add_cursor_fields(std::vector<Field>& fields, std::string_view filter_meaning) {
  fields.push_back({.name = "filter", .meaning = filter_meaning});
  fields.push_back({.name = "state",
                    .type = FieldType::kStringArray,
                    .meaning = "Absent: all but open.",
                    .choices = {"open", "done", "failed", "aborted", "dropped"}});
  fields.push_back({.name = "after_rev",
                    .type = FieldType::kInteger,
                    .meaning = "What changed since, by rev; open ones too.",
                    .minimum = 0});
}

void read_cursor(const Json& arguments, capture::Filter& filter) {
  if (const auto rev = integer_argument(arguments, "after_rev")) filter.after_rev = static_cast<std::uint64_t>(*rev);
  const Json* states = find_member(arguments, "state");
  if (!states) return;
  for (const flow::State state :
       {flow::State::kOpen, flow::State::kDone, flow::State::kFailed, flow::State::kAborted, flow::State::kDropped}) {
    for (const Json& name : *states) {
      if (name == flow::to_string(state)) {
        filter.states.push_back(state);
        break;
      }
    }
  }
}

Result<std::optional<analysis::FilterExpression>> read_expression(const Json& arguments) {
  const std::string text = text_argument(arguments, "filter").value_or("");
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return std::nullopt;
  SLUICE_TRY(analysis::FilterExpression expression, analysis::FilterExpression::parse(text));
  return std::optional(std::move(expression));
}

analysis::FilterReading filter_reading(const CallContext& context) {
  return {.redactor = context.redactor, .stop = context.stop};
}

std::function<bool()> deadline_passed(CallContext& context) {
  if (!context.deadline) return {};
  return [&context] { return context.services->clock.mono() >= *context.deadline; };
}

}  // namespace sluice::tools
