// The ways in, over real sockets on loopback: SOCKS, PROXY protocol, proxy authentication, several listeners, and
// those who are turned away.
#include "base/text.h"
#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

using namespace std::string_literals;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kSocks5Granted = "\5\0\0\1\0\0\0\0\0\0"s, kSocks4Granted = "\0\x5a\0\0\0\0\0\0"s;

std::string port_octets(std::uint16_t port) { return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)}; }
std::string socks5_request(std::uint16_t port) { return "\5\1\0\1\x7f\0\0\1"s + port_octets(port); }
std::string socks5_name(std::string_view name, std::uint16_t port) {
  return "\5\1\0\3"s + static_cast<char>(name.size()) + std::string(name) + port_octets(port);
}
std::string get(std::string_view host) { return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"; }

class EntryTest : public EngineTest {
 protected:
  // Both methods at once: what was answered to the greeting and to the request.
  std::string socks(int fd, const std::string& octets, std::size_t answer_size) {
    send(fd, octets);
    std::string got;
    while (got.size() < answer_size) {
      char space[64];
      pollfd look{fd, POLLIN, 0};
      if (::poll(&look, 1, 10'000) != 1) break;
      const ssize_t count = ::recv(fd, space, std::min(sizeof space, answer_size - got.size()), 0);
      if (count <= 0) break;
      got.append(space, static_cast<std::size_t>(count));
    }
    return got;
  }
};

TEST_F(EntryTest, EveryVersionOfSocksGoesOnAsInsideATunnel) {
  ScriptedOrigin origin({{kOk}, {kOk}, {kOk}, {kOk}});
  const std::string port = port_octets(origin.port());
  const std::tuple<const char*, std::string, std::string> ways[] = {
      {"4", "\4\1"s + port + "\x7f\0\0\1me\0"s, kSocks4Granted},
      {"4a", "\4\1"s + port + "\0\0\0\1me\0localhost\0"s, kSocks4Granted},
      {"5", "\5\1\0"s + socks5_request(origin.port()), "\5\0"s + kSocks5Granted},
      {"5h", "\5\2\0\2"s + socks5_name("localhost", origin.port()), "\5\0"s + kSocks5Granted},
  };
  for (const auto& [name, octets, granted] : ways) {
    const int fd = connect();
    EXPECT_EQ(socks(fd, octets, granted.size()), granted) << name;
    send(fd, get("site.example:" + std::to_string(origin.port())));
    EXPECT_EQ(receive(fd, "ok"), kOk) << name;
    ::close(fd);
  }
  ASSERT_EQ(records().size(), 4u);
  for (const auto& record : sink_.records) {
    EXPECT_EQ(record.host, "site.example");
    EXPECT_EQ(record.protocol, flow::Protocol::kHttp1);
    EXPECT_EQ(record.state, flow::State::kDone);
    const bool by_address = record.connection->destination.starts_with("127.0.0.1:");
    const bool mismatch = record.anomalies & http::bit(http::Anomaly::kAuthorityMismatch);
    EXPECT_EQ(mismatch, !by_address) << record.connection->destination;
  }
}

TEST_F(EntryTest, ASocksConnectionIsDialledOnceAndUsed) {
  ScriptedOrigin origin({{kOk}});
  const int fd = connect();
  socks(fd, "\5\1\0"s + socks5_request(origin.port()), 12);
  send(fd, get("a"));
  receive(fd, "ok");
  ::close(fd);
  records();
  EXPECT_EQ(origin.accepted(), 1);
}

TEST_F(EntryTest, OctetsThatComeWithTheRequestAreNotLost) {
  ScriptedOrigin origin({{kOk}});
  EXPECT_EQ(ask("\5\1\0"s + socks5_request(origin.port()) + get("a"), "ok"), "\5\0"s + kSocks5Granted + kOk);
}

TEST_F(EntryTest, AFailedDialHasItsSocksCode) {
  std::uint16_t closed;
  { closed = ScriptedOrigin({}).port(); }
  EXPECT_EQ(ask("\5\1\0"s + socks5_request(closed)), "\5\0\5\5\0\1\0\0\0\0\0\0"s);
  EXPECT_EQ(ask("\5\1\0"s + socks5_name("no-such-host.invalid", 80)), "\5\0\5\4\0\1\0\0\0\0\0\0"s);
  EXPECT_EQ(ask("\5\1\0"s + socks5_request(port_)), "\5\0\5\2\0\1\0\0\0\0\0\0"s);  // itself
  EXPECT_EQ(ask("\4\1"s + port_octets(closed) + "\x7f\0\0\1\0"s), "\0\x5b\0\0\0\0\0\0"s);
  ASSERT_EQ(records().size(), 4u);
  EXPECT_EQ(sink_.records[0].error, "connect_refused");
  EXPECT_EQ(sink_.records[1].error, "resolve");
  EXPECT_EQ(sink_.records[2].error, "loop");
  EXPECT_EQ(sink_.records[0].protocol, flow::Protocol::kTcp);
}

TEST_F(EntryTest, WhereARuleMayAnswerSocksIsGrantedAndTheOriginLeftAlone) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "mock.invalid";
  spec.handler = rules::Handler{rules::HandlerType::kMock};
  spec.handler.body = "mocked";
  ASSERT_TRUE(rules_.add(spec));
  ScriptedOrigin origin({{kOk}});
  EXPECT_TRUE(ask("\5\1\0"s + socks5_name("mock.invalid", 80) + get("mock.invalid"), "mocked").ends_with("mocked"));
  // Of an address alone the name is not known yet: a rule may be about it.
  EXPECT_TRUE(ask("\5\1\0"s + socks5_request(origin.port()) + get("mock.invalid"), "mocked").ends_with("mocked"));
  records();
  EXPECT_EQ(origin.accepted(), 0);
}

TEST_F(EntryTest, BindAndMalformedRequestsAreRefusedAndRecorded) {
  EXPECT_EQ(ask("\5\1\0"s + "\5\2\0\1\x7f\0\0\1\0\x50"s), "\5\0\5\7\0\1\0\0\0\0\0\0"s);
  EXPECT_EQ(ask("\5\1\0"s + "\5\3\0\1\0\0\0\0\0\0"s), "\5\0\5\7\0\1\0\0\0\0\0\0"s);
  EXPECT_EQ(ask("\5\1\1"s), "\5\xff"s);
  ASSERT_EQ(records().size(), 3u);
  for (const auto& record : sink_.records) EXPECT_EQ(record.error, "bad_request");
}

TEST_F(EntryTest, RawOctetsOverSocksAreRelayedAndBothDirectionsKept) {
  Listening server;
  const int fd = connect();
  EXPECT_EQ(socks(fd, "\5\1\0"s + socks5_request(server.port), 12), "\5\0"s + kSocks5Granted);
  const int peer = server.accept();
  send(fd, "\x01\x02 hello \xff");
  EXPECT_EQ(receive(peer, "\xff"), "\x01\x02 hello \xff");
  send(peer, "and back\n");
  EXPECT_EQ(receive(fd, "\n"), "and back\n");
  ::close(fd);
  EXPECT_EQ(receive(peer), "");
  ::close(peer);
  const auto& record = records().at(0);
  EXPECT_EQ(record.protocol, flow::Protocol::kTcp);
  EXPECT_EQ(record.request_body, "\x01\x02 hello \xff");
  EXPECT_EQ(record.response_body, "and back\n");
  EXPECT_EQ(record.state, flow::State::kDone);
}

TEST_F(EntryTest, AServerThatSpeaksFirstIsHeardOverSocks) {
  Listening server;
  const int fd = connect();
  EXPECT_EQ(socks(fd, "\5\1\0"s + socks5_request(server.port), 12), "\5\0"s + kSocks5Granted);
  const int peer = server.accept();
  send(peer, "220 hello\r\n");
  EXPECT_EQ(receive(fd, "\r\n"), "220 hello\r\n");
  send(fd, "QUIT\r\n");
  EXPECT_EQ(receive(peer, "\r\n"), "QUIT\r\n");
  ::close(peer);
  EXPECT_EQ(receive(fd), "");
  ::close(fd);
  EXPECT_EQ(records().at(0).response_body, "220 hello\r\n");
}

TEST_F(EntryTest, SeveralListenersServeAtOnce) {
  ScriptedOrigin origin({{kOk}, {kOk}, {kOk}});
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  ASSERT_TRUE(engine_->start({{"127.0.0.1", 0}, {"127.0.0.2", 0}, {"127.0.0.1", 0}}));
  const auto listeners = engine_->status().listeners;
  ASSERT_EQ(listeners.size(), 3u);
  for (const auto& listener : listeners) {
    port_ = listener.port;
    const int fd = connect(listener.host == "127.0.0.2" ? INADDR_LOOPBACK + 1 : INADDR_LOOPBACK);
    send(fd, "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(receive(fd, "ok"), kOk);
    ::close(fd);
  }
  for (const auto& listener : listeners) {  // asked of the last one: none of them is ever dialled
    const std::string own = "http://127.0.0.1:" + std::to_string(listener.port);
    EXPECT_TRUE(ask("GET " + own + "/ HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 508 "));
  }
  // All or nothing.
  const auto taken = listeners[2];
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  Listening other;
  EXPECT_FALSE(engine_->start({{"127.0.0.1", taken.port}, {"127.0.0.1", other.port}}));
  EXPECT_FALSE(engine_->status().running);
  ASSERT_TRUE(engine_->start({{"127.0.0.1", taken.port}}));
}

class PasswordTest : public EntryTest {
 protected:
  void configure(EngineOptions& options) override {
    options.proxy_user = "user";
    options.load_proxy_password = [this]() -> Result<Secret> {
      if (password_.empty()) return fail(Code::kNotFound, "no password file");
      return Secret(password_);
    };
  }
  static std::string with(std::string_view request, std::string_view pair) {
    std::string out(request);
    return out.insert(out.size() - 2, "Proxy-Authorization: Basic " + base64_encode(pair) + "\r\n");
  }
  std::string password_ = "secret";
};

TEST_F(PasswordTest, HttpNeedsItAndNobodySeesIt) {
  ScriptedOrigin origin({{kOk}, {kOk}});
  const std::string request = "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  const std::string asked = ask(request);
  EXPECT_TRUE(asked.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\n")) << asked;
  EXPECT_NE(asked.find("\r\nProxy-Authenticate: Basic realm=\"Sluice\", charset=\"UTF-8\"\r\n"), std::string::npos);
  EXPECT_TRUE(ask(with(request, "user:wrong")).starts_with("HTTP/1.1 407 "));
  EXPECT_EQ(origin.accepted(), 0);
  EXPECT_EQ(ask(with(request, "user:secret"), "ok"), kOk);
  EXPECT_EQ(origin.received(), "GET / HTTP/1.1\r\nHost: " + origin.authority() + "\r\nX: y\r\n\r\n");
  ASSERT_EQ(records().size(), 3u);
  for (const auto& record : sink_.records) {
    EXPECT_EQ(record.head.find("uthorization"), std::string::npos);
    EXPECT_EQ(record.head.find(base64_encode("user:secret")), std::string::npos);
  }
  EXPECT_EQ(sink_.records[0].error, "proxy_auth");
  EXPECT_EQ(sink_.records[0].status, 407);
}

TEST_F(PasswordTest, ConnectNeedsItToo) {
  ScriptedOrigin origin({{kOk}});
  const std::string request = "CONNECT " + origin.authority() + " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_TRUE(ask(request).starts_with("HTTP/1.1 407 "));
  const int fd = connect();
  send(fd, with(request, "user:secret"));
  EXPECT_TRUE(receive(fd, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
  send(fd, get("a"));  // inside the tunnel it is asked no more
  EXPECT_EQ(receive(fd, "ok"), kOk);
  ::close(fd);
}

TEST_F(PasswordTest, SocksNeedsIt) {
  ScriptedOrigin origin({{kOk}});
  const std::string request = socks5_request(origin.port()) + get("a");
  EXPECT_EQ(ask("\5\1\0"s + request), "\5\xff"s);
  EXPECT_EQ(ask("\5\1\2\1\4user\5wrong"s + request), "\5\2\1\1"s);
  EXPECT_EQ(ask("\4\1"s + port_octets(origin.port()) + "\x7f\0\0\1user\0"s), "\0\x5d\0\0\0\0\0\0"s);
  EXPECT_EQ(origin.accepted(), 0);
  EXPECT_EQ(ask("\5\2\0\2\1\4user\6secret"s + request, "ok"), "\5\2\1\0"s + kSocks5Granted + kOk);
  ASSERT_EQ(records().size(), 4u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sink_.records[i].error, "proxy_auth");
}

TEST_F(PasswordTest, BareTlsIsRefusedAndTheSetUpPageIsNot) {
  EXPECT_EQ(ask("\x16\x03\x01\0\5\1\0\0\1\0"s), "<reset>");
  EXPECT_NE(ask(get("x"), "</pre>").find("Sluice is running"), std::string::npos);
  EXPECT_NE(ask("GET http://sluice.setup/ca.pem HTTP/1.1\r\nHost: sluice.setup\r\nConnection: close\r\n\r\n")
                .find("BEGIN CERTIFICATE"),
            std::string::npos);
  ASSERT_EQ(records().size(), 1u);
  EXPECT_EQ(sink_.records[0].protocol, flow::Protocol::kTls);
}

TEST_F(PasswordTest, ItIsReadAgainAtEachStart) {
  ScriptedOrigin origin({{kOk}});
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  password_.clear();
  EXPECT_FALSE(engine_->start({{"127.0.0.1", port_}}));
  EXPECT_FALSE(engine_->status().running);
  password_ = "another";
  ASSERT_TRUE(engine_->start({{"127.0.0.1", port_}}));
  const std::string request = "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_TRUE(ask(with(request, "user:secret")).starts_with("HTTP/1.1 407 "));
  EXPECT_EQ(ask(with(request, "user:another"), "ok"), kOk);
}

TEST_F(PasswordTest, WithItTheProxyMayListenBeyondLoopback) {
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  EXPECT_TRUE(engine_->start({{"0.0.0.0", 0}}));
}

class HeaderTest : public EntryTest {
 protected:
  void configure(EngineOptions& options) override {
    options.proxy_protocol_from = {"127.0.0.2"};
    options.allow_clients = {"192.0.2.0/24", "2001:db8::/32"};
    options.limits.timeouts.client_head = std::chrono::milliseconds(300);
  }
  // A client behind the load balancer at 127.0.0.2.
  int behind() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port_);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  std::string ask_behind(std::string_view octets, std::string_view until = kNever) {
    const int fd = behind();
    send(fd, octets);
    std::string got = receive(fd, until);
    ::close(fd);
    return got;
  }
};

TEST_F(HeaderTest, TheClientOfTheHeaderIsTheOneRecorded) {
  ScriptedOrigin origin({{kOk}, {kOk}});
  // The client is on another machine then, and may not reach loopback; the address of the record is what counts here.
  const std::string request = get("x");
  EXPECT_NE(ask_behind("PROXY TCP4 192.0.2.9 198.51.100.1 1234 8080\r\n" + request, "</pre>").find("Sluice is running"),
            std::string::npos);
  EXPECT_TRUE(ask_behind("PROXY TCP4 192.0.2.9 198.51.100.1 1234 8080\r\nGET http://" + origin.authority() +
                         "/ HTTP/1.1\r\nHost: a\r\n\r\n")
                  .starts_with("HTTP/1.1 403 "));
  EXPECT_EQ(ask_behind("PROXY UNKNOWN\r\nGET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"),
            kOk);
  ASSERT_EQ(records().size(), 2u);
  EXPECT_EQ(sink_.records[0].connection->client_address, "192.0.2.9");
  EXPECT_EQ(sink_.records[0].connection->client_port, 1234);
  EXPECT_EQ(sink_.records[0].error, "target_forbidden");
  EXPECT_EQ(sink_.records[1].connection->client_address, "127.0.0.2");
}

TEST_F(HeaderTest, TheClientOfTheHeaderIsJudgedLikeAnyOther) {
  const std::string page = ask_behind("PROXY TCP4 203.0.113.5 198.51.100.1 1234 8080\r\n" + get("x"));
  EXPECT_TRUE(page.starts_with("HTTP/1.1 403 Forbidden\r\n")) << page;
  EXPECT_NE(page.find("may not use the proxy"), std::string::npos);
  EXPECT_EQ(ask_behind("PROXY TCP6 2001:db9::1 2001:db8::2 1234 8080\r\n\5\1\0"s), "\5\xff"s);
  EXPECT_EQ(ask_behind("PROXY TCP6 2001:db9::1 2001:db8::2 1234 8080\r\n\4\1\0\x50\x7f\0\0\1\0"s),
            "\0\x5b\0\0\0\0\0\0"s);
  EXPECT_EQ(ask_behind("PROXY TCP6 2001:db9::1 2001:db8::2 1234 8080\r\n\x16\x03\x01\0\5\1\0\0\1\0"s), "<reset>");
  EXPECT_EQ(engine_->status().connections_refused, 4u);
  ASSERT_EQ(records().size(), 4u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sink_.records[i].error, "client_not_allowed") << i;
  EXPECT_EQ(sink_.records[0].status, 403);
  EXPECT_EQ(sink_.records[3].protocol, flow::Protocol::kTls);
}

TEST_F(HeaderTest, WithoutItsHeaderALoadBalancerIsRefused) {
  EXPECT_EQ(ask_behind(get("x")), "<reset>");
  EXPECT_EQ(ask_behind("PROXY TCP4 nonsense\r\n"), "<reset>");
  const int silent = behind();
  send(silent, "PROXY TCP4 ");
  EXPECT_EQ(receive(silent), "<reset>");  // time-out
  ::close(silent);
  const int nothing = behind();
  ::shutdown(nothing, SHUT_WR);
  EXPECT_EQ(receive(nothing), "");
  ::close(nothing);
  ASSERT_EQ(records().size(), 3u);
  for (const auto& record : sink_.records) EXPECT_EQ(record.error, "bad_request");
}

TEST_F(HeaderTest, FromNobodyElseIsAHeaderTaken) {
  const std::string answer = ask("PROXY TCP4 192.0.2.9 198.51.100.1 1234 8080\r\n" + get("x"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_EQ(records().at(0).connection->client_address, "127.0.0.1");
}

class CrowdTest : public EntryTest {
 protected:
  void configure(EngineOptions& options) override { options.limits.max_connections = 2; }
};

TEST_F(CrowdTest, OneTooManyIsToldSoAndTheOthersStay) {
  ScriptedOrigin origin({{kOk}, {kOk}});
  const std::string request = "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n";
  const int one = connect(), two = connect();
  while (engine_->status().connections < 2) std::this_thread::yield();
  const std::string page = ask(request);
  EXPECT_TRUE(page.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << page;
  EXPECT_EQ(ask("\5\1\0"s), "\5\xff"s);
  EXPECT_EQ(engine_->status().connections, 2u);
  EXPECT_EQ(engine_->status().connections_refused, 2u);
  for (const int fd : {one, two}) {
    send(fd, request);
    EXPECT_EQ(receive(fd, "ok"), kOk);
    ::close(fd);
  }
  ASSERT_EQ(records().size(), 4u);
  EXPECT_EQ(sink_.records[0].error, "too_many_connections");
  EXPECT_EQ(sink_.records[0].status, 503);
}

TEST_F(CrowdTest, AFloodIsCountedAndNotRecordedWithoutEnd) {
  const int one = connect(), two = connect();
  while (engine_->status().connections < 2) std::this_thread::yield();
  constexpr int kFlood = 200;
  for (int i = 0; i < kFlood; ++i) ask(get("x"));
  EXPECT_EQ(engine_->status().connections_refused, static_cast<std::uint64_t>(kFlood));
  ::close(one);
  ::close(two);
  EXPECT_GE(records().size(), 20u);
  EXPECT_LT(sink_.records.size(), static_cast<std::size_t>(kFlood));
}

}  // namespace
}  // namespace sluice::proxy
