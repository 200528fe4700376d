// The octets of a token, as a table for parsers: RFC 9110 §5.6.2.
#pragma once

#include <array>

namespace sluice::http {

inline constexpr std::array<bool, 256> kTokenOctets = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c + 32] = true;
  for (char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

constexpr bool is_token_octet(char c) { return kTokenOctets[static_cast<unsigned char>(c)]; }

}  // namespace sluice::http
