#include "app/call_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/call_keeping.h"
#include "gateway/audit_chain.h"
#include "gateway/audit_export.h"
#include "gateway/audit_read.h"
#include "gateway/call_records.h"
#include "gateway/callee.h"
#include "gateway/policy_gate.h"

namespace sluice::app {
namespace {

using Risks = std::map<std::string, policy::RiskClass, std::less<>>;

Risks own_risks() {
  Risks risks;
  for (const tools::Tool& tool : tools::all_tools()) risks.emplace(tool.name, gateway::policy_risk(tool.risk));
  return risks;
}

std::string text_of(const Json& line, std::string_view name) {
  const Json* member = find_member(line, name);
  return member && member->is_string() ? member->get<std::string>() : "";
}

void take_line(const Json& line, const Risks& risks, const std::string& of_grant, PastCalls& past) {
  if (text_of(line, "type") == "denials" && (of_grant.empty() || text_of(line, "grant") == of_grant)) {
    const Json* count = find_member(line, "count");
    if (count && count->is_number_unsigned()) past.untold += count->get<std::uint64_t>();
  }
  if (text_of(line, "type") != "decision" || text_of(line, "grant") == "owner") return;
  PastCall call;
  call.time = gateway::audit_time_ms(text_of(line, "time"));
  call.grant = text_of(line, "grant");
  call.server = text_of(line, "server");
  call.method = text_of(line, "method");
  call.tool = text_of(line, "tool");
  call.decision = text_of(line, "decision");
  call.approved = !text_of(line, "approver").empty();
  if (const Json* names = find_member(line, "arguments"); names && names->is_array()) {
    for (const Json& name : *names) {
      if (name.is_string()) call.arguments.push_back(name.get<std::string>());
    }
  }
  if (const auto risk = risks.find(call.tool); risk != risks.end() && call.server == gateway::kServer) {
    call.risk = risk->second;
  }
  past.calls.push_back(std::move(call));
}

Status read_file(FileSystem& files, const std::string& path, const Risks& risks, const std::string& of_grant,
                 PastCalls& past) {
  SLUICE_TRY(auto reader, gateway::AuditReader::open(files, path));
  for (;;) {
    SLUICE_TRY(const auto line, reader.next());
    if (!line || !line->whole) return {};
    const auto read = gateway::read_chain_line(line->text);
    const auto content = read ? parse_json(std::string(read->content) + "}") : fail(Code::kInvalid, "");
    if (!content) return fail(Code::kInvalid, path + " holds a line that is none: see `sluice audit verify`");
    take_line(*content, risks, of_grant, past);
  }
}

// A file, or a folder of them.
Result<PastCalls> read_log(const Config& config) {
  const std::string path = absolute_path(config.policy_audit);
  SystemFileSystem files;
  const Risks risks = own_risks();
  PastCalls past;
  if (const auto names = gateway::audit_file_names(files, path)) {
    for (const std::string& name : *names) {
      SLUICE_CHECK(read_file(files, fmt::format("{}/{}", path, name), risks, config.policy_grant, past));
    }
  } else {
    SLUICE_CHECK(read_file(files, path, risks, config.policy_grant, past));
  }
  std::stable_sort(past.calls.begin(), past.calls.end(),
                   [](const PastCall& a, const PastCall& b) { return a.time < b.time; });
  return past;
}

Result<PastCalls> read_kept(const Config& config) {
  SystemFileSystem files;
  SLUICE_TRY(const Home home, Home::open(files, config.home));
  SLUICE_TRY(const Secret key, load_calls_key(config.engine.calls_key, home));
  SLUICE_TRY(gateway::CallRecords records, gateway::read_calls(files, absolute_path(config.policy_calls), key));
  PastCalls past;
  past.has_values = true;
  past.untold = records.lost;
  for (gateway::CallRecord& record : records.calls) {
    PastCall call;
    call.time = record.time_ms;
    call.risk = policy::find_risk(record.risk);
    call.approved = !record.approver.empty();
    if (record.arguments) {
      auto values = policy::parse_source(*record.arguments, {.max_text = 64 * kMiB, .max_nodes = 1'000'000});
      if (!values || !values->is(policy::Node::Kind::kObject)) {
        return fail(Code::kInvalid, config.policy_calls + " holds a call whose arguments are none");
      }
      for (const policy::Node::Name& name : values->names) call.arguments.push_back(name.text);
      std::sort(call.arguments.begin(), call.arguments.end());
      call.values = *std::move(values);
    }
    call.grant = std::move(record.grant);
    call.server = std::move(record.server);
    call.method = std::move(record.method);
    call.tool = std::move(record.tool);
    call.decision = std::move(record.decision);
    past.calls.push_back(std::move(call));
  }
  for (const auto& [key_of, schema] : records.schemas) {
    if (auto parsed = parse_json(schema)) past.schemas.emplace(key_of, *std::move(parsed));
  }
  return past;
}

// Sluice's own tools are behind no endpoint.
Status choose(const Config& config, PastCalls& past) {
  const bool several = !config.policy_endpoint.empty();
  const std::size_t all = past.calls.size();
  std::erase_if(past.calls, [&](const PastCall& call) {
    if (!config.policy_grant.empty() && call.grant != config.policy_grant) return true;
    if (!config.policy_server.empty()) return call.server != config.policy_server;
    return several && call.server == gateway::kServer;
  });
  if (past.calls.empty() && all > 0) {
    return fail(Code::kNotFound, "there are calls, and none of this server, grant or endpoint");
  }
  for (PastCall& call : past.calls) {
    call.policy_server = several ? config.policy_endpoint : call.server;
    const bool named = several && call.method == "tools/call";
    call.policy_tool = named ? fmt::format("{}__{}", call.server, call.tool) : call.tool;
  }
  return {};
}

}  // namespace

Result<PastCalls> read_past_calls(const Config& config) {
  if (config.policy_audit.empty() == config.policy_calls.empty()) {
    return fail(Code::kInvalid, "give one of --calls DIR and --audit LOG");
  }
  SLUICE_TRY(PastCalls past, config.policy_calls.empty() ? read_log(config) : read_kept(config));
  SLUICE_CHECK(choose(config, past));
  return past;
}

}  // namespace sluice::app
