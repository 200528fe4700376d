// The token of a login while a gateway runs, with a token endpoint that says what each test has it say.
#include "gateway/login_bearer.h"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/aead.h"
#include "base/fake_file.h"

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::int64_t kNow = 1'700'000'000'000;

// Connections wait by the machine's own clock: only ahead of it can this one be.
class AheadClock final : public Clock {
 public:
  MonoTime mono() const override { return std::chrono::steady_clock::now() + ahead_; }
  WallTime wall() const override { return WallTime(std::chrono::milliseconds(kNow)) + ahead_; }
  void advance(Duration by) { ahead_ += by; }

 private:
  Duration ahead_{};
};

class TokenEndpoint {
 public:
  explicit TokenEndpoint(asio::io_context& io) : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    asio::co_spawn(io, serve(), asio::detached);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/token"; }
  void say(int status, const std::string& body) {
    answer_ = "HTTP/1.1 " + std::to_string(status) +
              " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::vector<std::string> asked;

 private:
  asio::awaitable<void> serve() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kTuple);
      if (error) co_return;
      std::string space(16'384, '\0');
      const auto [failed, got] = co_await socket.async_read_some(asio::buffer(space), kTuple);
      asked.push_back(space.substr(0, got));
      co_await asio::async_write(socket, asio::buffer(answer_), kTuple);
    }
  }

  tcp::acceptor acceptor_;
  std::string answer_;
};

struct Bearers : testing::Test {
  Bearers() { endpoint.say(200, tokens("new")); }
  static std::string tokens(const std::string& name) {
    return R"({"access_token":")" + name + R"(","token_type":"Bearer","expires_in":3600,"refresh_token":"r-)" + name +
           R"("})";
  }
  LoginStore store() {
    return {files, "/home/logins", []() -> Result<Secret> { return Secret(std::string(kKeySize, 'k')); }};
  }
  void log_in(const std::string& access, std::int64_t expires_ms) {
    Login login;
    login.server = "files";
    login.url = "http://127.0.0.1/mcp";
    login.resource = login.url;
    login.issuer = "http://127.0.0.1";
    login.token_endpoint = endpoint.url();
    login.client.id = "id";
    login.access_token = access;
    login.refresh_token = "r-" + access;
    login.issued_ms = kNow - 3'600'000;
    login.expires_ms = expires_ms;
    ASSERT_TRUE(store().save(login));
  }
  std::shared_ptr<LoginBearer> make() {
    OAuthWay way{io, clock, [] { return fail(Code::kInternal, "no TLS here"); }, Reach::kThisMachine};
    LoginBearer::Options options{"files", "http://127.0.0.1/mcp",
                                 [this](std::string_view what) { notices.emplace_back(what); }};
    return std::make_shared<LoginBearer>(way, store(), std::move(options));
  }
  template <class T>
  T wait(net::Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr, T value) { result = std::move(value); });
    while (!result) io.run_one();
    return *std::move(result);
  }
  std::string token(LoginBearer& bearer) {
    const auto got = wait(bearer.token());
    return got ? *got : "(" + got.error().message + ")";
  }

  asio::io_context io;
  AheadClock clock;
  std::shared_ptr<FakeFileSystem> files = std::make_shared<FakeFileSystem>();
  TokenEndpoint endpoint{io};
  std::vector<std::string> notices;
};

TEST_F(Bearers, WithoutALoginThereIsNoToken) {
  const auto bearer = make();
  EXPECT_EQ(token(*bearer), "");
  EXPECT_FALSE(wait(bearer->renew("")));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("run `sluice gateway login files --upstream http://127.0.0.1/mcp`"), std::string::npos);
}

