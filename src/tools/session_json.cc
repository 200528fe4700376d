#include "tools/session_json.h"

#include <fmt/format.h>

#include <cmath>

#include "base/redact.h"
#include "base/text.h"
#include "tools/status.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kLongestName = 200;
constexpr double kMostDiskMb = 1024.0 * 1024.0;

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

bool is_whole(const flow::BodyInfo& body, flow::State state) {
  return body.complete && (body.ended || state == flow::State::kDone);
}

}  // namespace

Json row_json(const session::Row& row) {
  return {{"seq", row.seq},
          {"exchangeId", row.id},
          {"timestamp", row.timestamp_ms},
          {"method", row.method},
          {"hostname", row.host},
          {"path", row.target},
          {"url", row.url},
          {"statusCode", row.status == 0 ? Json() : Json(row.status)},
          {"duration", row.duration_ms ? Json(*row.duration_ms) : Json()},
          {"requestBodySize", row.request.size},
          {"responseBodySize", row.has_response ? Json(row.response.size) : Json()},
          {"hasResponse", row.has_response},
          {"hasFullRequestBody", is_whole(row.request, row.state)},
          {"hasFullResponseBody", row.has_response && is_whole(row.response, row.state)},
          {"matchedRuleId", row.matched_rule == 0 ? Json() : Json(fmt::format("rule_{}", row.matched_rule))},
          {"ja3", text_or_null(row.ja3)},
          {"ja4", text_or_null(row.ja4)},
          {"ja3s", text_or_null(row.ja3s)},
          {"responseContentType", text_or_null(row.content_type)},
          {"recordOffset", row.opened.offset},
          {"recordLineBytes", row.opened.length},
          {"segment", row.opened.segment},
          {"state", flow::to_string(row.state)},
          {"protocol", flow::to_string(row.protocol)}};
}

std::vector<ResultField> row_result() {
  return {{"seq", "number", "from 1"},
          {"exchangeId", "string", ""},
          {"timestamp", "number", "ms"},
          {"method", "string", ""},
          {"hostname", "string", ""},
          {"path", "string", ""},
          {"url", "string", ""},
          {"statusCode", "number", "", false, true},
          {"duration", "number", "ms", false, true},
          {"requestBodySize", "number", ""},
          {"responseBodySize", "number", "", false, true},
          {"hasResponse", "boolean", ""},
          {"hasFullRequestBody", "boolean", "all of it is stored"},
          {"hasFullResponseBody", "boolean", ""},
          {"matchedRuleId", "string", "", false, true},
          {"ja3", "string", "", false, true},
          {"ja4", "string", "", false, true},
          {"ja3s", "string", "", false, true},
          {"responseContentType", "string", "", false, true},
          {"recordOffset", "number", "in the segment"},
          {"recordLineBytes", "number", ""},
          {"segment", "number", ""},
          {"state", "string", "done, failed, aborted or dropped"},
          {"protocol", "string", ""}};
}

std::vector<ResultField> manifest_result() {
  return {{"schemaVersion", "number", ""},
          {"id", "string", ""},
          {"name", "string", "", false, true},
          {"captureProfile", "string", ""},
          {"storageDir", "string", ""},
          {"maxDiskMb", "number", ""},
          {"createdAt", "number", "ms"},
          {"startedAt", "number", "ms"},
          {"endedAt", "number", "ms", false, true},
          {"status", "string", "active or stopped"},
          {"recoveryState", "string", "clean, recovered or error"},
          {"exchangeCount", "number", ""},
          {"bytesWritten", "number", ""},
          {"droppedWrites", "number", "records that could not be kept"},
          {"lastSequence", "number", ""},
          {"lastFlushAt", "number", "ms; what was there then survives a power cut", false, true},
          {"lastError", "string", "", false, true},
          {"files", "object", "names in its directory"},
          {"onCap", "string", "stop or drop_oldest"},
          {"droppedExchanges", "number", "that left with the oldest segments"},
          {"bytesCut", "number", "of bodies, lost; not what the profile leaves out"},
          {"segmentCount", "number", ""},
          {"encrypted", "boolean", "AES-256-GCM; its name is null where its key is not known"}};
}

