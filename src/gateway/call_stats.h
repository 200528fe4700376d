// Counts of calls since the start, for /metrics: what was decided, how they ended, how long they took. No names of
// tools, grants or arguments. Control thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice::gateway {

struct CallStats {
  // Upper bounds of the buckets, in seconds; the last bucket has none.
  static constexpr std::array<double, 9> kBounds{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60};

  void decided(bool owner, std::string_view decision) { ++decisions[{owner, std::string(decision)}]; }
  void ended(std::string_view status, std::chrono::nanoseconds latency);
  void add(const CallStats& more);  // of another gate of the same program

  std::map<std::pair<bool, std::string>, std::uint64_t> decisions;  // by owner, and the audit's word
  std::map<std::string, std::uint64_t> outcomes;                    // by the audit's word
  std::array<std::uint64_t, kBounds.size() + 1> latencies{};
  double seconds = 0;  // all together
};

// What else a scrape shows.
struct GateState {
  std::string_view version;
  std::uint64_t running = 0, audit_lost = 0, calls_lost = 0;
  std::uint64_t approvals_pending = 0;
  bool closed = false;
};
// Prometheus's text format, version 0.0.4.
std::string metrics_text(const CallStats& stats, const GateState& state);

}  // namespace sluice::gateway
