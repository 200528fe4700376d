// A connection to an HTTP proxy that forwards plain HTTP: it is given whole URLs (RFC 9112 §3.2.2) and our credentials,
// which are its alone. What the record shows of the request is what the client and the rules made of it.
#pragma once

#include <optional>
#include <string>

#include "proxy/upstream_proxy.h"

namespace sluice::proxy {

struct Forwarding {
  UpstreamProxyPtr proxy;
  std::string authority;                         // of the origin
  std::optional<connect::ProxyAuth::Sent> sent;  // with the last request

  // The same request for the proxy. `octets`: a head that is written as to an origin, and perhaps a body behind it.
  std::string request_of(Bytes octets, Entropy& entropy);
  // An answer's head came: true if it is none of the origin's but asks for credentials (407). `why`: one sentence;
  // empty if the same request may be sent again, with what is known now.
  bool is_challenge(int status, const http::FieldList& fields, std::string& why);
};

// One sentence for each: why an upstream proxy cannot be used with the credentials that there are.
std::string refused_credentials(const UpstreamProxy& proxy, connect::ProxyAuth::Verdict verdict);

}  // namespace sluice::proxy