std::vector<ResultField> persistence_result() {
  return {{"enabled", "boolean", ""},
          {"sessionId", "string", "", false, true},
          {"captureProfile", "string", "", false, true},
          {"storageDir", "string", ""},
          {"bytesWritten", "number", ""},
          {"droppedWrites", "number", ""},
          {"lastFlushAt", "number", "", false, true},
          {"maxDiskMb", "number", "", false, true},
          {"recoveryState", "string", "", false, true},
          {"lastError", "string", "", false, true},
          {"encrypted", "boolean", "the recording; where none is active: the next one"},
          {"disk",
           "object",
           "the cap over all recordings, where there is one",
           true,
           false,
           {{"maxMb", "number", ""},
            {"usedMb", "number", "of the root that is recorded to"},
            {"onCap", "string", "stop or drop_oldest"},
            {"droppedSessions", "number", "that went for room"}}}};
}

Result<Json> list_sessions_json(session::Store& sessions, const SessionWindow& window) {
  SLUICE_TRY(const session::Store::Page page, sessions.list(window.offset, window.limit));
  Json list = Json::array();
  std::size_t octets = 0;
  for (const session::Manifest& manifest : page.sessions) {
    Json entry = session::manifest_json(manifest);
    entry["diskUsageMb"] =
        std::round(static_cast<double>(manifest.bytes_written) / static_cast<double>(kMiB) * 100) / 100;
    if (window.octets != SIZE_MAX) octets += dump_json(entry).size();
    if (octets > window.octets && !list.empty()) break;
    list.push_back(std::move(entry));
  }
  const std::size_t next = window.offset + list.size();
  Json answer = {{"count", page.total}, {"sessions", std::move(list)}};
  if (next < page.total) answer["nextOffset"] = next;
  if (!page.away.empty()) answer["missingRoots"] = page.away;
  return answer;
}

Json report_json(const session::RecoveryReport& report) {
  Json damaged = Json::array();
  for (const session::DamagedRange& range : report.damaged) {
    damaged.push_back(
        {{"segment", range.segment}, {"offset", range.offset}, {"length", range.length}, {"torn", range.torn}});
    if (!range.reason.empty()) damaged.back()["reason"] = range.reason;
  }
  return {{"sessionId", report.id},
          {"exchanges", report.exchanges},
          {"droppedTailBytes", report.torn_bytes},
          {"cutExchanges", report.cut_exchanges},
          {"segments", report.segments},
          {"records", report.records},
          {"bytes", report.bytes},
          {"damagedBytes", report.damaged_bytes},
          {"damagedRanges", report.damaged_ranges},
          {"damaged", std::move(damaged)},
          {"rebuiltManifest", report.rebuilt_manifest},
          {"encrypted", report.encrypted},
          {"opened", report.opened}};
}

// ---- arguments ----

std::vector<Field> recording_fields() {
  return {{.name = "session_name", .meaning = "Name of the recording."},
          {.name = "capture_profile",
           .meaning = "What is recorded.",
           .default_value = "preview",
           .choices = {"preview", "full"}},
          {.name = "storage_dir", .meaning = "Where it is recorded."},
          {.name = "max_disk_mb",
           .type = FieldType::kInteger,
           .meaning = "Its budget in MiB.",
           .default_value = 1024,
           .minimum = 1,
           .maximum = kMostDiskMb}};
}

Status check_session_name(const std::string& name) {
  if (name.size() <= kLongestName) return {};
  return fail(Code::kTooLarge, fmt::format("session_name is longer than {} octets.", kLongestName));
}

Result<session::Store::Started> start_recording(const Json& arguments, session::Store& sessions) {
  session::StartOptions options;
  options.name = text_argument(arguments, "session_name");
  if (options.name) SLUICE_CHECK(check_session_name(*options.name));
  options.storage_dir = text_argument(arguments, "storage_dir");
  options.profile =
      session::find_profile(text_argument(arguments, "capture_profile").value_or("")).value_or(options.profile);
  options.on_cap = session::find_on_cap(text_argument(arguments, "on_cap").value_or("")).value_or(options.on_cap);
  options.max_disk_mb = static_cast<std::uint64_t>(*integer_argument(arguments, "max_disk_mb"));
  return sessions.start(options);
}

