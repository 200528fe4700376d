// For tests: an engine on loopback with a recording sink, and blocking clients of it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <thread>

#include "base/entropy.h"
#include "fakes/recording_sink.h"
#include "fakes/scripted_origin.h"
#include "proxy/engine.h"

namespace sluice::proxy {

using fakes::RecordingSink;
using fakes::ScriptedOrigin;
using Then = ScriptedOrigin::Then;

inline constexpr std::string_view kNever("\0never", 7);

class EngineTest : public ::testing::Test {
 protected:
  virtual void configure(EngineOptions&) {}
  virtual void wire(EngineDeps&) {}
  void SetUp() override {
    authority_ = *tls::CertificateAuthority::create(clock_, entropy_);
    EngineOptions options;
    options.limits.timeouts.server_first = std::chrono::milliseconds(100);
    configure(options);
    EngineDeps deps{clock_,
                    entropy_,
                    authority_,
                    rules_,
                    [this](std::size_t) -> flow::Sink& { return sink_; },
                    [this](std::string_view what) { bugs_.emplace_back(what); },
                    {},
                    {}};
    wire(deps);
    auto engine = Engine::create(options, std::move(deps));
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = *std::move(engine);
    ASSERT_TRUE(engine_->start({{"127.0.0.1", 0}}));
    port_ = engine_->status().listeners.front().port;
  }
  void TearDown() override {
    engine_.reset();
    EXPECT_TRUE(bugs_.empty()) << bugs_.front();
    for (const auto& record : sink_.records) {
      EXPECT_TRUE(record.ended) << record.target;
      EXPECT_FALSE(record.touched_after_end) << record.target;
    }
  }

  int connect(in_addr_t to = INADDR_LOOPBACK) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(to);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void send(int fd, std::string_view octets) {
    ASSERT_EQ(::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL), static_cast<ssize_t>(octets.size()));
  }
  // Until `until` was seen or the connection ended (10 s at most).
  std::string receive(int fd, std::string_view until = kNever) {
    std::string got;
    pollfd look{fd, POLLIN, 0};
    while (got.find(until) == std::string::npos && ::poll(&look, 1, 10'000) == 1) {
      char space[65536];
      const ssize_t count = ::recv(fd, space, sizeof space, 0);
      if (count < 0) got += "<reset>";
      if (count <= 0) break;
      got.append(space, static_cast<std::size_t>(count));
    }
    return got;
  }
  std::string ask(std::string_view request, std::string_view until = kNever) {
    const int fd = connect();
    send(fd, request);
    std::string answer = receive(fd, until);
    ::close(fd);
    return answer;
  }
  // A server whose every octet the test itself sends: listen, connect through the proxy, accept.
  struct Listening {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint16_t port = 0;
    Listening() {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
      ::listen(fd, 8);
      socklen_t size = sizeof address;
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
      port = ntohs(address.sin_port);
    }
    ~Listening() { ::close(fd); }
    int accept() const { return ::accept(fd, nullptr, nullptr); }
    std::string authority() const { return "127.0.0.1:" + std::to_string(port); }
  };
  // A tunnel to there, established.
  int open_tunnel(const std::string& authority) {
    const int fd = connect();
    send(fd, "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
    EXPECT_TRUE(receive(fd, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    return fd;
  }
  // Until the origin has seen this (10 s at most).
  static void wait_for(ScriptedOrigin& origin, std::string_view octets) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (origin.received().find(octets) == std::string::npos && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
  }
  const std::deque<RecordingSink::Record>& records() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (engine_ && engine_->status().connections > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    engine_.reset();  // joins the workers: nothing is written any more
    return sink_.records;
  }

  SystemClock clock_;
  SystemEntropy entropy_;
  rules::RuleStore rules_{clock_};
  RecordingSink sink_;
  std::vector<std::string> bugs_;
  std::shared_ptr<const tls::CertificateAuthority> authority_;
  std::unique_ptr<Engine> engine_;
  std::uint16_t port_ = 0;
};

}  // namespace sluice::proxy
