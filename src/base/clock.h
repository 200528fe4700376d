// The only source of time. Cores take a time as an argument; services take a Clock&, so that tests move it by hand.
// Thread-safe: reading a Clock from any thread is allowed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

using Duration = std::chrono::nanoseconds;
// Monotonic; for durations and deadlines. Its zero has no meaning.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// Wall clock; for what people and records read.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime mono() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonoTime mono() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// Stands still until told to move.
class FakeClock final : public Clock {
 public:
  MonoTime mono() const override { return mono_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration by) {
    mono_ += by;
    wall_ += by;
  }

 private:
  MonoTime mono_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'700'000'000)};
};

inline std::int64_t unix_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
// 2026-11-20T13:30:07.123Z
std::string iso8601_ms(WallTime time);

}  // namespace sluice
