#include "proxy/target.h"

#include "base/text.h"
#include "base/url.h"

namespace sluice::proxy {
namespace {

Result<ResolvedTarget> connect_target(const http::RequestHead& head, const ClientFacts& facts) {
  if (facts.has_destination()) return fail(Code::kInvalid, "CONNECT inside a tunnel is not supported");
  if (facts.by_host) return fail(Code::kInvalid, "a redirected client speaks to a server, which takes no CONNECT");
  SLUICE_TRY(HostPort authority, parse_authority(head.target, 0));  // RFC 9112 §3.2.3: the port is required
  ResolvedTarget result{TargetKind::kConnect, {}, 0};
  result.target.host = result.target.dial_host = authority.host;
  result.target.port = result.target.dial_port = authority.port;
  return result;
}

// RFC 9112 §3.2.2: the URI decides; a Host field that differs is replaced by the caller and noted.
Result<ResolvedTarget> absolute_target(const http::RequestHead& head, const ClientFacts& facts) {
  SLUICE_TRY(Url url, parse_url(head.target));
  if (url.scheme != "http" && url.scheme != "https") {
    return fail(Code::kInvalid, "only http and https URLs can be requested through this proxy");
  }
  ResolvedTarget result;
  if (url.host == kSetupHost) result.kind = TargetKind::kSetup;
  result.target = {url.scheme, url.host, url.port, url.target, url.host, url.port, url.host};
  if (facts.has_destination()) {  // engine.md 2: inside a tunnel the address is the tunnel's
    Target& target = result.target;
    target.scheme = facts.tls ? "https" : "http";
    target.dial_host = facts.destination_host;
    target.dial_port = facts.destination_port;
    target.server_name = facts.sni.empty() ? facts.destination_host : facts.sni;
    const bool named = !facts.by_address || !facts.sni.empty();
    if (url.scheme != target.scheme || (named && url.host != target.server_name) || url.port != target.dial_port) {
      result.anomalies |= http::bit(http::Anomaly::kAuthorityMismatch);
    }
  }
  if (const auto host = head.fields.find("host")) {
    const auto named = parse_authority(*host, default_port(url.scheme));
    if (!named || named->host != url.host || named->port != url.port) {
      result.anomalies |= http::bit(http::Anomaly::kAuthorityMismatch);
    }
  }
  return result;
}

// engine.md 2: nothing else is known, so the Host field says where to.
Result<ResolvedTarget> host_target(const http::RequestHead& head) {
  const auto host = head.fields.find("host");
  if (!host || host->empty()) {
    return fail(Code::kInvalid, "where this redirected request was going is not known, and it has no Host field");
  }
  SLUICE_TRY(HostPort named, parse_authority(*host, default_port("http")));
  ResolvedTarget result;
  if (named.host == kSetupHost) result.kind = TargetKind::kSetup;
  result.target = {"http", named.host, named.port, head.target, named.host, named.port, named.host};
  return result;
}

Result<ResolvedTarget> origin_target(const http::RequestHead& head, const ClientFacts& facts) {
  if (!facts.has_destination() && facts.by_host) return host_target(head);
  ResolvedTarget result;
  if (!facts.has_destination()) {  // a visit to the port itself
    result.kind = TargetKind::kSetup;
    result.target.path = head.target;
    return result;
  }
  Target& target = result.target;
  target.scheme = facts.tls ? "https" : "http";
  target.path = head.target;
  target.dial_host = facts.destination_host;
  target.dial_port = facts.destination_port;
  target.server_name = facts.sni.empty() ? facts.destination_host : facts.sni;
  target.host = target.server_name;
  target.port = facts.destination_port;
  if (const auto host = head.fields.find("host"); host && !host->empty()) {
    SLUICE_TRY(HostPort named, parse_authority(*host, facts.destination_port));
    if ((!facts.by_address && named.host != facts.destination_host) || named.port != facts.destination_port ||
        (!facts.sni.empty() && named.host != facts.sni)) {
      result.anomalies |= http::bit(http::Anomaly::kAuthorityMismatch);
    }
    target.host = named.host;
    target.port = named.port;
  }
  if (target.host == kSetupHost) result.kind = TargetKind::kSetup;
  return result;
}

}  // namespace

Result<ResolvedTarget> resolve_target(const http::RequestHead& head, const ClientFacts& facts) {
  if (head.method == "CONNECT") return connect_target(head, facts);
  if (head.target.starts_with('/')) return origin_target(head, facts);
  if (head.target == "*" && head.method == "OPTIONS") return origin_target(head, facts);  // RFC 9112 §3.2.4
  if (head.target.find("://") != std::string::npos) return absolute_target(head, facts);
  return fail(Code::kInvalid, "the request target is neither a path nor an absolute URL");
}

Result<ResolvedTarget> TargetMemo::resolve(const http::RequestHead& head, const ClientFacts& facts) {
  const auto host = head.fields.find("host");
  const bool plain = head.target.starts_with('/') && head.method != "CONNECT" && host;
  if (plain && last_ && *host == host_field_) {
    last_->target.path = head.target;
    return *last_;
  }
  auto resolved = resolve_target(head, facts);
  if (plain && resolved) {
    host_field_ = *host;
    last_ = *resolved;
  }
  return resolved;
}

}  // namespace sluice::proxy
