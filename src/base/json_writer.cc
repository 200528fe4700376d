#include "base/json_writer.h"

#include <charconv>
#include <cstdint>
#include <cstring>

#include "base/json_spelling.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::uint64_t all(unsigned char octet) { return 0x0101010101010101u * octet; }
// A high bit where an octet is zero; perhaps one above it, too.
constexpr std::uint64_t zeros(std::uint64_t octets) { return (octets - all(1)) & ~octets & all(0x80); }

enum class Octets { kAscii, kUtf8 };  // what may stand in a run

// How many octets from the front on stand for themselves: no quote, no backslash, no control.
std::size_t plain_run(std::string_view text, Octets octets_allowed) {
  const unsigned char high = octets_allowed == Octets::kUtf8 ? 0 : 0x80;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t octets = 0;
    std::memcpy(&octets, text.data() + at, 8);
    const std::uint64_t control = (octets - all(0x20)) & ~octets & all(0x80);
    if (control | zeros(octets ^ all('"')) | zeros(octets ^ all('\\')) | (octets & all(high))) break;
  }
  for (; at < text.size(); ++at) {
    const auto octet = static_cast<unsigned char>(text[at]);
    if (octet < 0x20 || (octet & high) || octet == '"' || octet == '\\') break;
  }
  return at;
}

void write_escaped(unsigned char octet, std::string& out) {
  constexpr std::string_view kNamed = "\b\f\n\r\t\"\\", kNames = "bfnrt\"\\";
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '\\';
  if (const std::size_t at = kNamed.find(static_cast<char>(octet)); at != kNamed.npos) {
    out += kNames[at];
  } else {
    out += "u00";
    out += kHex[octet >> 4];
    out += kHex[octet & 15];
  }
}

void write_string(std::string_view text, std::string& out) {
  Octets allowed = Octets::kAscii;
  out += '"';
  const std::size_t begun = out.size();
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t run = plain_run(rest, allowed);
    out += rest.substr(0, run);
    rest.remove_prefix(run);
    if (rest.empty()) break;
    const auto octet = static_cast<unsigned char>(rest.front());
    if (octet < 0x80) {
      write_escaped(octet, out);
      rest.remove_prefix(1);
    } else if (is_utf8(rest)) {
      allowed = Octets::kUtf8;
    } else {
      out.resize(begun - 1);
      out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
      return;
    }
  }
  out += '"';
}

template <class Number>
void write_integer(Number number, std::string& out) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

void write_json(const Json& value, Spelling spelling, std::string& out) {
  switch (value.type()) {
    case Json::value_t::null:
      out += "null";
      return;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case Json::value_t::number_integer:
      return write_integer(value.get<std::int64_t>(), out);
    case Json::value_t::number_unsigned:
      return write_integer(value.get<std::uint64_t>(), out);
    case Json::value_t::string:
      return write_string(value.get_ref<const std::string&>(), out);
    case Json::value_t::array:
      out += '[';
      for (const Json& one : value.get_ref<const Json::array_t&>()) {
        write_json(one, spelling, out);
        out += ',';
      }
      if (value.empty()) out += ']';
      out.back() = ']';
      return;
    case Json::value_t::object:
      out += '{';
      for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
        write_string(name, out);
        out += ':';
        write_json(member, spelling, out);
        out += ',';
      }
      if (value.empty()) out += '}';
      out.back() = '}';
      return;
    case Json::value_t::binary:
      if (spelling == Spelling::kAsRead) {
        out += spelling_of(value);
        return;
      }
      break;
    case Json::value_t::number_float:
    case Json::value_t::discarded:
      break;
  }
  out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice
