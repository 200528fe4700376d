#include "proxy/upstream_proxy.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::proxy {
namespace {

Result<UpstreamProxyPtr> parse(std::string_view url, const KeptPasswords& kept = {}) {
  return UpstreamProxy::parse(url, "proxy_url", kept, 1);
}

KeptPasswords kept_for(std::string host, std::string password) {
  KeptPasswords kept;
  kept.push_back(
      {std::move(host), PasswordSource::kEnvironment, [password]() -> Result<Secret> { return Secret(password); }});
  return kept;
}

TEST(UpstreamUrl, EveryKnownSchemeIsReadWithItsPort) {
  struct Case {
    std::string_view url;
    ProxyScheme scheme;
    std::uint16_t port;
    std::string_view shown;
  };
  for (const Case& one : {Case{"http://proxy.example", ProxyScheme::kHttp, 80, "http://proxy.example/"},
                          Case{"HTTP://Proxy.Example:80/", ProxyScheme::kHttp, 80, "http://proxy.example/"},
                          Case{"http://proxy.example:3128", ProxyScheme::kHttp, 3128, "http://proxy.example:3128/"},
                          Case{"https://proxy.example", ProxyScheme::kHttps, 443, "https://proxy.example/"},
                          Case{"socks://h", ProxyScheme::kSocks5h, 1080, "socks://h"},
                          Case{"socks4://h:1", ProxyScheme::kSocks4, 1, "socks4://h:1"},
                          Case{"socks4a://h", ProxyScheme::kSocks4a, 1080, "socks4a://h"},
                          Case{"socks5://h:1080", ProxyScheme::kSocks5, 1080, "socks5://h:1080"},
                          Case{"socks5h://[2001:DB8::1]:9", ProxyScheme::kSocks5h, 9, "socks5h://[2001:db8::1]:9"},
                          Case{"pac+http://h/a/b.pac?q=1", ProxyScheme::kPac, 80, "pac+http://h/***/***"},
                          Case{"pac+https://h:8443/p", ProxyScheme::kPac, 8443, "pac+https://h:8443/***"},
                          Case{"pac+file:///etc/proxy.pac", ProxyScheme::kPac, 0, "pac+file:///***/***"}}) {
    const auto proxy = parse(one.url);
    ASSERT_TRUE(proxy) << one.url << ": " << proxy.error().message;
    EXPECT_EQ((*proxy)->scheme(), one.scheme) << one.url;
    EXPECT_EQ((*proxy)->port(), one.port) << one.url;
    EXPECT_EQ((*proxy)->shown(), one.shown) << one.url;
    EXPECT_EQ((*proxy)->password_source(), PasswordSource::kNoUser) << one.url;
  }
  EXPECT_EQ((*parse("pac+http://h/a/b.pac?q=1"))->pac_url(), "http://h/a/b.pac?q=1");
  EXPECT_EQ((*parse("pac+file:///etc/proxy.pac"))->pac_url(), "file:///etc/proxy.pac");
}

TEST(UpstreamUrl, WhatIsNoUrlIsRefusedInTheContractsWords) {
  for (const std::string_view url : {"",
                                     "proxy.example",
                                     "proxy.example:3128",
                                     "://host",
                                     "http:/host",
                                     "http://",
                                     "http://:80",
                                     "http://h:0",
                                     "http://h:65536",
                                     "http://h:x",
                                     "http://user:pa/ss@host",
                                     "http://user:hunter2@",
                                     "http://a b",
                                     "http://h\t",
                                     "http://h\n",
                                     "http://[::1",
                                     "http://[h]",
                                     "http://h\\@evil",
                                     "1http://h",
                                     "socks5:h",
                                     "pac+file://host/x",
                                     "pac+file://",
                                     "http://user:hunter2@ho st:1"}) {
    const auto proxy = parse(url);
    ASSERT_FALSE(proxy) << url;
    EXPECT_EQ(proxy.error().message, "proxy_url is not a parseable URL — check the scheme, e.g. socks5://host:1080")
        << url;
    EXPECT_EQ(proxy.error().code, Code::kInvalid);
  }
}

TEST(UpstreamUrl, AnUnknownSchemeIsRefusedWithTheKnownOnes) {
  const auto proxy = parse("ftp://user:hunter2@host:21/path");
  ASSERT_FALSE(proxy);
  EXPECT_EQ(proxy.error().message.find("hunter2"), std::string::npos);
  EXPECT_TRUE(
      proxy.error().message.starts_with("proxy_url has the scheme 'ftp', which is none of http, https, socks4"));
  EXPECT_FALSE(parse("pac+ftp://h/x"));
  EXPECT_FALSE(parse("ws://h"));
}

TEST(UpstreamUrl, CredentialsAreDecodedAndNeverShown) {
  const auto proxy = parse("http://us%65r:p%40ss%2F%3a@host:3128/secret/path?token=1#frag");
  ASSERT_TRUE(proxy);
  EXPECT_EQ((*proxy)->auth().user(), "user");
  EXPECT_EQ((*proxy)->auth().password().view(), "p@ss/:");
  EXPECT_EQ((*proxy)->password_source(), PasswordSource::kUrl);
  EXPECT_EQ((*proxy)->shown(), "http://us%65r:***@host:3128/***/***");
  const auto two = parse("http://user:p@ss@host");  // the last @ counts, as everywhere
  ASSERT_TRUE(two);
  EXPECT_EQ((*two)->auth().password().view(), "p@ss");
  EXPECT_EQ((*two)->shown(), "http://user:***@host/");
}

TEST(UpstreamUrl, CredentialsThatCannotBeSentAreRefusedWithoutBeingNamed) {
  for (const std::string_view url :
       {"http://us%3Aer:hunter2@h", "socks5://us%3aer:hunter2@h", "http://u:hunter2%0d%0a@h", "http://u%00:hunter2@h",
        "socks4://u:hunter2@h", "socks4a://u:hunter2@h", "pac+http://u:hunter2@h/p"}) {
    const auto proxy = parse(url);
    ASSERT_FALSE(proxy) << url;
    EXPECT_EQ(proxy.error().code, Code::kRefused) << url;
    EXPECT_EQ(proxy.error().message.find("hunter2"), std::string::npos) << url;
  }
  EXPECT_FALSE(parse("socks5://u:" + std::string(256, 'p') + "@h"));
  EXPECT_TRUE(parse("socks5://u:a%3Ab@h"));  // RFC 1929 knows no colons
}

TEST(UpstreamUrl, AKeptPasswordIsForItsHostAndAUserWithoutOne) {
  const KeptPasswords kept = kept_for("Proxy.Example", "from-env");
  const auto merged = parse("http://user@proxy.example:3128", kept);
  ASSERT_TRUE(merged);
  EXPECT_EQ((*merged)->auth().password().view(), "from-env");
  EXPECT_EQ(to_string((*merged)->password_source()), "env");
  EXPECT_EQ((*merged)->shown(), "http://user@proxy.example:3128/");
  EXPECT_EQ((*parse("http://user:@proxy.example", kept))->auth().password().view(), "from-env");
  EXPECT_EQ((*parse("http://user:own@proxy.example", kept))->auth().password().view(), "own");
  EXPECT_EQ((*parse("http://user@sub.proxy.example", kept))->password_source(), PasswordSource::kNone);
  EXPECT_TRUE((*parse("http://user@sub.proxy.example", kept))->auth().password().empty());
  EXPECT_EQ((*parse("http://proxy.example", kept))->password_source(), PasswordSource::kNoUser);
  EXPECT_FALSE((*parse("http://proxy.example", kept))->auth().has_credentials());
  EXPECT_EQ((*parse("http://u@[::1]:3128", kept_for("[::1]", "six")))->auth().password().view(), "six");
}

TEST(RedactedUrl, HidesAllThatMayBeSecret) {
  EXPECT_EQ(redacted_proxy_url("http://u:p@h/a/b?q#f"), "http://u:***@h/***/***");
  EXPECT_EQ(redacted_proxy_url("http://:p@h"), "http://:***@h/");
  EXPECT_EQ(redacted_proxy_url("http://u:@h"), "http://u@h/");
  EXPECT_EQ(redacted_proxy_url("https://h:443"), "https://h/");
  EXPECT_EQ(redacted_proxy_url("http://h//a//"), "http://h//***//");
  EXPECT_EQ(redacted_proxy_url("socks5://u:p@h:1080?x"), "socks5://u:***@h:1080");
  EXPECT_EQ(redacted_proxy_url("mailto:secret@host"), "mailto:***");
  EXPECT_EQ(redacted_proxy_url("secret"), "<unparseable url>");
  EXPECT_EQ(redacted_proxy_url("http://u:p/w@h"), "<unparseable url>");
  EXPECT_EQ(redacted_proxy_url(""), "<unparseable url>");
}

// Wherever the word stands but in the user name, the scheme or the host, it does not come through.
TEST(RedactedUrl, NoSpellingLetsThePasswordThrough) {
  const std::string secret = "hunter2";
  for (const std::string& before :
       {std::string("http://u:"), std::string("socks5://u::"), std::string("https://:"), std::string("http://h/"),
        std::string("http://h/?"), std::string("http://h/#"), std::string("http://u:x@h/a/"), std::string("x:"),
        std::string("http://u:%00"), std::string("http:\\\\u:"), std::string("http://u:\t")}) {
    for (const std::string& after : {std::string(""), std::string("@h"), std::string("@h:1/"), std::string("@@h"),
                                     std::string("@h@h"), std::string("/@h"), std::string("?@h"), std::string("#@h"),
                                     std::string(":@h"), std::string("\\@h"), std::string("@h:99999")}) {
      const std::string url = before + secret + after;
      EXPECT_EQ(redacted_proxy_url(url).find(secret), std::string::npos) << url;
      if (const auto proxy = parse(url))
        EXPECT_EQ((*proxy)->shown().find(secret), std::string::npos) << url;
      else
        EXPECT_EQ(proxy.error().message.find(secret), std::string::npos) << url;
    }
  }
}

}  // namespace
}  // namespace sluice::proxy
