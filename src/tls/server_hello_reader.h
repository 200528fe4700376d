// Finds the ServerHello in what a server sends, for connections that are watched and not taken part in. Pure; feed()
// the server's octets as they come. RFC 8446 §4.1.3, §5.1.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "tls/hello.h"

namespace sluice::tls {

class ServerHelloReader {
 public:
  // A HelloRetryRequest is passed over: its ServerHello follows.
  void feed(Bytes octets);
  // No more is needed: the hello is there, or there will be none (no TLS, an alert, too long).
  bool done() const { return done_; }
  const std::optional<ServerHello>& hello() const { return hello_; }

 private:
  void take_record(std::uint8_t type, Bytes fragment);
  void take_messages();

  std::string record_, handshake_;  // what is not yet whole
  std::size_t taken_ = 0;
  bool done_ = false;
  std::optional<ServerHello> hello_;
};

}  // namespace sluice::tls
