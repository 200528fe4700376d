#include "app/policy_simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "app/commands.h"
#include "app/home.h"
#include "gateway/audit_chain.h"
#include "gateway/audit_export.h"
#include "gateway/audit_read.h"
#include "gateway/policy_gate.h"
#include "policy/memory_store.h"
#include "policy/simulate.h"

namespace sluice::app {
namespace {

struct RecordedCall {
  std::int64_t time = 0;
  std::string grant, server, method, tool, decision;
  std::vector<std::string> arguments;
};

struct Recorded {
  std::vector<RecordedCall> calls;  // by time
  std::uint64_t summed = 0;         // denials that have no line each
};

std::string text_of(const Json& line, std::string_view name) {
  const Json* member = find_member(line, name);
  return member && member->is_string() ? member->get<std::string>() : "";
}

void take_line(const Json& line, Recorded& recorded) {
  if (text_of(line, "type") == "denials") {
    const Json* count = find_member(line, "count");
    if (count && count->is_number_unsigned()) recorded.summed += count->get<std::uint64_t>();
  }
  // No policy governs the owner.
  if (text_of(line, "type") != "decision" || text_of(line, "grant") == "owner") return;
  RecordedCall call{gateway::audit_time_ms(text_of(line, "time")),
                    text_of(line, "grant"),
                    text_of(line, "server"),
                    text_of(line, "method"),
                    text_of(line, "tool"),
                    text_of(line, "decision"),
                    {}};
  if (const Json* names = find_member(line, "arguments"); names && names->is_array()) {
    for (const Json& name : *names) {
      if (name.is_string()) call.arguments.push_back(name.get<std::string>());
    }
  }
  recorded.calls.push_back(std::move(call));
}

Status read_file(FileSystem& files, const std::string& path, Recorded& recorded) {
  SLUICE_TRY(auto reader, gateway::AuditReader::open(files, path));
  for (;;) {
    SLUICE_TRY(const auto line, reader.next());
    if (!line || !line->whole) return {};
    const auto read = gateway::read_chain_line(line->text);
    const auto content = read ? parse_json(std::string(read->content) + "}") : fail(Code::kInvalid, "");
    if (!content) return fail(Code::kInvalid, path + " holds a line that is none: see `sluice audit verify`");
    take_line(*content, recorded);
  }
}

// A file, or a folder of them.
Result<Recorded> read_log(const std::string& path) {
  SystemFileSystem files;
  Recorded recorded;
  if (const auto names = gateway::audit_file_names(files, path)) {
    for (const std::string& name : *names) SLUICE_CHECK(read_file(files, path + "/" + name, recorded));
  } else {
    SLUICE_CHECK(read_file(files, path, recorded));
  }
  std::stable_sort(recorded.calls.begin(), recorded.calls.end(),
                   [](const RecordedCall& a, const RecordedCall& b) { return a.time < b.time; });
  return recorded;
}

class Simulation {
 public:
  explicit Simulation(const policy::Engine& engine) : engine_(engine) {
    for (const tools::Tool& tool : tools::all_tools()) risks_.emplace(tool.name, gateway::policy_risk(tool.risk));
  }

  void run(const RecordedCall& call) {
    const auto decision = decide(call);
    if (!decision) {
      ++undecidable_[call.tool];
      return;
    }
    const std::string now = decision->verdict == policy::Verdict::kAllow  ? "allow"
                            : decision->verdict == policy::Verdict::kDeny ? "deny"
                                                                          : "ask";
    const std::string before = call.decision == "would_deny" ? "allow" : call.decision;
    ++(now == before ? same_ : different_);
    if (now != before)
      ++differences_[{call.tool.empty() ? call.method : call.tool, call.decision, now, decision->rule}];
  }

