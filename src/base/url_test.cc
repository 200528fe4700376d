#include "base/url.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Url, TakesApartWhatItPutsTogether) {
  for (const char* text : {"http://example.com/", "https://example.com:8443/a/b?c=d&e", "ws://[2001:db8::1]/chat",
                           "wss://[::1]:9000/", "http://10.0.0.1:81/x%20y", "http://a_b.example/?q"}) {
    const auto url = parse_url(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(to_string(*url), text);
  }
}

TEST(Url, LowersSchemeAndHostAndKeepsTheTarget) {
  const auto url = parse_url("HTTPS://ExAmple.COM:443/Path?Q=A");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "example.com");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/Path?Q=A");
  EXPECT_EQ(to_string(*url), "https://example.com/Path?Q=A");
}

TEST(Url, FillsInTheEmptyPathAndDropsTheFragment) {
  EXPECT_EQ(parse_url("http://h")->target, "/");
  EXPECT_EQ(parse_url("http://h?x=1")->target, "/?x=1");
  EXPECT_EQ(parse_url("http://h#frag")->target, "/");
  EXPECT_EQ(parse_url("http://h/a?b#c?d")->target, "/a?b");
  EXPECT_EQ(parse_url("http://h:/a")->port, 80);
}

TEST(Url, RefusesWhatItCannotStandFor) {
  for (const char* text : {"",
                           "example.com",
                           "/path",
                           "ftp://h/",
                           "://h/",
                           "http://",
                           "http:///x",
                           "http://:80/",
                           "http://user@h/",
                           "http://a:b@h/",
                           "http://h:0/",
                           "http://h:65536/",
                           "http://h:+80/",
                           "http://h:8 0/",
                           "http://h:000080/",
                           "http://[::1",
                           "http://[::1]x/",
                           "http://[1.2.3.4]/",
                           "http://[fe80::1%25eth0]/",
                           "http://a b/",
                           "http://h/a b",
                           "http://h/a\tb",
                           "http://h/\x7f",
                           "http://a..b/",
                           "http://.a/",
                           "http://h\\@evil/",
                           "http://h%2fx/",
                           "http://a,b/",
                           "http://::1/"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::kInvalid);
    EXPECT_FALSE(url.error().message.empty());
  }
  EXPECT_FALSE(parse_url(std::string_view("http://h\0.example/", 18)));
  EXPECT_FALSE(parse_url(std::string_view("http://h/\0", 10)));
}

TEST(Authority, ReadsHostPortAndBrackets) {
  EXPECT_EQ(*parse_authority("Example.com:8443", 0), (HostPort{"example.com", 8443}));
  EXPECT_EQ(*parse_authority("example.com.", 443), (HostPort{"example.com.", 443}));
  EXPECT_EQ(*parse_authority("[2001:DB8::1]:1", 0), (HostPort{"2001:db8::1", 1}));
  EXPECT_EQ(*parse_authority("[::]", 80), (HostPort{"::", 80}));
  EXPECT_EQ(*parse_authority("h:", 80), (HostPort{"h", 80}));
  EXPECT_FALSE(parse_authority("h", 0));
  EXPECT_FALSE(parse_authority("h:", 0));
  EXPECT_FALSE(parse_authority("::1", 80));
  EXPECT_FALSE(parse_authority("h:80:80", 80));
  EXPECT_FALSE(parse_authority("h:80/", 80));
}

TEST(Authority, IsWrittenWithBracketsAndWithoutTheDefaultPort) {
  EXPECT_EQ(authority_text("::1", 443, 443), "[::1]");
  EXPECT_EQ(authority_text("::1", 444, 443), "[::1]:444");
  EXPECT_EQ(authority_text("h", 80, 0), "h:80");
}

TEST(Host, KnowsNamesAndAddresses) {
  EXPECT_TRUE(is_ip_literal("127.0.0.1"));
  EXPECT_TRUE(is_ip_literal("::ffff:1.2.3.4"));
  EXPECT_FALSE(is_ip_literal("127.1"));
  EXPECT_FALSE(is_ip_literal("0177.0.0.1"));
  EXPECT_FALSE(is_ip_literal("[::1]"));
  EXPECT_FALSE(is_ip_literal("fe80::1%lo"));
  EXPECT_TRUE(is_valid_host("_dmarc.a-b.example"));
  EXPECT_TRUE(is_valid_host("xn--bcher-kva.example."));
  EXPECT_TRUE(is_valid_host(std::string(63, 'a') + ".b"));
  EXPECT_FALSE(is_valid_host(std::string(64, 'a') + ".b"));
  EXPECT_FALSE(is_valid_host("."));
  EXPECT_FALSE(is_valid_host(""));
  EXPECT_FALSE(
      is_valid_host("b\xc3\xbc"
                    "cher.example"));
  std::string longest;
  while (longest.size() < 250) longest += "a.";
  EXPECT_TRUE(is_valid_host(longest + "abc"));
  EXPECT_FALSE(is_valid_host(longest + "abcd"));
}

}  // namespace
}  // namespace sluice
