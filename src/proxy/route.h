// Everything that makes one upstream connection usable for a request instead of another: engine.md 7.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/upstream_proxy.h"
#include "tls/session.h"

namespace sluice::proxy {

// Without repetitions; an empty name is nobody's.
inline void add_grant(std::vector<std::string>& grants, const std::string& grant) {
  if (!grant.empty() && std::find(grants.begin(), grants.end(), grant) == grants.end()) grants.push_back(grant);
}

struct TlsProfile {
  std::string server_name;  // SNI and the name to verify
  tls::Verify verify = tls::Verify::kRequired;
  std::vector<std::string> alpn;
  tls::ClientIdentityPtr identity;  // our certificate there; null: none
  tls::MoreTrustPtr trust;          // CAs for this origin; null: the usual ones
  tls::Version minimum = tls::Version::k1_2;
  bool legacy = false;  // ClientOptions::legacy
  friend bool operator==(const TlsProfile&, const TlsProfile&) = default;
};

// Scheme and host of the URL do not matter for reuse; the address, the TLS profile and the identity do.
struct Route {
  bool tls = false;
  std::string dial_host;
  std::uint16_t dial_port = 0;
  bool http2 = false;    // HTTP/2 by prior knowledge (RFC 9113 §3.3); only without tls
  TlsProfile profile;    // only if tls
  std::string identity;  // whose credentials the connection carries; empty: nobody's
  bool remote = false;   // for a client beyond this machine: what it may not dial it may not find open either
  UpstreamProxyPtr via;  // the upstream proxy that leads there; null: none
  bool tunnel = false;   // octets through `via` where it might forward HTTP (may_forward)
  // Who sends it there: grants by their calls and their rules, none for what a client asked for itself. Beside it, for
  // the key, what their policies say now and that of whoever set `via` (net::Egress::revision).
  std::vector<std::string> grants;
  std::string egress;
  friend bool operator==(const Route&, const Route&) = default;

  std::string key() const {
    std::string key;
    key.reserve(dial_host.size() + identity.size() + profile.server_name.size() + egress.size() + 48);
    key.append(remote ? "r" : "").append(tls ? "s " : http2 ? "h " : "p ").append(dial_host).append(" ");
    key.append(std::to_string(dial_port)).append(" ").append(identity);
    if (via) key += " via " + std::to_string(via->id()) + (tunnel ? "t" : "");
    if (tls) {
      key.append(" ").append(profile.server_name).append(profile.verify == tls::Verify::kRequired ? " v" : " r");
      for (const auto& protocol : profile.alpn) key.append(" ").append(protocol);
      if (profile.identity) key += " as " + tls::fingerprint_of(*profile.identity);
      if (profile.trust) key += " by " + tls::fingerprint_of(*profile.trust);
      if (profile.minimum != tls::Version::k1_2) key += " from " + std::to_string(static_cast<int>(profile.minimum));
      if (profile.legacy) key += " legacy";
    }
    key += egress;
    return key;
  }
};

}  // namespace sluice::proxy
