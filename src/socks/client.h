// The client's end of SOCKS4, 4a and 5: asks a SOCKS server for a connection. Octets in, octets to write out.
//
//   auto client = Client::create({Protocol::k5h, {"site.example", 443}, "user", "password"});
//   for (;;) { auto event = client->next(); Send: write; Wait: read, feed(); Connected: take_rest() and go on }
//
// k4 and k5 carry an address, which the caller resolves first (takes_address()); k4a and k5h carry the name and let
// the server resolve it; both take literals too. A user name with k4 and k4a is the user id. RFC 1928, 1929.
//
// Errors of create(): kInvalid (a name where an address is needed, texts too long, a password for SOCKS4). Of next():
// kRefused (wrong credentials, no method in common, not allowed), kUnavailable (the server could not connect),
// kTimeout (it says that this took too long), kInvalid (not SOCKS). refusal() has the server's reason. Keeps at most
// one reply and the last feed. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/url.h"
#include "socks/socks.h"

namespace sluice::socks {

enum class Protocol : std::uint8_t { k4, k4a, k5, k5h };         // URL schemes socks4, socks4a, socks5, socks5h
std::optional<Protocol> find_protocol(std::string_view scheme);  // "socks" is socks5h, as mostly meant
constexpr bool takes_address(Protocol protocol) { return protocol == Protocol::k4 || protocol == Protocol::k5; }

struct ClientOptions {
  Protocol protocol = Protocol::k5h;
  HostPort destination;
  std::string user;  // empty: no credentials are offered
  Secret password;
};

class Client {
 public:
  static Result<Client> create(ClientOptions options);

  struct Wait {};
  struct Send {
    std::string octets;
  };
  struct Connected {
    HostPort bound;  // what the server says it is bound to; mostly 0.0.0.0:0
  };
  using Event = std::variant<Wait, Send, Connected>;

  void feed(Bytes octets) { buffer_ += octets; }
  Result<Event> next();
  std::optional<Refusal> refusal() const { return refusal_; }
  // What was fed behind the reply: the tunnel's first octets.
  std::string take_rest() { return std::move(buffer_); }

 private:
  enum class State { kStart, kMethod, kCredentials, kReply4, kReply5, kConnected, kFailed };
  explicit Client(ClientOptions options) : options_(std::move(options)) {}

  Result<Event> read_method();
  Result<Event> read_welcome();
  Result<Event> read_reply4();
  Result<Event> read_reply5();
  std::string request4() const;
  std::string request5() const;
  std::string credentials() const;
  tl::unexpected<Error> fail_with(Code code, std::string message);
  tl::unexpected<Error> fail_with(Refusal refusal);

  ClientOptions options_;
  State state_ = State::kStart;
  std::string buffer_;
  std::optional<Refusal> refusal_;
  Error error_;
};

}  // namespace sluice::socks
