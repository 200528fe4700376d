#include "tools/traffic_filter.h"

#include "tools/subjects.h"

namespace sluice::tools {

void add_cursor_fields(std::vector<Field>& fields) {
  fields.push_back({.name = "state",
                    .type = FieldType::kStringArray,
                    .meaning = "Default: all but open.",
                    .choices = {"open", "done", "failed", "aborted", "dropped"}});
  fields.push_back({.name = "after_rev",
                    .type = FieldType::kInteger,
                    .meaning = "Only what changed since this rev, in order of rev, open ones too.",
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

}  // namespace sluice::tools
