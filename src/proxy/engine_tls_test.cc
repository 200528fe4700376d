// Interception end to end in one process: a client that trusts Sluice's CA, an origin whose CA Sluice trusts (or not).
#include <unistd.h>

#include <fstream>

#include "fakes/tls_socket.h"
#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

using fakes::TlsOrigin;
using fakes::TlsSocket;

class InterceptTest : public EngineTest {
 protected:
  void configure(EngineOptions& options) override {
    origin_authority_ = *tls::CertificateAuthority::create(clock_, entropy_);
    origin_ca_ = write("origin", *origin_authority_);
    sluice_ca_ = write("sluice", *authority_);
    options.upstream_ca_files = {origin_ca_};
  }
  void TearDown() override {
    EngineTest::TearDown();
    ::unlink(origin_ca_.c_str());
    ::unlink(sluice_ca_.c_str());
  }
  static std::string write(const char* name, const tls::CertificateAuthority& authority) {
    const std::string path = ::testing::TempDir() + "sluice-" + name + "-" + std::to_string(::getpid()) + ".pem";
    std::ofstream(path) << authority.certificate_pem();
    return path;
  }
  std::unique_ptr<TlsSocket> client(int fd, const std::string& trusted, const std::string& name,
                                    const std::vector<std::string>& alpn = {"http/1.1"}) {
    auto context = *tls::ClientContext::create({false, {trusted}}, "");
    auto made = std::make_unique<TlsSocket>(fd, [&](tls::ByteTransport& transport) {
      tls::ClientOptions options;
      options.server_name = name;
      options.alpn = alpn;
      return *context->connect(transport, options);
    });
    contexts_.push_back(std::move(context));
    return made;
  }
  std::string authority_of(const TlsOrigin& origin) { return "127.0.0.1:" + std::to_string(origin.port()); }

  std::shared_ptr<const tls::CertificateAuthority> origin_authority_;
  std::string origin_ca_, sluice_ca_;
  std::vector<std::shared_ptr<tls::ClientContext>> contexts_;
};

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";

TEST_F(InterceptTest, AClientThatTrustsTheCaIsSeenAndItsOriginVerified) {
  TlsOrigin origin(*origin_authority_, "site.example", kAnswer);
  auto tls = client(open_tunnel(authority_of(origin)), sluice_ca_, "site.example", {"h2", "http/1.1"});
  ASSERT_TRUE(tls->established()) << tls->session().failure().text;
  EXPECT_EQ(tls->session().info().alpn, "http/1.1");
  EXPECT_EQ(tls->session().info().verdict, "ok");
  EXPECT_EQ(tls->session().info().chain[0].sans, std::vector<std::string>{"DNS:site.example"});
  for (int i = 0; i < 2; ++i) {
    tls->send("GET /x HTTP/1.1\r\nHost: site.example\r\n\r\n");
    EXPECT_EQ(tls->receive("secret"), kAnswer);
  }
  tls.reset();
  ASSERT_EQ(records().size(), 2u);
  const auto& record = sink_.records[0];
  EXPECT_EQ(record.scheme, "https");
  EXPECT_EQ(record.host, "site.example");
  EXPECT_EQ(record.response_body, "secret");
  ASSERT_TRUE(record.connection->tls);
  EXPECT_EQ(record.connection->tls->sni, "site.example");
  EXPECT_EQ(record.connection->tls->alpn_offered, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(record.connection->tls->ja3.size(), 32u);
  EXPECT_FALSE(record.connection->tls->ja4.empty());
  ASSERT_TRUE(record.upstream && record.upstream->tls);
  EXPECT_TRUE(record.upstream->tls->verified);
  EXPECT_EQ(record.upstream->tls->verdict, "ok");
  EXPECT_FALSE(record.upstream->tls->chain.empty());
  EXPECT_EQ(record.upstream->tls->ja3s.size(), 32u);
}

TEST_F(InterceptTest, ARefusedUpstreamCertificateIsAPageInsideTls) {
  const auto stranger = *tls::CertificateAuthority::create(clock_, entropy_);
  TlsOrigin origin(*stranger, "site.example", kAnswer);
  auto tls = client(open_tunnel(authority_of(origin)), sluice_ca_, "site.example", {"http/1.1"});
  ASSERT_TRUE(tls->established());
  tls->send("GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n");
  const std::string page = tls->receive(kNever);
  EXPECT_TRUE(page.starts_with("HTTP/1.1 502 ")) << page;
  EXPECT_NE(page.find("not trusted"), std::string::npos);
  EXPECT_NE(page.find("--upstream-ca"), std::string::npos);
  tls.reset();
  const auto& record = records().at(0);
  EXPECT_EQ(record.error, "certificate");
  ASSERT_TRUE(record.upstream && record.upstream->tls);
  EXPECT_FALSE(record.upstream->tls->verified);
  EXPECT_FALSE(record.upstream->tls->chain.empty());
}

TEST_F(InterceptTest, ARefusedCertificateCanBeAcceptedWhileTheClientStaysConnected) {
  const auto stranger = *tls::CertificateAuthority::create(clock_, entropy_);
  TlsOrigin origin(*stranger, "site.example", kAnswer);
  auto tls = client(open_tunnel(authority_of(origin)), sluice_ca_, "site.example", {"http/1.1"});
  ASSERT_TRUE(tls->established());
  const std::string request = "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n";
  tls->send(request);
  const std::string page = tls->receive("--upstream-insecure.");
  EXPECT_NE(page.find("proxy_set_host_options {\"host\": \"site.example\""), std::string::npos) << page;
  EXPECT_EQ(page.find("Connection: close"), std::string::npos);
  HostOptions any;
  any.verify_upstream = false;
  ASSERT_TRUE(engine_->host_options().set("site.example", any, {}, FileAccess::kRoots));
  tls->send(request);
  EXPECT_TRUE(tls->receive("secret").ends_with(kAnswer));
  tls.reset();
  EXPECT_EQ(records().at(0).error, "certificate");
  EXPECT_EQ(records().at(1).error, "");
}

TEST_F(InterceptTest, AnotherNameIsNotTrustedEither) {
  TlsOrigin origin(*origin_authority_, "other.example", kAnswer);
  auto tls = client(open_tunnel(authority_of(origin)), sluice_ca_, "site.example", {"http/1.1"});
  ASSERT_TRUE(tls->established());
  tls->send("GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(tls->receive(kNever).starts_with("HTTP/1.1 502 "));
  tls.reset();
  EXPECT_EQ(records().at(0).error, "certificate");
}

TEST_F(InterceptTest, AClientThatDoesNotTrustTheCaIsRecordedWithItsPrintsAndTheCause) {
  TlsOrigin origin(*origin_authority_, "site.example", kAnswer);
  EXPECT_FALSE(client(open_tunnel(authority_of(origin)), origin_ca_, "site.example")->established());
  const auto& record = records().at(0);
  EXPECT_EQ(record.protocol, flow::Protocol::kTls);
  EXPECT_EQ(record.state, flow::State::kFailed);
  EXPECT_EQ(record.error, "client_tls");
  ASSERT_TRUE(record.connection->tls);
  EXPECT_EQ(record.connection->tls->ja3.size(), 32u);
  EXPECT_FALSE(record.connection->tls->ja4.empty());
}

TEST_F(InterceptTest, AMockAnswersForAHostThatDoesNotExist) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "nowhere.invalid";
  spec.handler.type = rules::HandlerType::kMock;
  spec.handler.body = "tea";
  ASSERT_TRUE(rules_.add(spec));
  auto tls = client(open_tunnel("nowhere.invalid:443"), sluice_ca_, "nowhere.invalid", {"http/1.1"});
  ASSERT_TRUE(tls->established());
  tls->send("GET / HTTP/1.1\r\nHost: nowhere.invalid\r\n\r\n");
  EXPECT_TRUE(tls->receive("tea").ends_with("tea"));
  tls.reset();
  EXPECT_FALSE(records().at(0).upstream);
}

TEST_F(InterceptTest, AHelloInTheSegmentOfItsConnectOrInSinglePiecesIsAHello) {
  TlsOrigin origin(*origin_authority_, "site.example", kAnswer);
  // The hello of a session, taken before it is sent.
  struct Catch final : tls::ByteTransport {
    std::string sent;
    tls::IoResult read(MutableBytes) override { return {tls::IoStatus::kWouldBlock, 0}; }
    tls::IoResult write(Bytes octets) override {
      sent += octets;
      return {tls::IoStatus::kOk, octets.size()};
    }
    void close_write() override {}
    std::string error_text() const override { return ""; }
  } hello;
  auto context = *tls::ClientContext::create({false, {sluice_ca_}}, "");
  tls::ClientOptions options;
  options.server_name = "site.example";
  auto session = *context->connect(hello, options);
  EXPECT_EQ(session->handshake(), tls::HandshakeStep::kWouldBlock);
  const std::string head = "CONNECT " + authority_of(origin) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  const int joined = connect();
  send(joined, head + hello.sent);
  EXPECT_NE(receive(joined, "\x16\x03\x03").find("200 "), std::string::npos);  // the ServerHello's record
  ::close(joined);
  const int split = open_tunnel(authority_of(origin));
  const int now = 1;
  ::setsockopt(split, IPPROTO_TCP, 1 /* TCP_NODELAY */, &now, sizeof now);
  for (const char octet : hello.sent) send(split, std::string_view(&octet, 1));
  EXPECT_TRUE(receive(split, "\x16\x03\x03").starts_with("\x16\x03\x03"));
  ::close(split);
  ASSERT_EQ(records().size(), 2u);
  for (const auto& record : sink_.records) EXPECT_EQ(record.connection->tls->sni, "site.example");
}

TEST_F(InterceptTest, BareTlsGoesWhereItsServerNameSays) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "mock.invalid";
  spec.handler = rules::Handler{rules::HandlerType::kMock};
  spec.handler.body = "mocked";
  ASSERT_TRUE(rules_.add(spec));
  auto tls = client(connect(), sluice_ca_, "mock.invalid");
  ASSERT_TRUE(tls->established());
  tls->send("GET / HTTP/1.1\r\nHost: mock.invalid\r\n\r\n");
  EXPECT_TRUE(tls->receive("mocked").ends_with("mocked"));
  auto nowhere = client(connect(), sluice_ca_, "no-such-host.invalid");
  ASSERT_TRUE(nowhere->established());
  nowhere->send("GET / HTTP/1.1\r\nHost: no-such-host.invalid\r\n\r\n");
  EXPECT_TRUE(nowhere->receive(kNever).starts_with("HTTP/1.1 502 "));
  EXPECT_FALSE(client(connect(), sluice_ca_, "127.0.0.1")->established());  // an address is no server name
  tls.reset();
  nowhere.reset();
  ASSERT_EQ(records().size(), 3u);
  EXPECT_EQ(sink_.records[0].connection->destination, "mock.invalid:443");
  EXPECT_EQ(sink_.records[0].status, 200);
  EXPECT_EQ(sink_.records[1].error, "resolve");
  EXPECT_EQ(sink_.records[2].protocol, flow::Protocol::kTls);
  EXPECT_EQ(sink_.records[2].error, "client_tls");
}