  int print(const Config& config, std::uint64_t summed) const {
    std::uint64_t needs = 0;
    for (const auto& [tool, count] : undecidable_) needs += count;
    if (config.json) {
      Json differences = Json::array(), undecidable = Json::array();
      for (const auto& [key, count] : differences_) {
        const auto& [tool, before, now, rule] = key;
        differences.push_back(
            {{"tool", tool}, {"recorded", before}, {"decision", now}, {"rule", rule}, {"calls", count}});
      }
      for (const auto& [tool, count] : undecidable_) undecidable.push_back({{"tool", tool}, {"calls", count}});
      fmt::print("{}\n", dump_json(Json{{"same", same_},
                                        {"different", different_},
                                        {"differences", differences},
                                        {"undecidable", undecidable},
                                        {"without_a_line", summed}}));
      return needs == 0 ? 0 : 1;
    }
    for (const auto& [key, count] : differences_) {
      const auto& [tool, before, now, rule] = key;
      fmt::print("{} -> {}  {} calls of {}{}\n", before, now, count, policy::printable(tool),
                 rule.empty() ? "" : "  by " + policy::printable(rule));
    }
    for (const auto& [tool, count] : undecidable_) {
      fmt::print("undecidable: needs values  {} calls of {}\n", count, policy::printable(tool));
    }
    if (summed > 0) fmt::print("not looked at  {} denials that have no line each\n", summed);
    fmt::print("{} calls as they were decided, {} otherwise, {} undecidable\n", same_, different_, needs);
    return needs == 0 ? 0 : 1;
  }

 private:
  std::optional<policy::Decision> decide(const RecordedCall& call) {
    if (call.method != "tools/call") {
      policy::Decision decision;
      if (!policy::is_governed_method(call.method) || engine_.allows_method(call.method)) return decision;
      decision.verdict = policy::Verdict::kDeny;
      decision.rule = "(method)";
      return decision;
    }
    const auto risk = risks_.find(call.tool);
    auto decision =
        policy::decide_by_names(engine_, call.grant, call.server, call.tool,
                                risk == risks_.end() ? std::nullopt : std::optional(risk->second), call.arguments);
    if (!decision || decision->verdict != policy::Verdict::kAllow || decision->uses.empty()) return decision;
    // Counters move as they would have at the recorded times.
    const auto reserved = store_.reserve(decision->uses, WallTime(std::chrono::milliseconds(call.time)));
    const auto* reached = reserved ? std::get_if<policy::LimitReached>(&*reserved) : nullptr;
    return reached ? policy::Engine::limit_reached(*decision, *reached) : *std::move(decision);
  }

  const policy::Engine& engine_;
  policy::MemoryStore store_;
  std::map<std::string, policy::RiskClass, std::less<>> risks_;
  std::uint64_t same_ = 0, different_ = 0;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::uint64_t> differences_;
  std::map<std::string, std::uint64_t> undecidable_;
};

}  // namespace

int simulate_policy(const Config& config, const policy::Engine& engine) {
  const auto recorded = read_log(absolute_path(config.policy_audit));
  if (!recorded) return report(recorded.error());
  Simulation simulation(engine);
  for (const RecordedCall& call : recorded->calls) simulation.run(call);
  return simulation.print(config, recorded->summed);
}

// What policy.md 1.12 advises for each class.
int scan_policy(const Config& config) {
  Json hide = Json::array(), entries = Json::object();
  std::vector<tools::Tool> all = tools::all_tools();
  std::erase_if(all, [&](const tools::Tool& tool) { return !belongs_to(tool, config.engine.toolset); });
  for (const tools::Risk risk : {tools::Risk::kRead, tools::Risk::kWrite, tools::Risk::kExecute}) {
    for (const tools::Tool& tool : all) {
      if (tool.risk != risk) continue;
      Json entry = Json::object();
      if (risk != tools::Risk::kRead) {
        entry["limits"] = Json::array({{{"counter", std::string(tool.name) + "_rate"},
                                        {"window", "minute"},
                                        {"max", risk == tools::Risk::kWrite ? 30 : 10},
                                        {"scope", "grant"}}});
      }
      entries[std::string(tool.name)] = std::move(entry);
    }
  }
  for (const tools::Tool& tool : all) {
    if (tool.risk == tools::Risk::kDestructive) hide.push_back(tool.name);
  }
  fmt::print("{}\n",
             dump_json(Json{{"version", "1"},
                            {"description", fmt::format("{} tools of Sluice {} by their class: reading is allowed, "
                                                        "writing and executing are counted, the rest is hidden",
                                                        all.size(), SLUICE_VERSION)},
                            {"default", "deny"},
                            {"hide", hide},
                            {"tools", entries}},
                       JsonStyle::kIndented));
  return 0;
}

}  // namespace sluice::app
