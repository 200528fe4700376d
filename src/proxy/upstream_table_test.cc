#include "proxy/upstream_table.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

std::string shown(const UpstreamProxyPtr& proxy) { return proxy ? proxy->shown() : "direct"; }

class Upstreams : public ::testing::Test {
 protected:
  std::string via(std::string_view host, std::uint16_t port = 443, std::string_view scheme = "https",
                  std::string_view name = {}) {
    return shown(store_.table()->find(scheme, host, port, name));
  }
  Status global(std::string url, std::optional<std::vector<std::string>> no_proxy = {}) {
    const auto set = store_.set_global({std::move(url), std::move(no_proxy), "proxy_url", {}});
    return set ? Status() : fail(set.error());
  }
  Status host(const std::string& pattern, std::string url, std::optional<std::vector<std::string>> no_proxy = {}) {
    const auto set = store_.set_host(pattern, {std::move(url), std::move(no_proxy), "proxy_url", {}});
    return set ? Status() : fail(set.error());
  }

  UpstreamStore store_;
};

TEST_F(Upstreams, WithoutAnyEverythingIsDirect) {
  EXPECT_TRUE(store_.table()->empty());
  EXPECT_EQ(via("example.com"), "direct");
}

TEST_F(Upstreams, TheMostSpecificOneWins) {
  ASSERT_TRUE(global("http://all:1"));
  ASSERT_TRUE(host("api.example.com", "http://one:1"));
  ASSERT_TRUE(host("*.example.com", "http://below:1"));
  ASSERT_TRUE(host("10.0.0.9", "http://address:1"));
  EXPECT_EQ(via("API.example.com"), "http://one:1/");
  EXPECT_EQ(via("www.example.com"), "http://below:1/");
  EXPECT_EQ(via("example.com"), "http://all:1/");
  EXPECT_EQ(via("10.0.0.9"), "http://address:1/");
  ASSERT_TRUE(host("*", "http://any:1"));
  EXPECT_EQ(via("example.com"), "http://any:1/");
}

TEST_F(Upstreams, ABypassGoesDirectlyAndNotToTheGlobalOne) {
  ASSERT_TRUE(global("http://all:1", std::vector<std::string>{"direct.example", "10.0.0.0/8"}));
  ASSERT_TRUE(host("*.example.com", "http://below:1", std::vector<std::string>{"own.example.com"}));
  EXPECT_EQ(via("direct.example"), "direct");
  EXPECT_EQ(via("10.1.1.1"), "direct");
  EXPECT_EQ(via("own.example.com"), "direct");
  EXPECT_EQ(via("other.example.com"), "http://below:1/");
}

// A redirected connection knows an address, and the name from TLS or Host.
TEST_F(Upstreams, AnAddressIsAlsoJudgedByItsName) {
  ASSERT_TRUE(global("http://all:1", std::vector<std::string>{"direct.example"}));
  ASSERT_TRUE(host("api.example.com", "http://one:1"));
  EXPECT_EQ(via("192.0.2.1", 443, "https", "api.example.com"), "http://one:1/");
  EXPECT_EQ(via("192.0.2.1", 443, "https", "direct.example"), "direct");
  EXPECT_EQ(via("192.0.2.1", 443, "https", "other.example"), "http://all:1/");
  ASSERT_TRUE(host("192.0.2.1", "http://address:1"));
  EXPECT_EQ(via("192.0.2.1", 443, "https", "api.example.com"), "http://address:1/");
}

TEST_F(Upstreams, AChangeThatFailsChangesNothing) {
  ASSERT_TRUE(global("http://all:1"));
  ASSERT_TRUE(host("h.example", "http://one:1"));
  ASSERT_TRUE(host("*", "http://any:1"));
  const auto before = store_.table();
  const auto generation = store_.generation();
  EXPECT_FALSE(global("nonsense"));
  EXPECT_FALSE(global("http://all:2", std::vector<std::string>{"a b"}));
  EXPECT_FALSE(host("h.example", "nonsense"));
  EXPECT_FALSE(host("*.", "http://one:2"));
  EXPECT_FALSE(host("not a host", "http://one:2"));
  EXPECT_FALSE(host("h.example:80", "http://one:2"));
  EXPECT_FALSE(store_.remove_host("other.example"));
  const auto refused = store_.set_global(
      {"http://all:3", {}, "proxy_url", [](const UpstreamProxy&) { return fail(Code::kRefused, "ours"); }});
  EXPECT_FALSE(refused);
  EXPECT_EQ(store_.table(), before);
  EXPECT_EQ(store_.generation(), generation);
}

TEST_F(Upstreams, OverridesAreReplacedAndRemovedInAnyCase) {
  ASSERT_TRUE(host("H.example", "http://one:1"));
  ASSERT_TRUE(host("h.EXAMPLE", "http://two:1"));
  ASSERT_TRUE(host("other.example", "http://three:1"));
  EXPECT_EQ(store_.table()->overrides().size(), 2u);
  EXPECT_EQ(via("h.example"), "http://two:1/");
  EXPECT_TRUE(store_.remove_host("H.Example"));
  EXPECT_FALSE(store_.remove_host("h.example"));
  EXPECT_EQ(via("h.example"), "direct");
  EXPECT_EQ(via("other.example"), "http://three:1/");
}

TEST_F(Upstreams, WhoReadsTheOldTableKeepsIt) {
  ASSERT_TRUE(global("http://all:1"));
  const auto before = store_.table();
  const auto generation = store_.generation();
  store_.clear_global();
  EXPECT_GT(store_.generation(), generation);
  EXPECT_EQ(shown(before->find("https", "example.com", 443)), "http://all:1/");
  EXPECT_EQ(via("example.com"), "direct");
}

TEST_F(Upstreams, EachSettingMakesConnectionsOfItsOwn) {
  ASSERT_TRUE(global("http://all:1"));
  const auto first = store_.table()->find("https", "h", 1)->id();
  ASSERT_TRUE(global("http://all:1"));
  EXPECT_NE(store_.table()->find("https", "h", 1)->id(), first);
}

TEST_F(Upstreams, TheEnvironmentIsReadByTheUsualRules) {
  ASSERT_TRUE(store_.set_environment({"plain.example:3128", "http://u:p@secure.example", "", "direct.example,.corp"}));
  EXPECT_EQ(via("a.example", 80, "http"), "http://plain.example:3128/");
  EXPECT_EQ(via("a.example", 443, "https"), "http://u:***@secure.example/");
  EXPECT_EQ(via("a.example", 25, ""), "http://u:***@secure.example/");
  EXPECT_EQ(via("direct.example", 80, "http"), "direct");
  EXPECT_EQ(via("x.corp", 443, "https"), "direct");
  ASSERT_TRUE(store_.set_environment({"", "http://secure.example", "", ""}));
  EXPECT_EQ(via("a.example", 80, "http"), "direct");
  ASSERT_TRUE(store_.set_environment({"", "", "socks5h://all.example", ""}));
  EXPECT_EQ(via("a.example", 80, "http"), "socks5h://all.example");
  EXPECT_EQ(via("a.example"), "socks5h://all.example");
  const Status bad = store_.set_environment({"", "http://u:hunter2@", "", ""});
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().message.starts_with("the variable https_proxy is not")) << bad.error().message;
  EXPECT_EQ(bad.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(via("a.example"), "socks5h://all.example");
}

}  // namespace
}  // namespace sluice::proxy
