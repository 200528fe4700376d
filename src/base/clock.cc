#include "base/clock.h"

#include <fmt/chrono.h>

#include <ctime>

namespace sluice {

std::string iso8601_ms(WallTime time) {
  const std::int64_t ms = unix_ms(time);
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, ms % 1000);
}

}  // namespace sluice
