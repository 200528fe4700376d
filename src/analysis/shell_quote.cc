#include "analysis/shell_quote.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sluice::analysis {
namespace {

bool is_control(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return (octet < 0x20 && c != '\n' && c != '\t') || octet == 0x7f;
}

// U+0080 to U+009F steer some terminals as well.
bool holds_control(Bytes octets) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (is_control(octets[i])) return true;
    if (octets[i] == '\xc2' && i + 1 < octets.size() && static_cast<unsigned char>(octets[i + 1]) < 0xa0) return true;
  }
  return false;
}

}  // namespace

std::string shell_quote(Bytes octets) {
  if (is_utf8(octets) && !holds_control(octets)) {
    std::string word = "'";
    for (const char c : octets) {
      if (c == '\'') {
        word += "'\\''";
      } else {
        word += c;
      }
    }
    return word + "'";
  }
  std::string word = "$'";
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '\0') continue;
    if (c == '\'' || c == '\\') {
      word += '\\';
      word += c;
    } else if (octet < 0x20 || octet >= 0x7f) {
      word += fmt::format("\\{:03o}", octet);
    } else {
      word += c;
    }
  }
  return word + "'";
}

}  // namespace sluice::analysis
