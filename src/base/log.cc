#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/json.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr auto kLevels = std::to_array<std::string_view>({"debug", "info", "warning", "error", "off"});
constexpr std::size_t kLongestValue = 1'000;  // octets of one field: a line stays readable, and one write

LogOptions never_stdout(LogOptions options) {
  if (options.fd == STDOUT_FILENO) options.fd = STDERR_FILENO;
  return options;
}

bool needs_quotes(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
  }
  return text.empty();
}

// A terminal obeys control characters, C1 ones too: whoever chooses a host name must not steer it.
std::string without_controls(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto octet = static_cast<unsigned char>(utf8[i]);
    const auto next = i + 1 < utf8.size() ? static_cast<unsigned char>(utf8[i + 1]) : 0;
    if (octet == 0xc2 && next < 0xa0) {
      out += fmt::format("<{:02x}>", next);
      ++i;
    } else if (octet < ' ' || octet == 0x7f) {
      out += fmt::format("<{:02x}>", octet);
    } else {
      out.push_back(utf8[i]);
    }
  }
  return out;
}

}  // namespace

std::string_view to_string(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == text) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

Log::Log(LogOptions options, const Clock& clock, const Redactor& redactor)
    : options_(never_stdout(options)), clock_(clock), redactor_(redactor) {}

void Log::write(LogLevel level, std::string_view event, LogFields fields) {
  if (!enabled(level)) return;
  const std::string line =
      options_.format == LogFormat::kJson ? json_line(level, event, fields) : text_line(level, event, fields);
  const std::lock_guard guard(mutex_);
  Bytes rest = line;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(options_.fd, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {  // a full pipe or disk, a closed terminal: the program goes on without its log
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

std::string Log::masked(std::string_view name, std::string_view value) const {
  // Masked before it is cut: a mask must not lose its end, nor a secret what gives it away.
  std::string text = without_controls(repair_utf8(redactor_.mask_member(name, value).text));
  if (text.size() <= kLongestValue) return text;
  std::size_t end = kLongestValue;
  while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string Log::text_line(LogLevel level, std::string_view event, LogFields fields) const {
  std::string line = fmt::format("{} {} {}", iso8601_ms(clock_.wall()), to_string(level), event);
  for (const LogField& field : fields) {
    line += fmt::format(" {}=", field.name);
    if (const auto* value = std::get_if<std::string_view>(&field.value)) {
      const std::string text = masked(field.name, *value);
      line += needs_quotes(text) ? dump_json(text) : text;
    } else {
      std::visit([&](const auto& plain) { line += fmt::format("{}", plain); }, field.value);
    }
  }
  line.push_back('\n');
  return line;
}

std::string Log::json_line(LogLevel level, std::string_view event, LogFields fields) const {
  Json object = {{"time", iso8601_ms(clock_.wall())}, {"level", to_string(level)}, {"event", event}};
  for (const LogField& field : fields) {
    Json& member = object[std::string(field.name)];
    if (const auto* value = std::get_if<std::string_view>(&field.value)) {
      member = masked(field.name, *value);
    } else {
      std::visit([&](const auto& plain) { member = plain; }, field.value);
    }
  }
  return dump_json(object) + "\n";
}

}  // namespace sluice
