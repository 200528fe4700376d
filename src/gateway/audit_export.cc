#include "gateway/audit_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/text.h"
#include "policy/policy.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kColumns[] = {"time",      "id",         "grant", "server",  "method",   "tool",
                                         "arguments", "decision",   "rule",  "message", "approver", "policy_revision",
                                         "status",    "latency_us", "bytes", "count",   "file",     "line"};

std::string text_of(const Json& row, std::string_view name) {
  const Json* member = find_member(row, name);
  return member && member->is_string() ? member->get<std::string>() : "";
}

std::int64_t number_of(const Json& row, std::string_view name) {
  const Json* member = find_member(row, name);
  return member && member->is_number_integer() ? member->get<std::int64_t>() : 0;
}

std::string csv_cell(const Json* value) {
  if (!value) return "";
  std::string text;
  if (value->is_array()) {
    for (const Json& one : *value) {
      if (!text.empty()) text += ' ';
      text += one.is_string() ? one.get<std::string>() : dump_json(one);
    }
  } else {
    text = value->is_string() ? value->get<std::string>() : dump_json(*value);
  }
  text = policy::printable(std::move(text));
  // A spreadsheet would take these for formulas.
  if (!text.empty() && std::string_view("=+-@").find(text.front()) != std::string_view::npos) text.insert(0, "'");
  if (text.find_first_of("\",; ") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

std::string csv_row(const Json& row) {
  std::string line;
  for (const std::string_view column : kColumns) {
    if (column != kColumns[0]) line += ',';
    line += csv_cell(find_member(row, column));
  }
  return line + "\r\n";
}

bool was_denied(const Json& row) { return text_of(row, "decision") == "deny"; }

// Ran and answered: true; did not, or with an error: false; nothing is known: nothing.
std::optional<bool> succeeded(const Json& row) {
  if (was_denied(row)) return false;
  const std::string status = text_of(row, "status");
  if (status.empty()) return std::nullopt;
  return status == "ok";
}

Json ocsf_row(const Json& row) {
  constexpr int kApiActivity = 6003, kOther = 99;
  const auto success = succeeded(row);
  Json out{{"class_uid", kApiActivity},
           {"class_name", "API Activity"},
           {"category_uid", 6},
           {"category_name", "Application Activity"},
           {"activity_id", kOther},
           {"activity_name", text_of(row, "method")},
           {"type_uid", kApiActivity * 100 + kOther},
           {"time", audit_time_ms(text_of(row, "time"))},
           {"severity_id", was_denied(row) ? 3 : 1},
           {"status_id", !success   ? 0
                         : *success ? 1
                                    : 2},
           {"action_id", was_denied(row) ? 2 : 1},
           {"disposition_id", was_denied(row) ? 2 : 1},
           {"metadata",
            {{"version", "1.3.0"},
             {"uid", text_of(row, "id")},
             {"profiles", Json::array({"security_control"})},
             {"product", {{"name", "Sluice"}, {"vendor_name", "Sluice"}, {"version", SLUICE_VERSION}}}}},
           {"actor", {{"user", {{"name", text_of(row, "grant")}}}, {"session", {{"uid", text_of(row, "session")}}}}},
           {"api",
            {{"operation", text_of(row, "tool").empty() ? text_of(row, "method") : text_of(row, "tool")},
             {"service", {{"name", text_of(row, "server")}}},
             {"request", {{"uid", text_of(row, "id")}}}}},
           {"src_endpoint", {{"name", "mcp"}}}};
  if (!text_of(row, "status").empty()) {
    out["status"] = text_of(row, "status");
    out["duration"] = number_of(row, "latency_us") / 1000;
  }
  if (const std::string rule = text_of(row, "rule"); !rule.empty()) out["policy"] = {{"name", rule}};
  if (const std::string message = text_of(row, "message"); !message.empty()) out["message"] = message;
  if (const std::int64_t count = number_of(row, "count"); count > 0) out["count"] = count;
  Json rest{{"policy_revision", number_of(row, "policy_revision")}};
  for (const std::string_view name : {"arguments", "arguments_hmac", "approver", "decision", "file", "line"}) {
    if (const Json* member = find_member(row, name)) rest[std::string(name)] = *member;
  }
  out["unmapped"] = std::move(rest);
  return out;
}

Json ecs_row(const Json& row) {
  const auto success = succeeded(row);
  Json event{{"kind", "event"},
             {"category", Json::array({"api"})},
             {"type", Json::array({"access", was_denied(row) ? "denied" : "allowed"})},
             {"action", text_of(row, "tool").empty() ? text_of(row, "method") : text_of(row, "tool")},
             {"id", text_of(row, "id")},
             {"provider", "sluice"},
             {"dataset", "sluice.audit"},
             {"outcome", !success   ? "unknown"
                         : *success ? "success"
                                    : "failure"}};
  if (!text_of(row, "status").empty()) event["duration"] = number_of(row, "latency_us") * 1000;
  Json out{{"@timestamp", text_of(row, "time")},
           {"ecs", {{"version", "8.11.0"}}},
           {"event", std::move(event)},
           {"user", {{"name", text_of(row, "grant")}}},
           {"service", {{"name", text_of(row, "server")}, {"type", "mcp"}}}};
  if (const std::string rule = text_of(row, "rule"); !rule.empty()) out["rule"] = {{"id", rule}, {"ruleset", "policy"}};
  if (const std::string message = text_of(row, "message"); !message.empty()) out["message"] = message;
  Json own = Json::object();
  for (const std::string_view name : {"method", "decision", "arguments", "arguments_hmac", "approver",
                                      "policy_revision", "status", "bytes", "count", "session", "file", "line"}) {
    if (const Json* member = find_member(row, name)) own[std::string(name)] = *member;
  }
  out["sluice"] = std::move(own);
  return out;
}

}  // namespace

std::int64_t audit_time_ms(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millis = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day, &hour, &minute, &second,
                  &millis) != 7) {
    return 0;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return 0;
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(days).count() +
         ((hour * 60LL + minute) * 60 + second) * 1000 + millis;
}

