// JA3 and JA3S: the method is published by Salesforce under BSD-3-Clause (John Althouse, Jeff Atkinson, Josh Atkins).
// MD5 is part of its definition, not a measure of security.
#include <charconv>

#include "fingerprint/digest.h"
#include "fingerprint/fingerprint.h"

namespace sluice::fingerprint {
namespace {

void append_number(std::string& text, unsigned value) {
  char digits[8];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  text.append(digits, end);
}

enum class Grease { kDropped, kKept };

// Decimal values joined by '-'.
template <class Values, class Get>
void append_list(std::string& text, const Values& values, Grease grease, Get get) {
  const std::size_t start = text.size();
  for (const auto& value : values) {
    const std::uint16_t number = get(value);
    if (grease == Grease::kDropped && tls::is_grease(number)) continue;
    if (text.size() != start) text += '-';
    append_number(text, number);
  }
}

constexpr auto kSame = [](std::uint16_t value) { return value; };
constexpr auto kType = [](const tls::Extension& extension) { return extension.type; };

}  // namespace

Print ja3(const tls::ClientHello& hello) {
  Print print;
  append_number(print.text, hello.legacy_version);
  print.text += ',';
  append_list(print.text, hello.cipher_suites, Grease::kDropped, kSame);
  print.text += ',';
  append_list(print.text, hello.extensions, Grease::kDropped, kType);
  print.text += ',';
  append_list(print.text, hello.supported_groups, Grease::kDropped, kSame);
  print.text += ',';
  append_list(print.text, hello.point_formats, Grease::kKept, kSame);
  print.hash = md5_hex(print.text);
  return print;
}

Print ja3s(const tls::ServerHello& hello) {
  Print print;
  append_number(print.text, hello.legacy_version);
  print.text += ',';
  append_number(print.text, hello.cipher_suite);
  print.text += ',';
  append_list(print.text, hello.extensions, Grease::kKept, kType);
  print.hash = md5_hex(print.text);
  return print;
}

}  // namespace sluice::fingerprint