TEST_F(InterceptTest, TlsOverSocksUsesTheConnectionThatWasDialledForTheReply) {
  TlsOrigin origin(*origin_authority_, "site.example", kAnswer);
  const int fd = connect();
  const std::string request = std::string("\5\1\0\5\1\0\1\x7f\0\0\1", 11) + static_cast<char>(origin.port() >> 8) +
                              static_cast<char>(origin.port() & 0xff);
  send(fd, request);
  EXPECT_EQ(receive(fd, std::string_view("\5\0\5\0\0\1\0\0\0\0\0\0", 12)).size(), 12u);
  auto tls = client(fd, sluice_ca_, "site.example");
  ASSERT_TRUE(tls->established());
  for (int i = 0; i < 2; ++i) {
    tls->send("GET /x HTTP/1.1\r\nHost: site.example\r\n\r\n");
    EXPECT_EQ(tls->receive("secret"), kAnswer);
  }
  tls.reset();
  ASSERT_EQ(records().size(), 2u);
  EXPECT_EQ(sink_.records[0].upstream->id, sink_.records[1].upstream->id);
  EXPECT_EQ(sink_.records[0].upstream->id, 1u);  // the first that was dialled
  EXPECT_EQ(sink_.records[0].anomalies & http::bit(http::Anomaly::kAuthorityMismatch), 0u);
}

}  // namespace
}  // namespace sluice::proxy
