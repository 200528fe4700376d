// The dialogues with upstream proxies that tell the truth, lie, or leave.
#include "proxy/via_proxy.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "net/memory_stream.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;

class ViaProxy : public ::testing::Test {
 protected:
  // What the proxy says when it has read `after` of what was sent to it, and how it goes on.
  struct Line {
    std::string after, says;
    bool closes = false;
  };

  static UpstreamProxyPtr proxy(std::string_view url) { return *UpstreamProxy::parse(url, "url", {}, 1); }

  ViaResult ask(const UpstreamProxyPtr& proxy, std::vector<Line> script, std::size_t slice = SIZE_MAX) {
    heard_.clear();
    auto [ours, theirs] = net::MemoryStream::pair(io_.get_executor(), 1 << 20);
    ours->set_slice(slice);
    const HostPort origin{host_, 443};
    std::optional<ViaResult> result;
    asio::co_spawn(io_, serve(*theirs, std::move(script)), asio::detached);
    asio::co_spawn(
        io_,
        [&, stream = std::move(ours)]() mutable -> net::Task<void> {
          result = proxy->speaks_http() ? co_await ask_connect(std::move(stream), *proxy, origin, entropy_)
                                        : co_await ask_socks(std::move(stream), *proxy, origin);
          if (*result) {
            char space[64];
            const tls::IoResult got = (**result)->read(space);
            first_ = got.status == tls::IoStatus::kOk ? std::string(space, got.count) : "";
          }
          theirs->close();
        },
        asio::detached);
    io_.restart();
    io_.run();
    return *std::move(result);
  }

  net::Task<void> serve(net::MemoryStream& stream, std::vector<Line> script) {
    for (const Line& line : script) {
      std::string seen;
      char space[4096];
      while (seen.find(line.after) == std::string::npos) {
        const auto got = co_await stream.read_some(space);
        if (!got || *got == 0) co_return;
        seen.append(space, *got);
        heard_.append(space, *got);
      }
      if (!co_await stream.write_all(line.says)) co_return;
      if (line.closes) co_return stream.close_write();
    }
  }

  asio::io_context io_;  // the streams that are answered live on it
  SeededEntropy entropy_{1};
  std::string host_ = "origin.example", heard_, first_;
};

constexpr std::string_view kEnd = "\r\n\r\n";

TEST_F(ViaProxy, ConnectIsAskedForAndItsFirstOctetsAreKept) {
  for (std::size_t slice = 1; slice < 60; ++slice) {
    const auto through =
        ask(proxy("http://p"), {{std::string(kEnd), "HTTP/1.1 200 Fine\r\nX: y\r\n\r\nSSH-2.0-x"}}, slice);
    ASSERT_TRUE(through) << slice;
    EXPECT_EQ(heard_, "CONNECT origin.example:443 HTTP/1.1\r\nHost: origin.example:443\r\n\r\n");
    EXPECT_TRUE(std::string_view("SSH-2.0-x").starts_with(first_)) << first_;
  }
  EXPECT_TRUE(ask(proxy("http://p"), {{std::string(kEnd), "HTTP/1.0 200 Connection established\r\n\r\n"}}));
  EXPECT_TRUE(ask(proxy("http://p"), {{std::string(kEnd), "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 Yes\r\n\r\n"}}));
  // RFC 9110 §9.3.6: a length in a 2xx to CONNECT means nothing.
  EXPECT_TRUE(ask(proxy("http://p"), {{std::string(kEnd), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}}));
}

