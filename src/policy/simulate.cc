#include "policy/simulate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_pointer.h"

namespace sluice::policy {
namespace {

bool is_always(const Rule& rule) { return rule.conditions.empty() && rule.any_of.empty(); }

bool applies(const Entry& entry, std::string_view tool, RiskClass risk) {
  if (entry.is_class()) {
    return risk == RiskClass::kUnclassified || find_risk(std::string_view(entry.name).substr(5)) == risk;
  }
  return entry.is_pattern() ? matches_name(entry.name, tool) : entry.name == tool;
}

bool needs_values(const Entry& entry) {
  const auto conditional = [](const Rule& rule) { return !is_always(rule); };
  return std::any_of(entry.require.begin(), entry.require.end(), conditional) ||
         std::any_of(entry.deny_if.begin(), entry.deny_if.end(), conditional) ||
         (entry.approval && !entry.approval->when.empty()) ||
         std::any_of(entry.limits.begin(), entry.limits.end(),
                     [](const Limit& limit) { return !limit.increment_from.empty(); });
}

}  // namespace

std::optional<Decision> decide_by_names(const Engine& engine, std::string_view grant, std::string_view server,
                                        std::string_view tool, std::optional<RiskClass> risk,
                                        std::span<const std::string> arguments) {
  const NameAnswer name = engine.judge_name(tool, risk);
  if (name != NameAnswer::kListed) return engine.judged_name(tool, name);
  const RiskClass found = risk ? *risk : engine.class_of(tool);
  bool values = false, raw = false, no_raw = false;
  for (const Entry& entry : engine.document().tools) {
    if (!applies(entry, tool, found)) continue;
    // A denial without a condition wins over whatever else is asked.
    const auto always = std::find_if(entry.deny_if.begin(), entry.deny_if.end(), is_always);
    if (always != entry.deny_if.end()) {
      Decision denial;
      denial.verdict = Verdict::kDeny;
      denial.rule = fmt::format("/tools/{}/deny_if/{}", pointer_segment(entry.name), always - entry.deny_if.begin());
      denial.message = always->on_deny.value_or("");
      return denial;
    }
    values = values || needs_values(entry);
    if (entry.result && entry.result->raw) (*entry.result->raw ? raw : no_raw) = true;
  }
  // Whether secrets were to be shown is a value, too.
  const bool may_show = std::binary_search(arguments.begin(), arguments.end(), "show_secrets");
  if (values || (risk && may_show && (!raw || no_raw))) return std::nullopt;
  const Json none = Json::object();
  return engine.decide({.grant = grant, .server = server, .tool = tool, .risk = risk, .arguments = none});
}

}  // namespace sluice::policy
