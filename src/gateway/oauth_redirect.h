// Where the browser comes back to: http://127.0.0.1:PORT/callback. One answer with our `state` is taken; others are
// refused, a few of them, so that nobody on this machine can end a login or put another in its place. Control thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "gateway/http_server.h"
#include "gateway/oauth_messages.h"
#include "net/stream.h"

namespace sluice::gateway {

class OAuthRedirect final : public HttpHandler {
 public:
  static constexpr int kMaxWrong = 32;

  OAuthRedirect(boost::asio::io_context& io, std::string state);
  ~OAuthRedirect() override;

  // Where it is; port 0: any free one.
  Result<std::string> open(std::uint16_t port);
  // kTimeout: nobody came; kRefused: too many came with another state.
  net::Task<Result<Redirect>> wait(std::chrono::milliseconds patience);
  // The browser has its page by then.
  net::Task<void> linger();

  std::optional<HttpAnswer> judge(const HttpRequest& request) override;
  void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override;
  HttpAnswer too_large(const http::RequestHead& head) override;

 private:
  boost::asio::io_context& io_;
  const std::string state_;
  HttpServer server_;
  boost::asio::steady_timer done_;
  std::optional<Redirect> redirect_;
  int wrong_ = 0;
};

}  // namespace sluice::gateway
