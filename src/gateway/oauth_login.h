// One login at a server over HTTP, as its person makes it: where the server wants it is found out, a browser goes to
// the authorization server, and comes back to a port of 127.0.0.1 that is open for this once (RFC 8252). Control
// thread. Errors and what is shown hold no token, code, verifier or secret; the URL to open holds `state`.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/entropy.h"
#include "gateway/login_store.h"
#include "gateway/oauth_fetch.h"

namespace sluice::gateway {

struct OAuthLoginOptions {
  std::string server, url;       // a name of ours, and the URL as requests go there
  std::string issuer;            // empty: the first that the server names
  std::string client_id, scope;  // empty: the client is registered; the scope is what the server says
  Secret client_secret;          // of client_id; may be empty
  std::uint16_t redirect_port = 0;
  std::chrono::milliseconds patience{300'000};  // of the person
  std::function<void(const std::string& url)> show;
  std::function<void(std::string_view)> notice;
};

// `entropy` outlives it.
net::Task<Result<Login>> log_in(OAuthWay way, Entropy& entropy, OAuthLoginOptions options);

}  // namespace sluice::gateway
