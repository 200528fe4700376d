#include "app/timeout_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace sluice::app {
namespace {

constexpr double kLeast = 0.01, kMost = 7 * 86'400;  // seconds

struct Named {
  std::string_view name;
  std::chrono::milliseconds Timeouts::*value;
};

constexpr std::array kNames{
    Named{"connect", &Timeouts::connect},
    Named{"tls", &Timeouts::tls},
    Named{"client-head", &Timeouts::client_head},
    Named{"first-byte", &Timeouts::first_byte},
    Named{"idle", &Timeouts::idle},
    Named{"websocket-idle", &Timeouts::websocket_idle},
    Named{"upstream-idle", &Timeouts::upstream_idle},
    Named{"server-first", &Timeouts::server_first},
};

Error usage(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Named& each : kNames) names.push_back(each.name);
  const auto near = nearest(name, names);
  return {Code::kInvalid, fmt::format("--timeout takes NAME=SECONDS, from {} to {}; the names are {}{}", kLeast, kMost,
                                      fmt::join(names, ", "), near ? fmt::format("; did you mean {}?", *near) : "")};
}

}  // namespace

Result<Timeouts> parse_timeouts(const std::vector<std::string>& entries) {
  Timeouts timeouts;
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) return fail(usage(""));
    const std::string_view name = std::string_view(entry).substr(0, equals);
    const char* const end = entry.data() + entry.size();
    double seconds = 0;
    const auto [stop, problem] = std::from_chars(entry.data() + equals + 1, end, seconds);
    const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const Named& each) { return each.name == name; });
    if (found == kNames.end()) return fail(usage(name));
    if (problem != std::errc() || stop != end || !(seconds >= kLeast && seconds <= kMost)) return fail(usage(""));
    timeouts.*(found->value) = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1'000));
  }
  return timeouts;
}

}  // namespace sluice::app
