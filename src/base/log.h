// The log: one line for each event, to stderr or a file, never to stdout (MCP owns it). Cores do not log; services take
// a Log&. Lines hold facts in named fields, not prose:
//
//   log.info("listening", {{"address", address}, {"port", port}});
//   2026-11-20T13:30:07.123Z info listening address=127.0.0.1 port=8080
//   {"time":"2026-11-20T13:30:07.123Z","level":"info","event":"listening","address":"127.0.0.1","port":8080}
//
// Values of strings are masked by the Redactor (by the field's name, and tokens and URLs anywhere), repaired to UTF-8,
// freed of control characters and cut; still, do not log bodies or credentials. Events and field names are literals.
// Thread-safe: a line is one write. A line that cannot be written is lost and counted, never an error.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/clock.h"
#include "base/redact.h"

namespace sluice {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };
std::string_view to_string(LogLevel level);
std::optional<LogLevel> parse_log_level(std::string_view text);  // "debug", "info", "warning", "error", "off"

enum class LogFormat : std::uint8_t { kText, kJson };

struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  template <class T>
  LogField(std::string_view field_name, const T& field_value) : name(field_name), value(convert(field_value)) {}

 private:
  template <class T>
  static decltype(value) convert(const T& from) {
    if constexpr (std::is_same_v<T, bool>) {
      return from;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(from);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      return static_cast<std::int64_t>(from);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<std::uint64_t>(from);
    } else {
      return std::string_view(from);
    }
  }
};
using LogFields = std::initializer_list<LogField>;

struct LogOptions {
  int fd = 2;  // stays the caller's; 1 is taken for 2
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

class Log {
 public:
  Log(LogOptions options, const Clock& clock, const Redactor& redactor);

  void debug(std::string_view event, LogFields fields = {}) { write(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, LogFields fields = {}) { write(LogLevel::kInfo, event, fields); }
  void warning(std::string_view event, LogFields fields = {}) { write(LogLevel::kWarning, event, fields); }
  void error(std::string_view event, LogFields fields = {}) { write(LogLevel::kError, event, fields); }
  void write(LogLevel level, std::string_view event, LogFields fields);

  bool enabled(LogLevel level) const { return level >= options_.level && level != LogLevel::kOff; }
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::string masked(std::string_view name, std::string_view value) const;
  std::string text_line(LogLevel level, std::string_view event, LogFields fields) const;
  std::string json_line(LogLevel level, std::string_view event, LogFields fields) const;

  const LogOptions options_;
  const Clock& clock_;
  const Redactor& redactor_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace sluice
