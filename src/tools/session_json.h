// Recordings in the contract's shapes (proxy.md d, engine.md 10). Private to this folder and to the gateway's resource.
#pragma once

#include "session/session.h"
#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

Json row_json(const session::Row& row);
std::vector<ResultField> row_result();
std::vector<ResultField> manifest_result();
std::vector<ResultField> persistence_result();
// {runtime, count, sessions}: the resource proxy://sessions.
Json sessions_resource(const Services& services);
// Those behind `offset`, as many as asked for and as `octets` of JSON hold; at least one.
struct SessionWindow {
  std::size_t offset = 0, limit = SIZE_MAX, octets = SIZE_MAX;
};
// A listing's part that an answer surely shows whole, so that it agrees with where the next one begins.
inline constexpr SessionWindow kFirstSessions{.limit = 100, .octets = 18'000};
Result<Json> list_sessions_json(session::Store& sessions, const SessionWindow& window = {});
Json report_json(const session::RecoveryReport& report);

// What proxy_start and proxy_session_start take of a recording; they differ in `on_cap`.
std::vector<Field> recording_fields();
Result<session::Store::Started> start_recording(const Json& arguments, session::Store& sessions);

// The filters that queries share, but for `filter`.
void add_query_fields(std::vector<Field>& fields);
session::Query read_query(const Json& arguments);
// What such a filter finds must also stand in what is shown; without a redactor all does.
bool is_visible(const session::Query& query, const session::RowBrief& row, const Redactor* redactor);
bool is_visible(const session::Query& query, const session::Row& row, const Redactor* redactor);
// kNotFound, or the reason why there are no recordings here.
Result<std::unique_ptr<session::Reader>> open_session(const Json& arguments, CallContext& context);
// `exchange_id` of the recording that `session_id` names, or of what was captured last.
struct OpenExchange {
  flow::Exchange exchange;
  const capture::BodySource* bodies = nullptr;
  std::unique_ptr<session::Reader> reader;  // whose bodies they are; null: the ring's
};
Result<OpenExchange> open_exchange(const Json& arguments, CallContext& context);

Tool search_session_tool();
Tool replay_session_tool();
Tool replay_status_tool();
Tool flow_template_tool();
Tool export_har_tool();
Tool import_har_tool();

// kTooLarge.
Status check_session_name(const std::string& name);

}  // namespace sluice::tools
