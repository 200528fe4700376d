// Percent-encoding of a value for a URL or a form: all but what RFC 3986 §2.3 calls unreserved. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::analysis {

inline std::string percent_encode(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '_' || c == '.' || c == '~';
    if (unreserved)
      out += c;
    else
      out.append("%").append(1, "0123456789ABCDEF"[octet >> 4]).append(1, "0123456789ABCDEF"[octet & 15]);
  }
  return out;
}

}  // namespace sluice::analysis