AuditExporter::AuditExporter(AuditFormat format, Write write) : format_(format), write_(std::move(write)) {
  if (format_ != AuditFormat::kCsv) return;
  std::string header;
  for (const std::string_view column : kColumns) header += (header.empty() ? "" : ",") + std::string(column);
  write_(header + "\r\n");
}

void AuditExporter::put(const Json& row) {
  switch (format_) {
    case AuditFormat::kJsonl:
      return write_(dump_json(row) + "\n");
    case AuditFormat::kCsv:
      return write_(csv_row(row));
    case AuditFormat::kOcsf:
      return write_(dump_json(ocsf_row(row)) + "\n");
    case AuditFormat::kEcs:
      return write_(dump_json(ecs_row(row)) + "\n");
  }
}

void AuditExporter::feed(const Json& content, std::string_view file, std::uint64_t line) {
  const std::string type = text_of(content, "type");
  if (type == "outcome") {
    const auto found = open_.find(text_of(content, "id"));
    if (found == open_.end()) return;
    for (const std::string_view name : {"status", "latency_us", "bytes", "rule", "http_status", "error_code"}) {
      if (const Json* member = find_member(content, name)) found->second[std::string(name)] = *member;
    }
    put(found->second);
    open_.erase(found);
    return;
  }
  if (type != "decision" && type != "denials") return;
  Json row = Json::object();
  for (const auto& [name, member] : content.items()) {
    if (name != "type" && name != "seq") row[name] = member;
  }
  if (type == "denials") row["decision"] = "deny";
  row["file"] = file;
  row["line"] = line;
  const bool runs =
      type == "decision" && !was_denied(row) && text_of(row, "decision") != "ask" && text_of(row, "outcome") != "none";
  if (!runs) return put(row);
  std::string id = text_of(row, "id");
  open_.insert_or_assign(std::move(id), std::move(row));
}

void AuditExporter::end() {
  std::vector<const Json*> rows;
  for (const auto& [id, row] : open_) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(),
            [](const Json* a, const Json* b) { return text_of(*a, "time") < text_of(*b, "time"); });
  for (const Json* row : rows) put(*row);
  open_.clear();
}

std::string audit_line_text(const Json& content) {
  const std::string type = text_of(content, "type"), time = text_of(content, "time");
  const auto say = [](std::string text) { return policy::printable(repair_utf8(text)); };
  if (type == "decision") {
    const std::string name = text_of(content, "tool").empty() ? text_of(content, "method") : text_of(content, "tool");
    std::string line =
        fmt::format("{}  {:<10}  {:<8}  {}", time, text_of(content, "decision"), text_of(content, "grant"), name);
    if (const std::string rule = text_of(content, "rule"); !rule.empty()) line += "  " + rule;
    if (const std::string message = text_of(content, "message"); !message.empty()) line += "  \"" + message + '"';
    return say(std::move(line));
  }
  if (type == "outcome") {
    return say(fmt::format("{}  {:<10}  {} ms, {} bytes", time, text_of(content, "status"),
                           static_cast<double>(number_of(content, "latency_us")) / 1000, number_of(content, "bytes")));
  }
  if (type == "denials") {
    return say(fmt::format("{}  {:<10}  {:<8}  {} times  {}", time, "deny", text_of(content, "grant"),
                           number_of(content, "count"), text_of(content, "rule")));
  }
  if (type == "lost")
    return say(fmt::format("{}  {} lines could not be written before", time, number_of(content, "lines")));
  if (type == "head" || type == "end") {
    return say(fmt::format("{}  {:<10}  process {} ({})", time, type == "head" ? "begins" : "ends",
                           number_of(content, "pid"), text_of(content, "reason")));
  }
  if (type == "checkpoint" || type.empty()) return "";
  Json rest = content;
  for (const char* name : {"type", "seq", "time"}) rest.erase(name);
  return say(fmt::format("{}  {:<10}  {}", time, type, dump_json(rest)));
}

}  // namespace sluice::gateway
