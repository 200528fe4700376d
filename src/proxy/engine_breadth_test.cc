// TLS that is not intercepted, and old clients, through a whole engine.
#include <unistd.h>

#include <fstream>

#include "fakes/tls_socket.h"
#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

using fakes::TlsOrigin;
using fakes::TlsSocket;

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";

class BreadthTest : public EngineTest {
 protected:
  void configure(EngineOptions& options) override {
    origin_authority_ = *tls::CertificateAuthority::create(clock_, entropy_);
    for (const auto& authority : {origin_authority_, authority_}) {
      std::ofstream(path_of(*authority)) << authority->certificate_pem();
    }
    options.upstream_ca_files = {path_of(*origin_authority_)};
    options.passthrough = {"*.listed.example"};
    options.learn_passthrough = true;
  }
  void TearDown() override {
    EngineTest::TearDown();
    for (const auto& authority : {origin_authority_, authority_}) ::unlink(path_of(*authority).c_str());
  }
  static std::string path_of(const tls::CertificateAuthority& authority) {
    return ::testing::TempDir() + "sluice-breadth-" + std::to_string(::getpid()) + authority.sha256_fingerprint();
  }
  std::unique_ptr<TlsSocket> client(const TlsOrigin& origin, const tls::CertificateAuthority& trusted,
                                    const std::string& name) {
    const int fd = open_tunnel("127.0.0.1:" + std::to_string(origin.port()));
    contexts_.push_back(*tls::ClientContext::create({false, {path_of(trusted)}}, ""));
    return std::make_unique<TlsSocket>(fd, [&](tls::ByteTransport& transport) {
      tls::ClientOptions options;
      options.server_name = name;
      return *contexts_.back()->connect(transport, options);
    });
  }
  // A client that takes our certificate and leaves without a word.
  void pin(const TlsOrigin& origin, const std::string& name) {
    EXPECT_TRUE(client(origin, *authority_, name)->established());
  }
  bool is_learned(const std::string& host) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < until) {
      for (const auto& one : engine_->learned_passthrough()) {
        if (one.host == host) return true;
      }
      std::this_thread::yield();
    }
    return false;
  }

  std::shared_ptr<const tls::CertificateAuthority> origin_authority_;
  std::vector<std::shared_ptr<tls::ClientContext>> contexts_;
};

TEST_F(BreadthTest, AListedHostIsRelayedAndCountedButNotKept) {
  TlsOrigin origin(*origin_authority_, "a.listed.example", kAnswer);
  auto tls = client(origin, *origin_authority_, "a.listed.example");
  ASSERT_TRUE(tls->established()) << tls->session().failure().text;
  tls->send("GET /x HTTP/1.1\r\nHost: a.listed.example\r\n\r\n");
  EXPECT_EQ(tls->receive("secret"), kAnswer);
  tls->session().close_write();
  tls->receive(kNever);
  tls.reset();
  const auto& record = records().at(0);
  EXPECT_EQ(record.protocol, flow::Protocol::kTls);
  EXPECT_EQ(record.state, flow::State::kDone);
  EXPECT_EQ(record.host, "127.0.0.1");
  EXPECT_GT(record.request_counted, 300u);
  EXPECT_GT(record.response_counted, 500u);
  EXPECT_TRUE(record.request_body.empty() && record.response_body.empty());
  ASSERT_TRUE(record.connection->tls);
  EXPECT_EQ(record.connection->tls->sni, "a.listed.example");
  EXPECT_EQ(record.connection->tls->ja3.size(), 32u);
  EXPECT_EQ(record.connection->tls->protocol, "") << "nothing was agreed with us";
  ASSERT_TRUE(record.upstream && record.upstream->tls);
  EXPECT_EQ(record.upstream->tls->protocol, "TLSv1.3");
  EXPECT_EQ(record.upstream->tls->ja3s.size(), 32u);
  EXPECT_FALSE(record.upstream->tls->verified);
}

TEST_F(BreadthTest, AListedHostThatCannotBeReachedIsRecordedAsFailed) {
  TlsOrigin origin(*origin_authority_, "a.listed.example", kAnswer);
  const std::uint16_t port = origin.port();
  origin.end();
  const int fd = open_tunnel("127.0.0.1:" + std::to_string(port));
  contexts_.push_back(*tls::ClientContext::create({false, {path_of(*authority_)}}, ""));
  const TlsSocket tls(fd, [&](tls::ByteTransport& transport) {
    tls::ClientOptions options;
    options.server_name = "a.listed.example";
    return *contexts_.back()->connect(transport, options);
  });
  EXPECT_FALSE(tls.established());
  const auto& record = records().at(0);
  EXPECT_EQ(record.protocol, flow::Protocol::kTls);
  EXPECT_EQ(record.state, flow::State::kFailed);
  EXPECT_EQ(record.error, "connect_refused");
}

TEST_F(BreadthTest, AHostThatAClientPinsIsRelayedAfterThreeRefusals) {
  TlsOrigin origin(*origin_authority_, "pinned.example", kAnswer);
  pin(origin, "other.example");  // it trusts our CA
  for (int i = 0; i < 3; ++i) pin(origin, "pinned.example");
  ASSERT_TRUE(is_learned("pinned.example"));
  TlsOrigin again(*origin_authority_, "pinned.example", kAnswer);  // the first one is busy with what is pooled
  auto tls = client(again, *origin_authority_, "pinned.example");
  ASSERT_TRUE(tls->established()) << tls->session().failure().text;
  EXPECT_EQ(tls->session().info().chain[0].sans, std::vector<std::string>{"DNS:pinned.example"});
  EXPECT_EQ(engine_->forget_passthrough("pinned.example"), 1u);
  tls.reset();
  EXPECT_FALSE(client(again, *origin_authority_, "pinned.example")->established()) << "intercepted again";
  EXPECT_EQ(records().size(), 2u);
}

TEST_F(BreadthTest, AClientThatDoesNotKnowTheCaTeachesNothing) {
  TlsOrigin origin(*origin_authority_, "site.example", kAnswer);
  pin(origin, "other.example");
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(client(origin, *origin_authority_, "site.example")->established());
  for (const auto& record : records()) EXPECT_EQ(record.protocol, flow::Protocol::kTls);
  EXPECT_EQ(records().size(), 4u);
}

}  // namespace
}  // namespace sluice::proxy
