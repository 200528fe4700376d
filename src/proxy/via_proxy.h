// The dialogues with upstream proxies over a connection to one: CONNECT and SOCKS, until the stream leads to the
// origin. They know a proxy as a net::Stream, so that tests lie to them over memory. docs/upstream.md.
#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "base/entropy.h"
#include "base/url.h"
#include "net/stream.h"
#include "proxy/error_reply.h"
#include "proxy/upstream_proxy.h"

namespace sluice::proxy {

struct ViaFailure {
  FailureKind kind = FailureKind::kUpstreamProxy;
  std::string message;     // one sentence, with the proxy as it may be shown
  bool again = false;      // the same once more on a new connection: the proxy has said what it wants
  bool elsewhere = false;  // another address of the origin may do better
};

// The deadline is the stream's own. What the proxy sent behind its yes is read first from the stream returned.
using ViaResult = tl::expected<std::unique_ptr<net::Stream>, ViaFailure>;
net::Task<ViaResult> ask_connect(std::unique_ptr<net::Stream> stream, const UpstreamProxy& proxy, HostPort origin,
                                 Entropy& entropy);
// `origin`: an address where the scheme takes no names (socks::takes_address).
net::Task<ViaResult> ask_socks(std::unique_ptr<net::Stream> stream, const UpstreamProxy& proxy, HostPort origin);

// Finds out what the proxy asks of us, with a request that has no body, goes no further than to the proxy (RFC 9110
// §7.6.2) and carries no password. For requests that could not be sent twice.
net::Task<tl::expected<void, ViaFailure>> ask_challenge(net::Stream& stream, const UpstreamProxy& proxy,
                                                        HostPort origin);

}  // namespace sluice::proxy