TEST_F(Bearers, ATokenServesUntilAMinuteBeforeItsEnd) {
  log_in("old", kNow + 61'000);
  const auto bearer = make();
  EXPECT_EQ(token(*bearer), "old");
  EXPECT_TRUE(endpoint.asked.empty());
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(token(*bearer), "new");
  ASSERT_EQ(endpoint.asked.size(), 1u);
  EXPECT_NE(endpoint.asked[0].find("grant_type=refresh_token&refresh_token=r-old&resource="), std::string::npos);
  EXPECT_EQ((*store().load("files", "http://127.0.0.1/mcp"))->refresh_token, "r-new");
}

TEST_F(Bearers, ATokenThatNobodyKnowsTheEndOfServesUntilItIsRefused) {
  log_in("old", 0);
  const auto bearer = make();
  clock.advance(std::chrono::hours(1'000));
  EXPECT_EQ(token(*bearer), "old");
  EXPECT_TRUE(wait(bearer->renew("old")));
  EXPECT_EQ(token(*bearer), "new");
}

TEST_F(Bearers, WhatSomebodyElseHasRefreshedIsTaken) {
  log_in("old", kNow + 3'600'000);
  const auto bearer = make();
  EXPECT_EQ(token(*bearer), "old");
  log_in("theirs", kNow + 3'600'000);
  EXPECT_TRUE(wait(bearer->renew("old")));
  EXPECT_EQ(token(*bearer), "theirs");
  EXPECT_TRUE(endpoint.asked.empty());
}

TEST_F(Bearers, ARefreshThatFailsLeavesTheTokenUntilItsEndAndIsTriedAgain) {
  log_in("old", kNow + 30'000);
  endpoint.say(500, "hush");
  const auto bearer = make();
  EXPECT_EQ(token(*bearer), "old");
  EXPECT_EQ(token(*bearer), "old");
  EXPECT_EQ(endpoint.asked.size(), 1u);
  EXPECT_EQ(notices, std::vector<std::string>{"refreshing the login: HTTP 500"});
  clock.advance(std::chrono::seconds(31));
  EXPECT_EQ(token(*bearer), "(refreshing the login: HTTP 500)");
  endpoint.say(200, tokens("new"));
  clock.advance(std::chrono::seconds(6));
  EXPECT_EQ(token(*bearer), "new");
}

TEST_F(Bearers, ALoginThatHasEndedIsAskedForOnce) {
  log_in("old", kNow);
  endpoint.say(400, R"({"error":"invalid_grant","error_description":"hush"})");
  const auto bearer = make();
  for (int i = 0; i < 3; ++i) {
    const std::string said = token(*bearer);
    EXPECT_NE(said.find("has ended: run `sluice gateway login"), said.npos) << said;
    EXPECT_EQ(said.find("hush"), said.npos);
    clock.advance(std::chrono::minutes(1));
  }
  EXPECT_EQ(endpoint.asked.size(), 1u);
  log_in("again", kNow + 3'600'000);
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(token(*bearer), "again");
}

TEST_F(Bearers, AnAnswerThatIsNoTokenChangesNothing) {
  for (const char* body : {"", "{}", R"({"access_token":"a b","token_type":"Bearer"})", "<html>"}) {
    log_in("old", kNow + 30'000);
    endpoint.say(200, body);
    EXPECT_EQ(token(*make()), "old") << body;
    EXPECT_EQ((*store().load("files", "http://127.0.0.1/mcp"))->refresh_token, "r-old");
  }
}

TEST_F(Bearers, ATokenThatTheDiskDoesNotTakeServesOnAndIsNotForgottenForTheOldOne) {
  log_in("old", kNow);
  const auto bearer = make();
  files->fail_next_rename();
  EXPECT_EQ(token(*bearer), "new");
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("cannot be kept"), std::string::npos);
  clock.advance(std::chrono::seconds(5));  // the disk still has the old one
  EXPECT_EQ(token(*bearer), "new");
  endpoint.say(200, tokens("newer"));
  EXPECT_TRUE(wait(bearer->renew("new")));
  EXPECT_NE(endpoint.asked.back().find("refresh_token=r-new"), std::string::npos);
  EXPECT_EQ((*store().load("files", "http://127.0.0.1/mcp"))->access_token, "newer");
}

TEST_F(Bearers, ALockThatStaysIsAnError) {
  log_in("old", kNow);
  auto held = store().lock("files", "http://127.0.0.1/mcp");
  ASSERT_TRUE(held);
  const auto bearer = make();
  asio::steady_timer later(io, std::chrono::milliseconds(100));
  later.async_wait([&](const boost::system::error_code&) { clock.advance(std::chrono::minutes(1)); });
  EXPECT_NE(token(*bearer).find("the login cannot be refreshed"), std::string::npos);
  EXPECT_TRUE(endpoint.asked.empty());
}

}  // namespace
}  // namespace sluice::gateway
