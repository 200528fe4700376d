#include "gateway/call_stats.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::gateway {
namespace {

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void one(std::string& out, std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
  head(out, name, type, help);
  out += fmt::format("{} {}\n", name, value);
}

}  // namespace

void CallStats::ended(std::string_view status, std::chrono::nanoseconds latency) {
  ++outcomes[std::string(status)];
  const double took = std::chrono::duration<double>(latency).count();
  seconds += took;
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), took) - kBounds.begin();
  ++latencies[static_cast<std::size_t>(bucket)];
}

void CallStats::add(const CallStats& more) {
  for (const auto& [key, count] : more.decisions) decisions[key] += count;
  for (const auto& [key, count] : more.outcomes) outcomes[key] += count;
  for (std::size_t i = 0; i < latencies.size(); ++i) latencies[i] += more.latencies[i];
  seconds += more.seconds;
}

// Labels are words of our own, so that nothing in them has to be escaped.
std::string metrics_text(const CallStats& stats, const GateState& state) {
  std::string out;
  head(out, "sluice_build_info", "gauge", "The version that runs.");
  out += fmt::format("sluice_build_info{{version=\"{}\"}} 1\n", state.version);
  head(out, "sluice_decisions_total", "counter", "Decisions of the gate, as the audit names them.");
  for (const auto& [key, count] : stats.decisions) {
    out += fmt::format("sluice_decisions_total{{caller=\"{}\",decision=\"{}\"}} {}\n", key.first ? "owner" : "agent",
                       key.second, count);
  }
  head(out, "sluice_calls_total", "counter", "Calls that ended, by their outcome.");
  for (const auto& [status, count] : stats.outcomes) {
    out += fmt::format("sluice_calls_total{{status=\"{}\"}} {}\n", status, count);
  }
  head(out, "sluice_call_seconds", "histogram", "How long calls took.");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < stats.latencies.size(); ++i) {
    sum += stats.latencies[i];
    const std::string bound = i < CallStats::kBounds.size() ? fmt::format("{}", CallStats::kBounds[i]) : "+Inf";
    out += fmt::format("sluice_call_seconds_bucket{{le=\"{}\"}} {}\n", bound, sum);
  }
  out += fmt::format("sluice_call_seconds_sum {}\nsluice_call_seconds_count {}\n", stats.seconds, sum);
  one(out, "sluice_calls_running", "gauge", "Calls that run now.", state.running);
  one(out, "sluice_approvals_pending", "gauge", "Calls of the home that wait for a person.", state.approvals_pending);
  one(out, "sluice_gate_closed", "gauge", "1 while every call is denied.", state.closed ? 1 : 0);
  one(out, "sluice_audit_lost_total", "counter", "Audit lines that could not be written.", state.audit_lost);
  one(out, "sluice_kept_calls_lost_total", "counter", "Calls that --record-calls could not keep.", state.calls_lost);
  return out;
}

}  // namespace sluice::gateway
