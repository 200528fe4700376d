#include "socks/client.h"

#include "socks/address.h"

namespace sluice::socks {
namespace {

constexpr char kNoAuthentication = 0, kUserPassword = 2;
constexpr std::size_t kReply4 = 8;

bool is_socks4(Protocol protocol) { return protocol == Protocol::k4 || protocol == Protocol::k4a; }

}  // namespace

std::optional<Protocol> find_protocol(std::string_view scheme) {
  if (scheme == "socks4") return Protocol::k4;
  if (scheme == "socks4a") return Protocol::k4a;
  if (scheme == "socks5") return Protocol::k5;
  if (scheme == "socks5h" || scheme == "socks") return Protocol::k5h;
  return std::nullopt;
}

Result<Client> Client::create(ClientOptions options) {
  const std::string address = ip_octets(options.destination.host);
  const bool old = is_socks4(options.protocol);
  if (takes_address(options.protocol) && address.empty()) {
    return fail(Code::kInvalid,
                "this kind of SOCKS needs an address, not a name: resolve it, or use socks4a or socks5h");
  }
  if (old && address.size() == kIpv6Octets) return fail(Code::kInvalid, "SOCKS4 cannot reach IPv6 addresses");
  if (options.destination.host.size() > kMaxText || !is_valid_host(options.destination.host)) {
    return fail(Code::kInvalid, "the destination is neither a name nor an address");
  }
  if (old && !options.password.empty()) return fail(Code::kInvalid, "SOCKS4 knows no passwords: use SOCKS5");
  if (options.user.size() > kMaxText || options.password.view().size() > kMaxText) {
    return fail(Code::kInvalid, "a SOCKS user name or password has at most 255 octets");
  }
  if (old && options.user.find('\0') != std::string::npos) {
    return fail(Code::kInvalid, "a SOCKS4 user id holds no NUL");
  }
  if (!old && options.user.empty() != options.password.empty()) {
    return fail(Code::kInvalid, "SOCKS5 takes a user name and a password, or neither");  // RFC 1929: 1 to 255 octets
  }
  return Client(std::move(options));
}

Result<Client::Event> Client::next() {
  switch (state_) {
    case State::kStart:
      if (is_socks4(options_.protocol)) {
        state_ = State::kReply4;
        return Send{request4()};
      }
      state_ = State::kMethod;
      if (options_.user.empty()) return Send{std::string{5, 1, kNoAuthentication}};
      return Send{std::string{5, 2, kNoAuthentication, kUserPassword}};
    case State::kMethod:
      return read_method();
    case State::kCredentials:
      return read_welcome();
    case State::kReply4:
      return read_reply4();
    case State::kReply5:
      return read_reply5();
    case State::kConnected:
      return Wait{};
    case State::kFailed:
      break;
  }
  return fail(error_);
}

Result<Client::Event> Client::read_method() {
  if (buffer_.size() < 2) return Wait{};
  const char version = buffer_[0], method = buffer_[1];
  buffer_.erase(0, 2);
  if (version != 5) return fail_with(Code::kInvalid, "the SOCKS proxy does not speak SOCKS5");
  if (method == kNoAuthentication) {
    state_ = State::kReply5;
    return Send{request5()};
  }
  if (method == kUserPassword && !options_.user.empty()) {
    state_ = State::kCredentials;
    return Send{credentials()};
  }
  return fail_with(Code::kRefused, options_.user.empty()
                                       ? "the SOCKS proxy asks for authentication"
                                       : "the SOCKS proxy takes neither a user name and password nor none");
}

Result<Client::Event> Client::read_welcome() {
  if (buffer_.size() < 2) return Wait{};
  const char version = buffer_[0], status = buffer_[1];
  buffer_.erase(0, 2);
  if (version != 1) return fail_with(Code::kInvalid, "the SOCKS proxy's answer to the password is malformed");
  if (status != 0) return fail_with(Code::kRefused, "the SOCKS proxy refused the user name or password");
  state_ = State::kReply5;
  return Send{request5()};
}

Result<Client::Event> Client::read_reply4() {
  if (buffer_.size() < 2) return Wait{};
  if (buffer_[0] != 0) return fail_with(Code::kInvalid, "the SOCKS proxy's reply is malformed");
  switch (static_cast<unsigned char>(buffer_[1])) {
    case 0x5a:
      break;
    case 0x5c:
    case 0x5d:
      refusal_ = Refusal::kNotAllowed;
      return fail_with(Code::kRefused, "the SOCKS proxy refused the user id");
    default:
      return fail_with(Refusal::kGeneral);
  }
  if (buffer_.size() < kReply4) return Wait{};
  Connected connected{{ip_text(Bytes(buffer_).substr(4, kIpv4Octets)), port_at(buffer_, 2)}};
  buffer_.erase(0, kReply4);
  state_ = State::kConnected;
  return connected;
}

Result<Client::Event> Client::read_reply5() {
  const Bytes octets(buffer_);
  if (octets.size() < 2) return Wait{};
  if (octets[0] != 5) return fail_with(Code::kInvalid, "the SOCKS proxy's reply is malformed");
  const auto code = static_cast<unsigned char>(octets[1]);
  if (code != 0) {  // known before the address, which some servers leave out
    const bool known = code <= static_cast<unsigned char>(Refusal::kAddressType);
    return fail_with(known ? static_cast<Refusal>(code) : Refusal::kGeneral);
  }
  if (octets.size() < 5) return Wait{};
  std::size_t at = 4, length = 0;
  switch (octets[3]) {
    case 1:
      length = kIpv4Octets;
      break;
    case 3:
      length = static_cast<unsigned char>(octets[4]);
      at = 5;
      break;
    case 4:
      length = kIpv6Octets;
      break;
    default:
      return fail_with(Code::kInvalid, "the SOCKS proxy's reply is malformed");
  }
  const std::size_t end = at + length + 2;
  if (octets.size() < end) return Wait{};
  const Bytes address = octets.substr(at, length);
  Connected connected{{octets[3] == 3 ? std::string(address) : ip_text(address), port_at(octets, at + length)}};
  buffer_.erase(0, end);
  state_ = State::kConnected;
  return connected;
}

std::string Client::request4() const {
  std::string out{4, 1};
  append_port(out, options_.destination.port);
  const std::string address = ip_octets(options_.destination.host);
  out += address.empty() ? std::string("\0\0\0\1", 4) : address;
  out += options_.user;
  out += '\0';
  if (address.empty()) out += options_.destination.host + '\0';
  return out;
}

std::string Client::request5() const {
  std::string out{5, 1, 0};
  const std::string& host = options_.destination.host;
  const std::string address = ip_octets(host);
  if (address.empty()) {
    out += {3, static_cast<char>(host.size())};
    out += host;
  } else {
    out += static_cast<char>(address.size() == kIpv4Octets ? 1 : 4);
    out += address;
  }
  append_port(out, options_.destination.port);
  return out;
}

std::string Client::credentials() const {
  std::string out{1, static_cast<char>(options_.user.size())};
  out += options_.user;
  out += static_cast<char>(options_.password.view().size());
  out += options_.password.view();
  return out;
}

tl::unexpected<Error> Client::fail_with(Code code, std::string message) {
  state_ = State::kFailed;
  error_ = {code, std::move(message)};
  return fail(error_);
}

tl::unexpected<Error> Client::fail_with(Refusal refusal) {
  refusal_ = refusal;
  Code code = Code::kUnavailable;
  if (refusal == Refusal::kNotAllowed) code = Code::kRefused;
  if (refusal == Refusal::kTimedOut) code = Code::kTimeout;
  return fail_with(code, "the SOCKS proxy says: " + std::string(to_string(refusal)));
}

}  // namespace sluice::socks
