#include "pac/script_text.h"

#include "base/text.h"

namespace sluice::pac {
namespace {

constexpr char32_t kReplacement = 0xfffd;

void append(std::string& out, char32_t point) {
  const auto put = [&](char32_t octet) { out.push_back(static_cast<char>(octet)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 0x3f));
  } else {
    if (point < 0x10000) {
      put(0xe0 | point >> 12);
    } else {
      put(0xf0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3f));
    }
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }
}

std::string from_latin1(Bytes octets) {
  std::string out;
  for (const char c : octets) append(out, static_cast<unsigned char>(c));
  return out;
}

std::string from_utf16(Bytes octets, bool big) {
  std::string out;
  const auto unit = [&](std::size_t at) -> char32_t {
    const auto first = static_cast<unsigned char>(octets[at]), second = static_cast<unsigned char>(octets[at + 1]);
    return static_cast<char32_t>(big ? first << 8 | second : second << 8 | first);
  };
  for (std::size_t at = 0; at + 1 < octets.size(); at += 2) {
    char32_t point = unit(at);
    if (point >= 0xd800 && point < 0xdc00 && at + 3 < octets.size() && (unit(at + 2) & 0xfc00) == 0xdc00) {
      point = 0x10000 + ((point & 0x3ff) << 10) + (unit(at + 2) & 0x3ff);
      at += 2;
    }
    append(out, point >= 0xd800 && point < 0xe000 ? kReplacement : point);
  }
  return out;
}

}  // namespace

std::string decode_script(Bytes octets) {
  if (octets.starts_with("\xff\xfe")) return from_utf16(octets.substr(2), false);
  if (octets.starts_with("\xfe\xff")) return from_utf16(octets.substr(2), true);
  if (octets.starts_with("\xef\xbb\xbf")) return repair_utf8(octets.substr(3));
  return is_utf8(octets) ? std::string(octets) : from_latin1(octets);
}

}  // namespace sluice::pac
