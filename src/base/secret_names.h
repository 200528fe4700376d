// Which header fields, parameters and JSON members hold secrets: one fixed list, by name alone (engine.md 8).
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum class SecretShape : std::uint8_t {
  kWhole,        // the value
  kCredentials,  // "Bearer VALUE": a known scheme's word stays (RFC 9110 §11.4)
  kCookies,      // "name=VALUE; name=VALUE" (RFC 6265 §4.2)
  kSetCookie,    // "name=VALUE; Attribute=…" (RFC 6265 §4.1)
};

struct SecretName {
  std::string_view name;  // lower case, without '-' and '_'
  std::string_view kind;  // the word in the mask
  SecretShape shape = SecretShape::kWhole;
};

// Case, '-', '_' and a leading "x-" make no difference; of "user[password]" and "user.password" the last part counts.
const SecretName* find_secret_name(std::string_view name);

}  // namespace sluice
