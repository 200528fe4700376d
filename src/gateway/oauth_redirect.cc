#include "gateway/oauth_redirect.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "net/listener.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr std::string_view kPath = "/callback";
constexpr std::chrono::milliseconds kLinger{300};
constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

HttpAnswer page(int status, std::string text) {
  return {status,
          {{"Content-Type", "text/plain; charset=utf-8"},
           {"Cache-Control", "no-store"},
           {"Referrer-Policy", "no-referrer"},
           {"Connection", "close"}},
          std::move(text) + "\n"};
}

HttpServerLimits limits() {
  HttpServerLimits limits;
  limits.http.max_head = 16 * kKiB;
  limits.max_body = 0;
  limits.max_connections = 8;
  limits.head = limits.body = limits.idle = limits.write = std::chrono::seconds(10);
  return limits;
}

}  // namespace

OAuthRedirect::OAuthRedirect(boost::asio::io_context& io, std::string state)
    : io_(io), state_(std::move(state)), server_(io, *this, limits(), [](std::string_view) {}), done_(io) {}

OAuthRedirect::~OAuthRedirect() { server_.stop(); }

Result<std::string> OAuthRedirect::open(std::uint16_t port) {
  SLUICE_TRY(auto acceptor, net::listen_tcp(io_.get_executor(), kHost, port));
  const std::uint16_t bound = acceptor.local_endpoint().port();
  server_.serve(std::move(acceptor));
  return fmt::format("http://{}:{}{}", kHost, bound, kPath);
}

std::optional<HttpAnswer> OAuthRedirect::judge(const HttpRequest& request) {
  const std::string_view target = request.head.target;
  if (target.substr(0, target.find('?')) != kPath) return page(404, "There is nothing here.");
  if (request.head.method != "GET") return page(405, "This is for a browser that comes back.");
  return std::nullopt;
}

HttpAnswer OAuthRedirect::too_large(const http::RequestHead& /*head*/) {
  return page(413, "There is nothing to be sent here.");
}

void OAuthRedirect::handle(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  const std::string_view target = request.head.target;
  const std::size_t mark = target.find('?');
  auto read = parse_redirect(mark == target.npos ? "" : target.substr(mark + 1));
  if (redirect_) return reply->respond(page(410, "This login has had its answer."));
  if (!read || !constant_time_equal(read->state, state_)) {
    if (++wrong_ >= kMaxWrong) done_.cancel();
    return reply->respond(page(400, "This is not the answer to the login that waits here (state)."));
  }
  redirect_ = *std::move(read);
  reply->respond(
      page(200, "Sluice has the answer. You can close this page; what became of it stands in the terminal."));
  done_.cancel();
}

Task<Result<Redirect>> OAuthRedirect::wait(std::chrono::milliseconds patience) {
  if (!redirect_ && wrong_ < kMaxWrong) {
    done_.expires_after(patience);
    co_await done_.async_wait(kTuple);
  }
  if (redirect_) co_return *redirect_;
  if (wrong_ >= kMaxWrong) co_return fail(Code::kRefused, "too many answers came that were not to this login");
  co_return fail(Code::kTimeout, "nobody came back from the browser in time");
}

Task<void> OAuthRedirect::linger() {
  done_.expires_after(kLinger);
  co_await done_.async_wait(kTuple);
}

}  // namespace sluice::gateway
