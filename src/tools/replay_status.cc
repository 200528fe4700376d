// proxy_replay_status: replays that were begun with `background`.
#include <fmt/format.h>

#include <algorithm>

#include "tools/page.h"
#include "tools/replay_plan.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

Json state_json(const ReplayBoard::State& state) {
  Json json = {{"replayId", state.id}, {"sessionId", state.session_id},
               {"state", state.state}, {"startedAt", iso8601_ms(state.started)},
               {"done", state.done},   {"total", state.total}};
  if (!state.error.empty()) json["error"] = state.error;
  if (!state.result) return json;
  for (const char* name : {"executedCount", "successCount", "errorCount", "skippedCount", "sameCount"}) {
    json[name] = (*state.result)[name];
  }
  return json;
}

ToolResult replay_status(const Json& arguments, CallContext& context) {
  ReplayBoard& board = *context.services->replays;
  const auto id = text_argument(arguments, "replay_id");
  if (!id) {
    Json replays = Json::array();
    for (const auto& state : board.list(context.grant)) replays.push_back(state_json(state));
    return Json{{"replays", std::move(replays)}};
  }
  if (flag_argument(arguments, "cancel")) board.cancel(context.grant, *id);
  const auto state = board.find(context.grant, *id);
  if (!state) return fail(Code::kNotFound, fmt::format("There is no replay \"{}\" of yours.", id->substr(0, 60)));
  Json answer = {{"replays", Json::array({state_json(*state)})}};
  if (!state->result) return answer;
  const Json& items = (*state->result)["items"];
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  Page page;
  for (std::size_t i = offset; i < items.size() && page.size() < limit && page.add(items[i]); ++i) {
  }
  answer["itemCount"] = items.size();
  answer["offset"] = offset;
  const std::size_t next = offset + page.size();
  answer["items"] = page.take();
  if (next < items.size()) answer["nextOffset"] = next;
  return answer;
}

}  // namespace

Tool replay_status_tool() {
  return {.name = "proxy_replay_status",
          .title = "Replays in the background",
          .summary =
              "Replays in the background, and those whose answer was too long: how far they are, and with replay_id "
              "what came of each request.",
          .group = "sessions",
          .risk = Risk::kRead,
          .hints = kReturnsTraffic | kIdempotent,
          .fields = {{.name = "replay_id", .meaning = "Absent: all of yours, newest first."},
                     {.name = "cancel",
                      .type = FieldType::kBoolean,
                      .meaning = "End it. What was sent stays sent.",
                      .default_value = false},
                     item_limit_field(),
                     item_offset_field()},
          .result = {{"replays",
                      "object[]",
                      "",
                      false,
                      false,
                      {{"replayId", "string", ""},
                       {"sessionId", "string", ""},
                       {"state", "string", "running, done, cancelled, failed"},
                       {"startedAt", "string", ""},
                       {"done", "number", ""},
                       {"total", "number", ""},
                       {"error", "string", "", true},
                       {"executedCount", "number", "", true},
                       {"successCount", "number", "", true},
                       {"errorCount", "number", "", true},
                       {"skippedCount", "number", "", true},
                       {"sameCount", "number", "", true}}},
                     {"itemCount", "number", "in all, once it is over", true},
                     {"offset", "number", "", true},
                     {"items", "object[]", "as in proxy_replay_session, once it is over", true},
                     {"nextOffset", "number", "there are more", true}},
          .function = replay_status};
}

}  // namespace sluice::tools
