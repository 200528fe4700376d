// Making recordings and looking after them: proxy_session_start, _stop, _status, _recover, proxy_list_sessions,
// proxy_get_session, proxy_delete_session. proxy.md (d), engine.md 10.
#include <fmt/format.h>

#include "tools/session_json.h"
#include "tools/status.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

Result<session::Store*> store_of(CallContext& context) {
  if (!context.services->sessions) return fail(Code::kUnavailable, "There are no recordings here.");
  return context.services->sessions;
}

ToolResult session_start(const Json& arguments, CallContext& context) {
  const proxy::EngineStatus status = context.services->engine.status();
  if (!status.running && !status.transparent.running) {
    return fail(Code::kConflict, "Proxy is not running. Start it first with proxy_start.");
  }
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  SLUICE_TRY(const auto started, start_recording(arguments, *sessions));
  Json answer = Json::object();
  if (started.was_active) answer["note"] = "A session is active already; this is the one.";
  answer["session"] = session::manifest_json(started.manifest);
  return answer;
}

ToolResult session_stop(const Json&, CallContext& context) {
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  SLUICE_TRY(const auto stopped, sessions->stop());
  return Json{{"session", stopped ? session::manifest_json(*stopped) : Json()}};
}

ToolResult session_status(const Json&, CallContext& context) {
  Json answer = persistence_json(*context.services);
  const auto active = context.services->sessions ? context.services->sessions->active() : std::nullopt;
  answer["onCap"] = active ? Json(session::to_string(active->on_cap)) : Json();
  answer["exchangeCount"] = active ? active->exchanges : 0;
  answer["droppedExchanges"] = active ? active->dropped_exchanges : 0;
  answer["bytesCut"] = active ? active->bytes_cut : 0;
  answer["unwrittenBytes"] = context.services->sessions ? context.services->sessions->unwritten() : 0;
  return answer;
}

ToolResult list_sessions(const Json& arguments, CallContext& context) {
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  SessionWindow window = kFirstSessions;
  window.offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  window.limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  return list_sessions_json(*sessions, window);
}

ToolResult get_session(const Json& arguments, CallContext& context) {
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  SLUICE_TRY(const session::Manifest manifest, sessions->get(*text_argument(arguments, "session_id")));
  return Json{{"session", session::manifest_json(manifest)}};
}

ToolResult delete_session(const Json& arguments, CallContext& context) {
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  const std::string id = *text_argument(arguments, "session_id");
  SLUICE_CHECK(sessions->remove(id));
  return Json{{"deleted", id}};
}

// One, or all that nobody writes. Of all, those that cannot be recovered are named and hold up no other.
ToolResult session_recover(const Json& arguments, CallContext& context) {
  SLUICE_TRY(session::Store* const sessions, store_of(context));
  Json recovered = Json::array(), failed = Json::array();
  if (const auto id = text_argument(arguments, "session_id")) {
    SLUICE_TRY(const auto report, sessions->recover(*id));
    recovered.push_back(report_json(report));
    return Json{{"recovered", std::move(recovered)}};
  }
  SLUICE_TRY(const auto all, sessions->list());
  for (const session::Manifest& one : all) {
    if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    if (one.active) continue;
    if (const auto report = sessions->recover(one.id)) {
      recovered.push_back(report_json(*report));
    } else {
      failed.push_back({{"sessionId", one.id}, {"error", report.error().message}});
    }
  }
  Json answer = {{"recovered", std::move(recovered)}};
  if (!failed.empty()) answer["failed"] = std::move(failed);
  return answer;
}

Field id_field() { return {.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true}; }

std::vector<ResultField> report_result() {
  return {{"sessionId", "string", ""},
          {"exchanges", "number", "that can be read"},
          {"droppedTailBytes", "number", "of writes that never finished; they stay where they are"},
          {"cutExchanges", "number", "whose end is not there"},
          {"segments", "number", ""},
          {"records", "number", "that are whole"},
          {"bytes", "number", "looked through"},
          {"damagedBytes", "number", "passed over"},
          {"damagedRanges", "number", ""},
          {"damaged", "object[]", "{segment, offset, length, torn, reason?}: the first hundred"},
          {"rebuiltManifest", "boolean", "it was lost"},
          {"encrypted", "boolean", ""},
          {"opened", "boolean", "false: without its key checksums alone were looked at"}};
}

