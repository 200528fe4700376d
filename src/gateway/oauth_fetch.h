// One request to a server that somebody else has named: a connection of its own, no redirect followed, an answer of at
// most 256 KiB, and so much time for all of it. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "gateway/oauth_discovery.h"
#include "net/stream.h"
#include "tls/session.h"

namespace sluice::gateway {

// All outlive what is fetched.
struct OAuthWay {
  boost::asio::io_context& io;
  const Clock& clock;
  std::function<Result<std::shared_ptr<tls::ClientContext>>()> trust;  // asked for https alone
  Reach reach = Reach::kElsewhere;
};

struct OAuthRequest {
  std::string method = "GET", url;
  std::string content_type, body;
  std::string authorization;  // empty: none
};

struct OAuthAnswer {
  int status = 0;
  std::string challenge;  // WWW-Authenticate
  std::string body;
};

// `what` is asked, for errors, which hold nothing of the URL's path nor of what was said.
net::Task<Result<OAuthAnswer>> oauth_fetch(OAuthWay way, OAuthRequest request, std::string what);

}  // namespace sluice::gateway