void add_query_fields(std::vector<Field>& fields) {
  const std::vector<Field> more = {{.name = "method", .meaning = "Verb."},
                                   {.name = "hostname_contains", .meaning = "Part of the host."},
                                   {.name = "url_contains", .meaning = "Part of the URL."},
                                   {.name = "status_code", .type = FieldType::kInteger, .meaning = "Exact status."},
                                   {.name = "from_ts", .type = FieldType::kInteger, .meaning = "Not before, ms."},
                                   {.name = "to_ts", .type = FieldType::kInteger, .meaning = "Not after, ms."},
                                   {.name = "text", .meaning = "Part of URL, host, path, exchange id or rule id."}};
  fields.insert(fields.end(), more.begin(), more.end());
}

session::Query read_query(const Json& arguments) {
  session::Query query;
  query.method = to_upper(text_argument(arguments, "method").value_or(""));
  query.host_contains = text_argument(arguments, "hostname_contains").value_or("");
  query.url_contains = text_argument(arguments, "url_contains").value_or("");
  query.text = text_argument(arguments, "text").value_or("");
  if (const auto status = integer_argument(arguments, "status_code")) query.status = static_cast<int>(*status);
  query.from_ms = integer_argument(arguments, "from_ts");
  query.to_ms = integer_argument(arguments, "to_ts");
  query.ascending = text_argument(arguments, "sort").value_or("desc") == "asc";
  return query;
}

bool is_visible(const session::Query& query, const session::Row& row, const Redactor* redactor) {
  return is_visible(query, session::RowBrief{row.url, row.host, row.id, row.matched_rule}, redactor);
}

bool is_visible(const session::Query& query, const session::RowBrief& row, const Redactor* redactor) {
  if (!redactor || (query.url_contains.empty() && query.text.empty())) return true;
  const Redacted masked = redactor->mask_url(row.url);
  if (!masked.masked) return true;
  const std::string url = to_lower(without_masks(masked.text));
  if (!query.url_contains.empty() && url.find(to_lower(query.url_contains)) == url.npos) return false;
  if (query.text.empty()) return true;
  const std::string text = to_lower(query.text);
  const std::string rule = row.matched_rule == 0 ? "" : fmt::format("rule_{}", row.matched_rule);
  return url.find(text) != url.npos || to_lower(row.host).find(text) != std::string::npos ||
         row.id.find(text) != Bytes::npos || rule.find(text) != std::string::npos;
}

Result<std::unique_ptr<session::Reader>> open_session(const Json& arguments, CallContext& context) {
  if (!context.services->sessions) return fail(Code::kUnavailable, "There are no recordings here.");
  return context.services->sessions->open(*text_argument(arguments, "session_id"));
}

Result<OpenExchange> open_exchange(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_id");
  OpenExchange open;
  if (find_member(arguments, "session_id")) {
    SLUICE_TRY(open.reader, open_session(arguments, context));
    SLUICE_TRY(const session::Row row, open.reader->find(id));
    SLUICE_TRY(open.exchange, open.reader->exchange(row));
    open.bodies = open.reader.get();
    return open;
  }
  const capture::Ring& ring = context.services->ring;
  context.services->ring.sync();
  auto found = ring.find(id);
  if (!found) return fail(Code::kNotFound, fmt::format("Exchange '{}' not found", id.substr(0, 80)));
  open.exchange = *std::move(found);
  open.bodies = &ring;
  return open;
}

Json sessions_resource(const Services& services) {
  Json resource = {{"runtime", persistence_json(services)}, {"count", 0}, {"sessions", Json::array()}};
  if (!services.sessions) return resource;
  auto list = list_sessions_json(*services.sessions, kFirstSessions);
  if (!list) {
    resource["error"] = list.error().message;
  } else {
    resource["count"] = (*list)["count"];
    resource["sessions"] = std::move((*list)["sessions"]);
    if (list->contains("nextOffset")) resource["nextOffset"] = (*list)["nextOffset"];
  }
  return resource;
}

}  // namespace sluice::tools
