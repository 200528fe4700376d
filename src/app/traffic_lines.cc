#include "app/traffic_lines.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sluice::app {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr std::size_t kAtOnce = 500;  // more than a terminal shows; the rest is counted
constexpr std::size_t kUrl = 160;

// A peer's octets must not steer the terminal.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, kUrl));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text.size() > kUrl ? out + "..." : out;
}

}  // namespace

TrafficLines::TrafficLines(boost::asio::io_context& io, const capture::Ring& ring)
    : timer_(io), ring_(ring), rev_(ring.last_rev()) {
  wait();
}

void TrafficLines::wait() {
  timer_.expires_after(kInterval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    print();
    wait();
  });
}

void TrafficLines::print() {
  using flow::State;
  capture::Filter filter;
  filter.after_rev = rev_;
  filter.states = {State::kDone, State::kFailed, State::kAborted, State::kDropped};
  const capture::Page page = ring_.list(filter, 0, kAtOnce);
  for (const flow::Exchange& exchange : page.exchanges) {
    const std::string outcome = exchange.failure ? "  ! " + printable(exchange.failure->message) : "";
    fmt::print("{:>3} {:<7} {}  {} B  {} ms{}{}\n", exchange.status == 0 ? "-" : std::to_string(exchange.status),
               printable(exchange.method), printable(flow::url_of(exchange)), exchange.response.body.size,
               exchange.timings.end / 1000,
               exchange.matched_rule ? "  rule_" + std::to_string(exchange.matched_rule) : "", outcome);
  }
  if (page.total > page.exchanges.size()) fmt::print("... and {} more\n", page.total - page.exchanges.size());
  if (!page.exchanges.empty()) std::fflush(stdout);
  rev_ = page.last_rev;
}

}  // namespace sluice::app
