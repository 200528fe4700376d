#include "base/clock.h"

#include <fmt/chrono.h>

#include <ctime>

namespace sluice {

std::string iso8601_ms(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto whole_seconds = std::chrono::floor<std::chrono::seconds>(whole);
  const std::time_t seconds = static_cast<std::time_t>(whole_seconds.count());
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, (whole - whole_seconds).count());
}

}  // namespace sluice
