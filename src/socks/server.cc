#include "socks/server.h"

#include <algorithm>

#include "base/text.h"
#include "socks/address.h"

namespace sluice::socks {
namespace {

constexpr char kSocks4 = 4, kSocks5 = 5;
constexpr std::uint8_t kConnect = 1;
constexpr char kNoAuthentication = 0, kUserPassword = 2;              // RFC 1928 §3
constexpr std::string_view kNoMethod("\x05\xff", 2);                  // RFC 1928 §3: none is acceptable
constexpr std::string_view kWelcome("\x01\x00", 2);                   // RFC 1929 §2
constexpr std::string_view kWrong("\x01\x01", 2);                     // any other value: failure
constexpr char kGranted4 = 0x5a, kRejected4 = 0x5b, kUserId4 = 0x5d;  // SOCKS4: 90, 91, 93
constexpr std::size_t kFixed4 = 8;                                    // VN CD DSTPORT DSTIP

std::size_t count_at(Bytes octets, std::size_t at) { return static_cast<unsigned char>(octets[at]); }

std::string reply4(char code) { return std::string{'\0', code, '\0', '\0', '\0', '\0', '\0', '\0'}; }

}  // namespace

Result<Server::Event> Server::next() {
  switch (state_) {
    case State::kGreeting:
      if (buffer_.empty()) return Wait{};
      if (buffer_[0] == kSocks4) return read_socks4();
      if (buffer_[0] == kSocks5) return read_methods();
      return fail_with(Code::kInvalid, "this is neither SOCKS4 nor SOCKS5", "");
    case State::kCredentials:
      return read_credentials();
    case State::kRequest:
      return read_request();
    case State::kAsking:
    case State::kDone:
      return Wait{};
    case State::kFailed:
      break;
  }
  return fail(error_);
}

// VN CD DSTPORT DSTIP USERID NUL, and for 4a a name and NUL where DSTIP is 0.0.0.x.
Result<Server::Event> Server::read_socks4() {
  version_ = Version::k4;
  if (buffer_.size() < kFixed4) return Wait{};
  const Bytes octets(buffer_);
  if (octets[1] != kConnect) {
    return fail_with(Code::kRefused, "SOCKS4: only CONNECT is served, not BIND", reply4(kRejected4));
  }
  if (auth_ == Auth::kPassword) {
    return fail_with(Code::kRefused, "SOCKS4 knows no passwords, and this proxy asks for one: use SOCKS5",
                     reply4(kUserId4));
  }
  const auto text_at = [&](std::size_t at) { return octets.substr(at, kMaxText + 1).find('\0'); };
  const std::size_t user = text_at(kFixed4);
  if (user == Bytes::npos) {
    if (octets.size() < kFixed4 + kMaxText + 1) return Wait{};
    return fail_with(Code::kInvalid, "SOCKS4: the user id has no end", reply4(kRejected4));
  }
  std::size_t end = kFixed4 + user + 1;
  HostPort destination{ip_text(octets.substr(4, kIpv4Octets)), port_at(octets, 2)};
  if (octets.substr(4, 3) == Bytes("\0\0\0", 3) && octets[7] != '\0') {
    version_ = Version::k4a;
    const std::size_t name = text_at(end);
    if (name == Bytes::npos) {
      if (octets.size() < end + kMaxText + 1) return Wait{};
      return fail_with(Code::kInvalid, "SOCKS4a: the name has no end", reply4(kRejected4));
    }
    destination.host = octets.substr(end, name);
    end += name + 1;
  }
  return ask_for(std::move(destination), end);
}

// VER NMETHODS METHODS.
Result<Server::Event> Server::read_methods() {
  version_ = Version::k5;
  if (buffer_.size() < 2) return Wait{};
  const std::size_t end = 2 + count_at(buffer_, 1);
  if (buffer_.size() < end) return Wait{};
  const Bytes methods = Bytes(buffer_).substr(2, end - 2);
  const bool password = methods.find(kUserPassword) != Bytes::npos;
  const bool nothing = methods.find(kNoAuthentication) != Bytes::npos;
  buffer_.erase(0, end);
  if (auth_ == Auth::kNone && nothing) {
    state_ = State::kRequest;
    return Send{std::string{kSocks5, kNoAuthentication}};
  }
  if (password) {
    state_ = State::kCredentials;
    return Send{std::string{kSocks5, kUserPassword}};
  }
  return fail_with(Code::kRefused,
                   auth_ == Auth::kPassword ? "SOCKS5: the client offers no user name and password"
                                            : "SOCKS5: the client offers no method that is known here",
                   std::string(kNoMethod));
}

// VER ULEN UNAME PLEN PASSWD.
Result<Server::Event> Server::read_credentials() {
  const Bytes octets(buffer_);
  if (octets.size() < 2) return Wait{};
  if (octets[0] != 1) return fail_with(Code::kInvalid, "SOCKS5: unknown version of RFC 1929", std::string(kWrong));
  const std::size_t user = count_at(octets, 1);
  if (octets.size() < 3 + user) return Wait{};
  const std::size_t password = count_at(octets, 2 + user);
  const std::size_t end = 3 + user + password;
  if (octets.size() < end) return Wait{};
  Credentials given{std::string(octets.substr(2, user)), Secret(octets.substr(3 + user, password))};
  std::fill_n(buffer_.begin(), end, '\0');  // the only other copy
  buffer_.erase(0, end);
  if (auth_ == Auth::kNone) {
    state_ = State::kRequest;
    return Send{std::string(kWelcome)};
  }
  state_ = State::kAsking;
  return given;
}

std::string Server::answer(bool welcome) {
  if (welcome) {
    state_ = State::kRequest;
    return std::string(kWelcome);
  }
  (void)fail_with(Code::kRefused, "SOCKS5: wrong user name or password", "");
  return std::string(kWrong);
}

// VER CMD RSV ATYP DST.ADDR DST.PORT.
Result<Server::Event> Server::read_request() {
  const Bytes octets(buffer_);
  if (octets.size() < 5) return Wait{};
  if (octets[0] != kSocks5) return fail_with(Code::kInvalid, "SOCKS5: the request is of another version", "");
  std::size_t at = 4, length = 0;
  switch (octets[3]) {
    case 1:
      length = kIpv4Octets;
      break;
    case 3:
      length = count_at(octets, 4);
      at = 5;
      break;
    case 4:
      length = kIpv6Octets;
      break;
    default:
      return fail_with(Code::kRefused, "SOCKS5: unknown address type", refused(Refusal::kAddressType));
  }
  const std::size_t end = at + length + 2;
  if (octets.size() < end) return Wait{};
  if (octets[1] != kConnect) {
    return fail_with(Code::kRefused, "SOCKS5: only CONNECT is served, not BIND or UDP ASSOCIATE",
                     refused(Refusal::kCommand));
  }
  const Bytes address = octets.substr(at, length);
  return ask_for({octets[3] == 3 ? std::string(address) : ip_text(address), port_at(octets, at + length)}, end);
}

Result<Server::Event> Server::ask_for(HostPort destination, std::size_t consumed) {
  destination.host = to_lower(destination.host);
  if (!is_valid_host(destination.host)) {
    return fail_with(Code::kInvalid, "SOCKS: the destination is neither a name nor an address",
                     refused(Refusal::kGeneral));
  }
  if (destination.port == 0) {
    return fail_with(Code::kInvalid, "SOCKS: the destination has no port", refused(Refusal::kGeneral));
  }
  buffer_.erase(0, consumed);
  state_ = State::kDone;
  return Request{version_, std::move(destination)};
}

std::string Server::turn_away(Version version) {
  return version == Version::k5 ? std::string(kNoMethod) : reply4(kRejected4);
}

tl::unexpected<Error> Server::fail_with(Code code, std::string message, std::string farewell) {
  state_ = State::kFailed;
  farewell_ = std::move(farewell);
  error_ = {code, std::move(message)};
  return fail(error_);
}

// The bound address is left zero: no client needs it for CONNECT, and the origin may not have been dialled yet.
std::string Server::reply(std::uint8_t code) const {
  if (version_ != Version::k5) return reply4(code == 0 ? kGranted4 : kRejected4);
  return std::string{kSocks5, static_cast<char>(code), '\0', '\1', '\0', '\0', '\0', '\0', '\0', '\0'};
}

}  // namespace sluice::socks