TEST_F(ViaProxy, AnIpv6OriginStandsInBrackets) {
  host_ = "2001:db8::1";
  ASSERT_TRUE(ask(proxy("http://p"), {{std::string(kEnd), "HTTP/1.1 200 OK\r\n\r\n"}}));
  EXPECT_TRUE(heard_.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"));
}

TEST_F(ViaProxy, ARefusalNamesTheProxyAndItsStatus) {
  const auto through = ask(proxy("http://u:hunter2@p:3128"),
                           {{std::string(kEnd), "HTTP/1.1 403 hunter2 Forbidden\r\nContent-Length: 3\r\n\r\nno!"}});
  ASSERT_FALSE(through);
  EXPECT_EQ(through.error().kind, FailureKind::kUpstreamProxyRefused);
  EXPECT_EQ(
      through.error().message,
      "the upstream proxy http://u:***@p:3128/ answered 403 to CONNECT origin.example:443: it does not allow this "
      "destination");
}

TEST_F(ViaProxy, LyingProxiesEndInASentence) {
  struct Case {
    std::string says;
    std::string_view contains;
  };
  for (const Case& one : {Case{"SSH-2.0-OpenSSH\r\n", "does not answer as an HTTP proxy"},
                          Case{std::string("\0\1\2\3\r\n\r\n", 8), "does not answer as an HTTP proxy"},
                          Case{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "does not answer as an HTTP proxy"},
                          Case{"HTTP/2 200\r\n\r\n", "does not answer as an HTTP proxy"},
                          Case{"HTTP/1.1 200 OK\r\nX: y\r\n", "without an answer"}, Case{"", "without an answer"},
                          Case{"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "answered 101"},
                          Case{"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "answered 302"}}) {
    const auto through = ask(proxy("http://p"), {{std::string(kEnd), one.says, true}});
    ASSERT_FALSE(through) << one.says;
    EXPECT_NE(through.error().message.find(one.contains), std::string::npos) << through.error().message;
    EXPECT_TRUE(through.error().message.starts_with("the upstream proxy http://p/ ")) << through.error().message;
    EXPECT_FALSE(through.error().again);
  }
}

TEST_F(ViaProxy, AnEndlessHeadIsNotReadForEver) {
  std::string endless = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 20'000; ++i) endless += "X-Long: aaaaaaaaaaaaaaaa\r\n";
  const auto through = ask(proxy("http://p"), {{std::string(kEnd), endless, true}});
  ASSERT_FALSE(through);
  EXPECT_NE(through.error().message.find("endless"), std::string::npos) << through.error().message;
  std::string interim;
  for (int i = 0; i < 100; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_FALSE(ask(proxy("http://p"), {{std::string(kEnd), interim, true}}));
}

TEST_F(ViaProxy, APasswordIsSentWhenItIsAskedFor) {
  const auto asked = proxy("http://user:hunter2@p");
  const std::string challenge = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n";
  auto through = ask(asked, {{std::string(kEnd), challenge}});
  ASSERT_FALSE(through);
  EXPECT_TRUE(through.error().again);
  EXPECT_EQ(heard_.find("Proxy-Authorization"), std::string::npos);
  EXPECT_TRUE(ask(asked, {{std::string(kEnd), "HTTP/1.1 200 OK\r\n\r\n"}}));
  EXPECT_NE(heard_.find("\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n"), std::string::npos);
  through = ask(asked, {{std::string(kEnd), challenge}});
  ASSERT_FALSE(through);
  EXPECT_FALSE(through.error().again);
  EXPECT_EQ(through.error().kind, FailureKind::kUpstreamProxyAuth);
  EXPECT_EQ(through.error().message, "the upstream proxy http://user:***@p/ refused the user name or password");
  through = ask(proxy("http://p"), {{std::string(kEnd), challenge}});
  ASSERT_FALSE(through);
  EXPECT_FALSE(through.error().again);
  EXPECT_EQ(through.error().message, "the upstream proxy http://p/ asks for a user name and password");
}

TEST_F(ViaProxy, ADigestIsOverTheAuthority) {
  const auto asked = proxy("http://user:hunter2@p");
  ASSERT_FALSE(
      ask(asked, {{std::string(kEnd),
                   "HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n"}}));
  EXPECT_TRUE(ask(asked, {{std::string(kEnd), "HTTP/1.1 200 OK\r\n\r\n"}}));
  EXPECT_NE(heard_.find("uri=\"origin.example:443\""), std::string::npos);
  EXPECT_EQ(heard_.find("hunter2"), std::string::npos);
}

TEST_F(ViaProxy, Socks5TakesTheNameAndThePassword) {
  const std::string yes("\5\0\0\1\0\0\0\0\0\0", 10);
  const auto through =
      ask(proxy("socks5h://user:hunter2@p"), {{std::string("\5\2\0\2", 4), std::string("\5\2", 2)},
                                              {std::string("\1\4user\7hunter2", 14), std::string("\1\0", 2)},
                                              {"origin.example", yes + "220 hello"}});
  ASSERT_TRUE(through) << through.error().message;
  EXPECT_EQ(first_, "220 hello");
}

TEST_F(ViaProxy, LyingSocksProxiesEndInASentence) {
  struct Case {
    std::string says;
    FailureKind kind;
    std::string_view contains;
  };
  for (const Case& one :
       {Case{std::string("\5\xff", 2), FailureKind::kUpstreamProxyAuth, "authentication"},
        Case{"HTTP/1.1 400 Bad Request\r\n\r\n", FailureKind::kUpstreamProxy, "does not speak SOCKS5"},
        Case{std::string("\5\0\5\1", 4), FailureKind::kUpstreamProxyRefused, "the SOCKS proxy says"},
        Case{std::string("\5\0\5\5\0\1", 6), FailureKind::kUpstreamProxyRefused, "refused"},
        Case{std::string("\5\0\5\0\0\7\1", 7), FailureKind::kUpstreamProxy, "malformed"},
        Case{std::string("\5\0", 2), FailureKind::kUpstreamProxy, "without an answer"},
        Case{"", FailureKind::kUpstreamProxy, "without an answer"}}) {
    const auto through = ask(proxy("socks5h://p"), {{std::string("\5\1\0", 3), one.says, true}});
    ASSERT_FALSE(through);
    EXPECT_EQ(through.error().kind, one.kind) << through.error().message;
    EXPECT_NE(through.error().message.find(one.contains), std::string::npos) << through.error().message;
  }
}

TEST_F(ViaProxy, Socks4TakesIpv4AddressesOnly) {
  host_ = "2001:db8::1";
  const auto through = ask(proxy("socks4://p"), {});
  ASSERT_FALSE(through);
  EXPECT_EQ(through.error().message,
            "the upstream proxy socks4://p cannot be asked for [2001:db8::1]:443: SOCKS4 cannot reach IPv6 addresses");
}

TEST_F(ViaProxy, ASocks5UserWithoutPasswordIsToldSo) {
  const auto through = ask(proxy("socks5h://user@p"), {});
  ASSERT_FALSE(through);
  EXPECT_NE(through.error().message.find("a user name and a password, or neither"), std::string::npos);
}

}  // namespace
}  // namespace sluice::proxy