Tool start_tool() {
  Tool tool = {
      .name = "proxy_session_start",
      .title = "Start recording",
      .summary =
          "Record to disk what is captured from now on, until proxy_session_stop: of bodies 64 KiB each (preview), "
          "or all (full). One at a time: with one active it answers that one and a note.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow,
      .fields = recording_fields(),
      .result = {{"note", "string", "", true}, {"session", "object", "", false, false, manifest_result()}},
      .function = session_start,
  };
  tool.fields.push_back({.name = "on_cap",
                         .meaning = "At the budget: record no more, or drop the oldest.",
                         .default_value = "stop",
                         .choices = {"stop", "drop_oldest"}});
  return tool;
}

Tool status_tool() {
  Tool tool = {
      .name = "proxy_session_status",
      .title = "Recording status",
      .summary = "Whether a recording is being made, how much of it is on disk, and what could not be kept.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kIdempotent,
      .result = persistence_result(),
      .function = session_status,
  };
  const std::vector<ResultField> more = {{"onCap", "string", "", false, true},
                                         {"exchangeCount", "number", "in its index"},
                                         {"droppedExchanges", "number", "that left with the oldest segments"},
                                         {"bytesCut", "number", "of bodies, lost; not what the profile leaves out"},
                                         {"unwrittenBytes", "number", "waiting for the disk"}};
  tool.result.insert(tool.result.end(), more.begin(), more.end());
  return tool;
}

Tool list_tool() {
  std::vector<ResultField> entry = manifest_result();
  entry.push_back({"diskUsageMb", "number", ""});
  return {
      .name = "proxy_list_sessions",
      .title = "Recordings",
      .summary = "All recordings of this home and of every storage_dir that was used, newest first.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kIdempotent,
      .fields = {{.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "Where to go on: nextOffset.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "At most so many; fewer where they are too long for an answer.",
                  .default_value = kFirstSessions.limit,
                  .minimum = 1,
                  .maximum = 1'000}},
      .result = {{"count", "number", "all there are"},
                 {"sessions", "object[]", "", false, false, std::move(entry)},
                 {"nextOffset", "number", "there are more", true},
                 {"missingRoots", "string[]", "folders of a storage_dir that cannot be opened now", true}},
      .function = list_sessions,
  };
}

}  // namespace

std::vector<Tool> session_tools() {
  Tool stop = {
      .name = "proxy_session_stop",
      .title = "Stop recording",
      .summary = "End the recording: all that was captured is written and can be read. The proxy goes on.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow | kIdempotent,
      .result = {{"session", "object", "null: none was active", false, true, manifest_result()}},
      .function = session_stop,
  };
  Tool get = {
      .name = "proxy_get_session",
      .title = "One recording",
      .summary = "What is known of one recording: when, how much, what could not be kept.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kIdempotent,
      .fields = {id_field()},
      .result = {{"session", "object", "", false, false, manifest_result()}},
      .function = get_session,
  };
  Tool remove = {
      .name = "proxy_delete_session",
      .title = "Delete a recording",
      .summary = "Delete one recording from disk. Not the active one, nor one that another process makes.",
      .group = "sessions",
      .risk = Risk::kDestructive,
      .hints = kSlow,
      .fields = {id_field()},
      .result = {{"deleted", "string", ""}},
      .function = delete_session,
  };
  Tool recover = {
      .name = "proxy_session_recover",
      .title = "Recover recordings",
      .summary =
          "Look through a recording's segments, pass over what is damaged, and make its index, and a lost "
          "manifest, again. Good data is never changed. Without session_id: all that nobody writes.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow | kIdempotent,
      .fields = {{.name = "session_id", .meaning = "Absent: all."}},
      .result = {{"recovered", "object[]", "", false, false, report_result()},
                 {"failed", "object[]", "{sessionId, error}", true}},
      .function = session_recover,
  };
  std::vector<Tool> tools = {start_tool(), std::move(stop), status_tool(),
                             list_tool(),  std::move(get),  import_har_tool()};
  for (Tool& tool : session_query_tools()) tools.push_back(std::move(tool));
  tools.push_back(replay_session_tool());
  tools.push_back(export_har_tool());
  tools.push_back(std::move(remove));
  tools.push_back(std::move(recover));
  return tools;
}

}  // namespace sluice::tools
