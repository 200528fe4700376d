#include "app/policy_simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "app/call_log.h"
#include "app/commands.h"
#include "gateway/policy_gate.h"
#include "policy/memory_store.h"
#include "policy/simulate.h"

namespace sluice::app {
namespace {

class Simulation {
 public:
  Simulation(const policy::Engine& engine, const PastCalls& past) : engine_(engine), past_(past) {
    for (const PastCall& call : past.calls) one_server_ = one_server_ && call.server == past.calls.front().server;
  }

  void run(const PastCall& call) {
    std::string missing;
    const auto decision = decide(call, missing);
    if (!decision) {
      ++undecidable_[{call.server, call.policy_tool, missing}];
      return;
    }
    const std::string now = decision->verdict == policy::Verdict::kAllow  ? "allow"
                            : decision->verdict == policy::Verdict::kDeny ? "deny"
                                                                          : "ask";
    const std::string before = call.decision == "would_deny" ? "allow" : call.decision;
    // What a person let pass would have been asked about, and let pass.
    const bool same = now == before || (now == "ask" && before == "allow" && call.approved);
    ++(same ? same_ : different_);
    const std::string& subject = call.policy_tool.empty() ? call.method : call.policy_tool;
    if (!same) ++differences_[{call.server, subject, call.decision, now, decision->rule}];
  }

  int print(const Config& config) const {
    std::uint64_t needs = 0;
    for (const auto& [key, count] : undecidable_) needs += count;
    if (config.json) {
      Json differences = Json::array(), undecidable = Json::array();
      for (const auto& [key, count] : differences_) {
        const auto& [server, tool, before, now, rule] = key;
        differences.push_back({{"server", server},
                               {"tool", tool},
                               {"recorded", before},
                               {"decision", now},
                               {"rule", rule},
                               {"calls", count}});
      }
      for (const auto& [key, count] : undecidable_) {
        const auto& [server, tool, missing] = key;
        undecidable.push_back({{"server", server}, {"tool", tool}, {"needs", missing}, {"calls", count}});
      }
      fmt::print("{}\n", dump_json(Json{{"same", same_},
                                        {"different", different_},
                                        {"differences", differences},
                                        {"undecidable", undecidable},
                                        {"without_a_line", past_.untold}}));
      return needs == 0 ? 0 : 1;
    }
    for (const auto& [key, count] : differences_) {
      const auto& [server, tool, before, now, rule] = key;
      fmt::print("{} -> {}  {} calls of {}{}\n", before, now, count, shown(server, tool),
                 rule.empty() ? "" : "  by " + policy::printable(rule));
    }
    for (const auto& [key, count] : undecidable_) {
      const auto& [server, tool, missing] = key;
      fmt::print("undecidable: needs {}  {} calls of {}\n", missing, count, shown(server, tool));
    }
    if (past_.untold > 0) fmt::print("not looked at  {} {}\n", past_.untold, untold());
    fmt::print("{} calls as they were decided, {} otherwise, {} undecidable\n", same_, different_, needs);
    return needs == 0 ? 0 : 1;
  }

 private:
  std::string shown(const std::string& server, const std::string& tool) const {
    return policy::printable(one_server_ ? tool : fmt::format("{} ({})", tool, server));
  }

  std::string_view untold() const {
    return past_.has_values ? "calls that could not be kept" : "denials that have no line each";
  }

  // Nothing: what is `missing` could change it.
  std::optional<policy::Decision> decide(const PastCall& call, std::string& missing) {
    if (call.method != "tools/call") {
      policy::Decision decision;
      if (engine_.allows_method(call.method)) return decision;
      decision.verdict = policy::Verdict::kDeny;
      decision.rule = "(method)";
      return decision;
    }
    auto decision = call.values ? by_values(call, missing) : by_names(call, missing);
    if (!decision || decision->verdict != policy::Verdict::kAllow || decision->uses.empty()) return decision;
    // Counters move as they would have at the recorded times.
    const auto reserved = store_.reserve(decision->uses, WallTime(std::chrono::milliseconds(call.time)));
    const auto* reached = reserved ? std::get_if<policy::LimitReached>(&*reserved) : nullptr;
    return reached ? policy::Engine::limit_reached(*decision, *reached) : *std::move(decision);
  }

  std::optional<policy::Decision> by_names(const PastCall& call, std::string& missing) const {
    missing = "values";
    auto decision =
        policy::decide_by_names(engine_, call.grant, call.policy_server, call.policy_tool, call.risk, call.arguments);
    const bool closed = engine_.document().closed_args && !call.risk && !call.arguments.empty();
    if (!decision || decision->verdict == policy::Verdict::kDeny || !closed) return decision;
    missing = "values, and the tool's schema";
    return std::nullopt;
  }

  std::optional<policy::Decision> by_values(const PastCall& call, std::string& missing) const {
    const policy::NameAnswer name = engine_.judge_name(call.policy_tool, call.risk);
    if (name != policy::NameAnswer::kListed) return engine_.judged_name(call.policy_tool, name);
    const Json arguments = policy::to_json(*call.values);
    const policy::Spellings spellings = policy::spellings_of(*call.values, arguments);
    auto decision = engine_.decide({.grant = call.grant,
                                    .server = call.policy_server,
                                    .tool = call.policy_tool,
                                    .risk = call.risk,
                                    .arguments = arguments,
                                    .spellings = &spellings});
    if (decision.verdict == policy::Verdict::kDeny) return decision;
    if (engine_.document().closed_args && !call.risk) {
      const auto schema = past_.schemas.find({call.server, call.tool});
      if (schema == past_.schemas.end()) {
        missing = "the tool's schema";
        return std::nullopt;
      }
      if (auto denied = gateway::denied_by_schema(schema->second, arguments)) return denied;
    }
    if (engine_.document().own_only && call.risk && *call.risk != policy::RiskClass::kRead &&
        (arguments.contains("rule_id") || arguments.contains("replace"))) {
      missing = "who made the rule";
      return std::nullopt;
    }
    return decision;
  }

  const policy::Engine& engine_;
  const PastCalls& past_;
  policy::MemoryStore store_;
  std::uint64_t same_ = 0, different_ = 0;
  bool one_server_ = true;
  // By server, tool, and decision then and now, and the rule; by server, tool and what is missing.
  std::map<std::tuple<std::string, std::string, std::string, std::string, std::string>, std::uint64_t> differences_;
  std::map<std::tuple<std::string, std::string, std::string>, std::uint64_t> undecidable_;
};

}  // namespace

int simulate_policy(const Config& config, const policy::Engine& engine) {
  const auto past = read_past_calls(config);
  if (!past) return report(past.error());
  Simulation simulation(engine, *past);
  for (const PastCall& call : past->calls) simulation.run(call);
  return simulation.print(config);
}

}  // namespace sluice::app
