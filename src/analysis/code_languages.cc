// Literals of languages: whatever octets stand in one, it ends where it is written to end.
#include <fmt/format.h>

#include "analysis/code_plan.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '$' && c != '`'; }

// The code point at `at` of well-formed UTF-8; moves `at` behind it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  if (first < 0x80) return first;
  const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  char32_t point = first & (0x3f >> more);
  for (int i = 0; i < more; ++i) point = (point << 6) | (static_cast<unsigned char>(text[at++]) & 0x3f);
  return point;
}

}  // namespace

std::string python_literal(std::string_view octets) {
  const bool text = is_utf8(octets);
  std::string out = text ? "\"" : "b\"";
  for (std::size_t at = 0; at < octets.size();) {
    if (!text) {
      const auto c = static_cast<unsigned char>(octets[at++]);
      out += is_plain(c) ? std::string(1, static_cast<char>(c)) : fmt::format("\\x{:02x}", c);
      continue;
    }
    const char32_t point = next_code_point(octets, at);
    if (point == '\n')
      out += "\\n";
    else if (point == '"')
      out += "\\\"";
    else if (point == '\\')
      out += "\\\\";
    else if (point == '$' || point == '`' || (point < 0x7f && is_plain(static_cast<unsigned char>(point))))
      out += static_cast<char>(point);
    else if (point < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(point));
    else if (point < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(point));
    else
      out += fmt::format("\\U{:08x}", static_cast<unsigned>(point));
  }
  return out + "\"";
}

std::string js_literal(std::string_view octets) {
  if (!is_utf8(octets)) return "Buffer.from(\"" + base64_encode(octets) + "\", \"base64\")";
  std::string out = "\"";
  for (std::size_t at = 0; at < octets.size();) {
    const char32_t point = next_code_point(octets, at);
    if (point == '\n')
      out += "\\n";
    else if (point == '"' || point == '\\')
      out += fmt::format("\\{}", static_cast<char>(point));
    else if (point == '$' || point == '`' || (point < 0x7f && is_plain(static_cast<unsigned char>(point))))
      out += static_cast<char>(point);
    else if (point < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(point));
    else
      out += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(point));
  }
  return out + "\"";
}

std::string go_literal(std::string_view octets) {
  std::string out = "\"";
  for (const char each : octets) {
    const auto c = static_cast<unsigned char>(each);
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", each);
    else if (is_plain(c) || c == '$')
      out += each;
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return out + "\"";
}

// Octal escapes end after three digits; "?" is escaped because of trigraphs.
std::string cpp_literal(std::string_view octets) {
  std::string out = "std::string(\"";
  for (const char each : octets) {
    const auto c = static_cast<unsigned char>(each);
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", each);
    else if ((is_plain(c) || c == '$') && c != '?')
      out += each;
    else
      out += fmt::format("\\{:03o}", c);
  }
  return out + fmt::format("\", {})", octets.size());
}

}  // namespace sluice::analysis
