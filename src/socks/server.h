// The server's end of SOCKS4, 4a and 5, up to the reply: octets in, what the client asks for and octets to write out.
//
//   Server server(Server::Auth::kNone);
//   server.feed(octets);
//   while (auto event = server.next()) …  // Wait: read more; Send: write; Credentials: write answer(…); Request: done
//   On an error write farewell() and close. After a Request write granted() or refused(…); take_rest() belongs to the
//   tunnel.
//
// Only CONNECT is served: BIND and UDP ASSOCIATE get their reply code. SOCKS4 user ids are read and forgotten. With
// Auth::kPassword SOCKS4 is refused (it knows no passwords), and SOCKS5 without the method of RFC 1929. With
// Auth::kNone a client that offers nothing but RFC 1929 is taken at whatever it says.
//
// Errors: kInvalid (malformed), kRefused (no method in common, a command or address type that is not served, SOCKS4
// where a password is needed, wrong credentials). While it waits it keeps fewer than kLongestPart octets. Not
// thread-safe.
#pragma once

#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/url.h"
#include "socks/socks.h"

namespace sluice::socks {

class Server {
 public:
  enum class Auth { kNone, kPassword };
  explicit Server(Auth auth) : auth_(auth) {}

  struct Wait {};  // more octets are needed
  struct Send {
    std::string octets;
  };
  struct Credentials {  // RFC 1929: next() waits for answer()
    std::string user;
    Secret password;
  };
  struct Request {
    Version version = Version::k5;
    HostPort destination;  // name in lower case, or IP literal
  };
  using Event = std::variant<Wait, Send, Credentials, Request>;

  static constexpr std::size_t kLongestPart = 8 + 2 * (kMaxText + 1);  // SOCKS4a; RFC 1929 has 513

  void feed(Bytes octets) { buffer_ += octets; }
  Result<Event> next();
  std::size_t kept() const { return buffer_.size(); }
  // The octets that answer Credentials; after a refusal next() fails.
  std::string answer(bool welcome);

  // The replies to a Request.
  std::string granted() const { return reply(0); }
  std::string refused(Refusal why) const { return reply(static_cast<std::uint8_t>(why)); }
  // For one that is not served, whatever it asks: to be written instead of reading on.
  static std::string turn_away(Version version);
  // After an error: what to write before closing; may be empty.
  const std::string& farewell() const { return farewell_; }
  // What was fed behind the request.
  std::string take_rest() { return std::move(buffer_); }

 private:
  enum class State { kGreeting, kCredentials, kAsking, kRequest, kDone, kFailed };

  Result<Event> read_socks4();
  Result<Event> read_methods();
  Result<Event> read_credentials();
  Result<Event> read_request();
  Result<Event> ask_for(HostPort destination, std::size_t consumed);
  tl::unexpected<Error> fail_with(Code code, std::string message, std::string farewell);
  std::string reply(std::uint8_t code) const;

  const Auth auth_;
  State state_ = State::kGreeting;
  Version version_ = Version::k5;
  std::string buffer_, farewell_;
  Error error_;
};

}  // namespace sluice::socks
