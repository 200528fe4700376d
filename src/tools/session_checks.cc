// Beyond the contract: proxy_session_checkpoint, proxy_session_verify_integrity, proxy_replay_verify.
#include <fmt/format.h>

#include <map>

#include "base/url.h"
#include "tools/replay_plan.h"
#include "tools/session_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostEndpoints = 200;
constexpr std::size_t kMostExamples = 3;

Result<session::Store*> store_of(const CallContext& context) {
  if (!context.services->sessions) return fail(Code::kUnavailable, "There are no recordings here.");
  return context.services->sessions;
}

ToolResult checkpoint(const Json&, CallContext& context) {
  SLUICE_TRY(session::Store * sessions, store_of(context));
  SLUICE_TRY(const session::Manifest manifest, sessions->checkpoint());
  return Json{{"sessionId", manifest.id},
              {"exchangeCount", manifest.exchanges},
              {"bytesWritten", manifest.bytes_written},
              {"at", iso8601_ms(context.services->clock.wall())}};
}

ToolResult verify_integrity(const Json& arguments, CallContext& context) {
  SLUICE_TRY(session::Store * sessions, store_of(context));
  SLUICE_TRY(const session::RecoveryReport report, sessions->verify(*text_argument(arguments, "session_id")));
  Json answer = {{"good", report.good()}, {"indexAgrees", report.index_agrees}};
  if (!report.opened) {
    answer["note"] = "Its key is not known (--sessions-key-file, SLUICE_SESSIONS_KEY): checksums alone were looked at.";
  }
  answer["report"] = report_json(report);
  return answer;
}

// --- proxy_replay_verify ---

struct Endpoint {
  std::size_t replayed = 0, same = 0, failed = 0, status = 0, headers = 0, body = 0;
  Json examples = Json::array();
};

std::string endpoint_of(const Json& item) {
  const std::string& url = item["originalUrl"].get_ref<const std::string&>();
  return item["method"].get<std::string>() + ' ' + url.substr(0, url.find('?'));
}

void count(Endpoint& endpoint, const Json& item) {
  ++endpoint.replayed;
  const Json* diff = find_member(item, "diff");
  if (item["status"] == "error") {
    ++endpoint.failed;
  } else if (!diff || (*diff)["same"] == true) {
    ++endpoint.same;
    return;
  } else {
    if (diff->contains("status")) ++endpoint.status;
    if (diff->contains("headers")) ++endpoint.headers;
    if ((*diff)["body"] == "different") ++endpoint.body;
  }
  if (endpoint.examples.size() >= kMostExamples) return;
  Json example = {{"exchangeId", item["exchangeId"]}};
  for (const char* member : {"replayExchangeId", "diff", "cause"}) {
    if (const Json* value = find_member(item, member)) example[member] = *value;
  }
  endpoint.examples.push_back(std::move(example));
}

ToolResult replay_verify(const Json& arguments, CallContext& context) {
  Json given = arguments;
  given["mode"] = "execute";
  SLUICE_TRY(const Json replayed, replay_session(given, context));
  std::map<std::string, Endpoint> endpoints;
  for (const Json& item : replayed["items"]) {
    if (item["status"] != "skipped") count(endpoints[endpoint_of(item)], item);
  }
  Json list = Json::array();
  std::size_t drifted = 0;
  for (auto& [name, endpoint] : endpoints) {
    const bool drift = endpoint.same < endpoint.replayed;
    drifted += drift ? 1 : 0;
    if (list.size() >= kMostEndpoints) continue;
    list.push_back({{"endpoint", name},
                    {"replayed", endpoint.replayed},
                    {"same", endpoint.same},
                    {"failed", endpoint.failed},
                    {"statusChanged", endpoint.status},
                    {"headersChanged", endpoint.headers},
                    {"bodyChanged", endpoint.body},
                    {"drift", drift},
                    {"examples", std::move(endpoint.examples)}});
  }
  Json answer = {{"sessionId", replayed["sessionId"]},
                 {"replayed", replayed["executedCount"]},
                 {"same", replayed["sameCount"]},
                 {"skipped", replayed["skippedCount"]},
                 {"drift", drifted > 0},
                 {"driftedEndpoints", drifted},
                 {"endpointCount", endpoints.size()},
                 {"endpoints", std::move(list)}};
  if (const Json* unresolved = find_member(replayed, "unresolved")) answer["unresolved"] = *unresolved;
  return answer;
}

}  // namespace

std::vector<Tool> session_check_tools() {
  Tool verify = {
      .name = "proxy_replay_verify",
      .title = "Replay against the recording",
      .summary =
          "Sends recorded requests again and says by endpoint whether the answers are still as recorded. Arguments as "
          "in proxy_replay_session.",
      .group = "sessions",
      .risk = Risk::kExecute,
      .hints = kSlow | kReturnsTraffic | kOpenWorld,
      .fields = replay_selection_fields(),
      .result = {{"sessionId", "string", ""},
                 {"replayed", "number", ""},
                 {"same", "number", ""},
                 {"skipped", "number", ""},
                 {"drift", "boolean", "some answer differs"},
                 {"driftedEndpoints", "number", ""},
                 {"endpointCount", "number", ""},
                 {"endpoints",
                  "object[]",
                  "the first 200",
                  false,
                  false,
                  {{"endpoint", "string", "method and URL without its query"},
                   {"replayed", "number", ""},
                   {"same", "number", ""},
                   {"failed", "number", ""},
                   {"statusChanged", "number", ""},
                   {"headersChanged", "number", ""},
                   {"bodyChanged", "number", ""},
                   {"drift", "boolean", ""},
                   {"examples", "object[]", "{exchangeId, replayExchangeId?, diff?, cause?}"}}},
                 {"unresolved", "string[]", "variables that have no value", true}},
      .function = replay_verify,
  };
  Tool check = {
      .name = "proxy_session_checkpoint",
      .title = "Put a recording on the disk",
      .summary = "All that was recorded so far is on the disk when this answers, even if power is lost afterwards.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow | kIdempotent,
      .result = {{"sessionId", "string", ""},
                 {"exchangeCount", "number", ""},
                 {"bytesWritten", "number", ""},
                 {"at", "string", ""}},
      .function = checkpoint,
  };
  Tool integrity = {
      .name = "proxy_session_verify_integrity",
      .title = "Check a recording",
      .summary = "Reads every record of a recording against its checksum and its index; changes nothing.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kIdempotent,
      .fields = {{.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true}},
      .result = {{"good", "boolean", "nothing is damaged, and the index agrees"},
                 {"indexAgrees", "boolean", ""},
                 {"note", "string", "what was not looked at", true},
                 {"report", "object", "as in proxy_session_recover"}},
      .function = verify_integrity,
  };
  return {replay_status_tool(), flow_template_tool(), std::move(verify), std::move(check), std::move(integrity)};
}

}  // namespace sluice::tools
