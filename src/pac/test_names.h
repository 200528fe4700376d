// For tests: names as the test says, and a clock that stands where it is put.
#pragma once

#include <cstdlib>
#include <ctime>
#include <map>

#include "base/clock.h"
#include "pac/names.h"

namespace sluice::pac {

class TestNames final : public Names {
 public:
  std::vector<std::string> resolve(const std::string& name) override {
    ++asked;
    const auto found = known.find(name);
    return found == known.end() ? std::vector<std::string>() : found->second;
  }
  std::vector<std::string> mine() override { return own; }

  std::map<std::string, std::vector<std::string>> known{
      {"ten.test", {"2001:db8::10", "10.1.2.3"}}, {"six.test", {"2001:db8::6"}}, {"out.test", {"203.0.113.9"}}};
  std::vector<std::string> own{"192.0.2.7", "2001:db8::7"};
  int asked = 0;
};

class TestClock final : public Clock {
 public:
  MonoTime mono() const override { return MonoTime(std::chrono::hours(1)); }
  WallTime wall() const override { return WallTime(std::chrono::seconds(seconds)); }
  // UTC.
  void set(int year, int month, int day, int hour = 12, int minute = 0, int second = 0) {
    std::tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    parts.tm_hour = hour;
    parts.tm_min = minute;
    parts.tm_sec = second;
    seconds = ::timegm(&parts);
  }
  std::time_t seconds = 0;
};

// Local time is this until the end of the scope.
class Zone {
 public:
  explicit Zone(const char* zone) {
    if (const char* old = std::getenv("TZ")) old_ = old;
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~Zone() {
    old_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", old_.c_str(), 1);
    ::tzset();
  }

 private:
  std::string old_;
};

}  // namespace sluice::pac
