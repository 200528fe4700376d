#include "proxy/admission.h"

namespace sluice::proxy {

Status Admission::may_listen(const ListenAddress& address, flow::Source door) const {
  boost::system::error_code error;
  const auto parsed = net::asio::ip::make_address(address.host, error);
  if (!error && parsed.is_loopback()) return {};
  if (!clients_.empty()) return {};
  if (door == flow::Source::kTransparent) {
    return fail(Code::kRefused, "a transparent listener on " + address.host +
                                    " needs --allow-client CIDR: who, beyond this machine, may be redirected to it");
  }
  if (password_) return {};
  return fail(Code::kRefused, "listening on " + address.host +
                                  " needs --allow-client CIDR or --proxy-auth USER:FILE: who, beyond this machine, "
                                  "may use the proxy");
}

bool Admission::allows(const net::asio::ip::address& client, flow::Source door) const {
  if (password_ && clients_.empty() && door == flow::Source::kExplicit) return true;
  return is_loopback(client) || clients_.contains(client) || is_this_machine(client, door);
}

bool Admission::is_this_machine(const net::asio::ip::address& client, flow::Source door) {
  return is_loopback(client) || (door == flow::Source::kTransparent && is_local_address(client));
}

bool Admission::sends_header(const net::asio::ip::address& peer, flow::Source door) const {
  return door == flow::Source::kExplicit && header_senders_.contains(peer);
}

std::optional<FailureKind> refusal_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWelcome:
      break;
    case Verdict::kNotAllowed:
      return FailureKind::kClientNotAllowed;
    case Verdict::kTooMany:
      return FailureKind::kTooManyClients;
  }
  return std::nullopt;
}

std::string_view sentence_of(FailureKind refusal) {
  switch (refusal) {
    case FailureKind::kClientNotAllowed:
      return "this address may not use the proxy";
    case FailureKind::kTooManyClients:
      return "the proxy serves as many connections as it may";
    case FailureKind::kProxyAuth:
      return "this proxy asks for a user name and a password";
    case FailureKind::kLoop:
      return "Sluice's own connection was redirected back to it";
    default:
      return "the request was refused";
  }
}

std::optional<FailureKind> refuse_request(http::RequestHead& head, TargetKind kind, const ClientFacts& facts) {
  if (facts.refusal) return facts.refusal;
  if (!facts.credentials) return std::nullopt;
  const auto field = head.fields.find("proxy-authorization");
  const bool known = field && facts.credentials->accept_basic(*field);
  head.fields.erase("proxy-authorization");
  if (known || kind == TargetKind::kSetup) return std::nullopt;  // the set-up page holds nothing secret
  return FailureKind::kProxyAuth;
}

}  // namespace sluice::proxy
