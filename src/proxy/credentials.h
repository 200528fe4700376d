// The user name and password that clients of the explicit listeners must give: Basic (RFC 7617) in HTTP, RFC 1929 in
// SOCKS5. Immutable; thread-safe. Compared in constant time; never logged, never forwarded.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace sluice::proxy {

class ProxyCredentials {
 public:
  // kInvalid: empty, longer than 255 octets (RFC 1929), or a colon in the user name (RFC 7617 §2).
  static Result<ProxyCredentials> create(std::string_view user, Bytes password);

  bool accept(Bytes user, Bytes password) const;
  // The value of a Proxy-Authorization field.
  bool accept_basic(std::string_view field) const;

 private:
  explicit ProxyCredentials(Secret joined) : joined_(std::move(joined)) {}
  Secret joined_;  // "user:password"
};

}  // namespace sluice::proxy
