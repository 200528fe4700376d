// The server of the control port, with a client's bare socket.
#include "gateway/http_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "net/listener.h"

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

class HttpServerTest : public ::testing::Test, private HttpHandler {
 protected:
  HttpServerTest() : server_(io_, *this, limits(), {}) {
    auto acceptor = net::listen_tcp(io_.get_executor(), "127.0.0.1", 0);
    const auto at = acceptor->local_endpoint();
    server_.serve(*std::move(acceptor));
    client_.connect(at);
  }
  ~HttpServerTest() override {
    server_.stop();
    io_.run_for(milliseconds(200));
  }

  void send(const std::string& octets) {
    ASSERT_EQ(::send(client_.native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(octets.size()));
  }
  static std::string post() { return "POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"; }
  bool run_until(const std::function<bool()>& done, milliseconds at_most = milliseconds(5'000)) {
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (!done() && std::chrono::steady_clock::now() < end) io_.run_for(milliseconds(1));
    return done();
  }
  // What came so far, of what was not read yet; "" if nothing did.
  std::string read() {
    std::string octets(64 * kKiB, '\0');
    const ssize_t got = ::recv(client_.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
    octets.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return octets;
  }
  bool has_come() {
    pollfd poll{client_.native_handle(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  std::string wait_and_read() {
    EXPECT_TRUE(run_until([&] { return has_come(); }));
    return read();
  }
  // The next request was handed over.
  std::shared_ptr<HttpReply> wait_for_request() {
    EXPECT_TRUE(run_until([&] { return !replies_.empty(); }));
    if (replies_.empty()) return nullptr;
    auto reply = replies_.front();
    replies_.erase(replies_.begin());
    return reply;
  }
  static HttpServerLimits limits() {
    HttpServerLimits limits;
    limits.max_body = 1'000;
    limits.head = limits.body = std::chrono::seconds(1);
    limits.keep_alive = std::chrono::seconds(1);
    return limits;
  }

  bool refuses_ = false;  // each request, before its body
  std::atomic<bool> fired_seen_ = false;
  asio::io_context io_;
  HttpServer server_;
  asio::ip::tcp::socket client_{io_};

 private:
  std::optional<HttpAnswer> judge(const HttpRequest&) override {
    return refuses_ ? std::optional(HttpAnswer{401, {}, "no"}) : std::nullopt;
  }
  void handle(HttpRequest, std::shared_ptr<HttpReply> reply) override { replies_.push_back(std::move(reply)); }
  HttpAnswer too_large(const http::RequestHead& /*head*/) override { return {413, {}, "too large"}; }

  std::vector<std::shared_ptr<HttpReply>> replies_;
};

TEST_F(HttpServerTest, AStreamThatIsWholeAtOnceLeavesInOneWrite) {
  for (int i = 0; i < 20; ++i) {
    send(post());
    const auto reply = wait_for_request();
    reply->begin_events();
    reply->event("", HttpReply::Weight::kAnswer, "1-0");
    asio::post(io_, [reply] {
      reply->event("{}", HttpReply::Weight::kAnswer, "1-1");
      reply->end();
    });
    const std::string all = wait_and_read();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << all;
    EXPECT_TRUE(all.ends_with("id: 1-1\nevent: message\ndata: {}\n\n\r\n0\r\n\r\n")) << all;
  }
}

TEST_F(HttpServerTest, AStreamThatIsNotWholeBeginsSoonNevertheless) {
  send(post());
  const auto reply = wait_for_request();
  const auto before = std::chrono::steady_clock::now();
  reply->begin_events();
  reply->event("", HttpReply::Weight::kAnswer, "1-0");
  std::string all = wait_and_read();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(2'000));  // 10 ms on a quiet machine
  EXPECT_TRUE(all.ends_with("id: 1-0\ndata: \n\n\r\n")) << all;
  reply->event("{}", HttpReply::Weight::kAnswer, "1-1");
  reply->end();
  EXPECT_TRUE(wait_and_read().ends_with("0\r\n\r\n"));
}

TEST_F(HttpServerTest, ASilentStreamIsKeptAlive) {
  send("GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto reply = wait_for_request();
  reply->begin_events();
  EXPECT_TRUE(wait_and_read().ends_with("\r\n\r\n"));
  EXPECT_EQ(wait_and_read(), "e\r\n: keep-alive\n\n\r\n");
}

TEST_F(HttpServerTest, WhoeverLeavesBeforeTheAnswerIsGone) {
  send(post());
  const auto reply = wait_for_request();
  bool gone = false;
  reply->on_gone([&] { gone = true; });
  EXPECT_FALSE(run_until([&] { return gone; }, milliseconds(50)));
  client_.close();
  EXPECT_TRUE(run_until([&] { return gone; }));
  EXPECT_TRUE(run_until([&] { return server_.connections() == 0; }));
}

TEST_F(HttpServerTest, APipelinedRequestIsNoEndAndIsAnsweredNext) {
  send(post() + post());
  const auto first = wait_for_request();
  EXPECT_FALSE(run_until([&] { return first->is_gone(); }, milliseconds(50)));
  send(post());
  EXPECT_FALSE(run_until([&] { return first->is_gone(); }, milliseconds(50)));
  first->respond({200, {}, "one"});
  EXPECT_TRUE(wait_and_read().ends_with("\r\n\r\none"));
  wait_for_request()->respond({200, {}, "two"});
  EXPECT_TRUE(wait_and_read().ends_with("\r\n\r\ntwo"));
  wait_for_request()->respond({200, {}, "three"});
  EXPECT_TRUE(wait_and_read().ends_with("\r\n\r\nthree"));
}

TEST_F(HttpServerTest, ARequestThatStopsIsClosedInTime) {
  send("POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{");
  EXPECT_TRUE(run_until([&] { return server_.connections() == 1; }));
  EXPECT_TRUE(run_until([&] { return server_.connections() == 0; }));
  EXPECT_EQ(read(), "");
}

TEST_F(HttpServerTest, ABodyBeyondTheLimitIsRefusedAndTheAnswerCanBeRead) {
  send("POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + std::string(2'000, 'a'));
  const std::string answer = wait_and_read();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_TRUE(answer.ends_with("too large")) << answer;
}

TEST_F(HttpServerTest, AttackAClientThatPipelinesWithoutEndDoesNotKeepTheLoopForItself) {
  refuses_ = true;
  std::atomic<bool> ends = false;
  const std::string request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += request;
  std::thread sender([&] {
    while (!ends && ::send(client_.native_handle(), many.data(), many.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::thread reader([&] {
    std::string answers(1 * kMiB, '\0');
    while (::recv(client_.native_handle(), answers.data(), answers.size(), 0) > 0) {
    }
  });
  io_.run_for(milliseconds(50));
  asio::steady_timer timer(io_, milliseconds(50));
  bool fired = false;
  timer.async_wait([&](const boost::system::error_code&) {
    fired = true;
    io_.stop();
  });
  std::thread watchdog([&] {  // without the mend the loop below never ends
    for (int i = 0; i < 500 && !fired_seen_; ++i) std::this_thread::sleep_for(milliseconds(10));
    ends = true;
    ::shutdown(client_.native_handle(), SHUT_RDWR);
  });
  const auto before = std::chrono::steady_clock::now();
  io_.run();
  const auto took = std::chrono::steady_clock::now() - before;
  fired_seen_ = true;
  watchdog.join();
  sender.join();
  reader.join();
  io_.restart();
  EXPECT_TRUE(fired);
  // About 100 ms where every turn of the loop ends, 1.6 s where a client's octets are answered as long as they come.
  EXPECT_LT(took, milliseconds(800));
}

TEST_F(HttpServerTest, StoppedItEndsWhatIsOpen) {
  send(post());
  const auto reply = wait_for_request();
  server_.stop();
  EXPECT_TRUE(reply->is_gone());
  EXPECT_TRUE(run_until([&] { return server_.connections() == 0; }));
}

}  // namespace
}  // namespace sluice::gateway
