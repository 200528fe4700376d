#include "proxy/no_proxy.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

bool matches(const std::string& entry, std::string_view host, std::uint16_t port = 443) {
  const auto list = NoProxy::parse({entry});
  EXPECT_TRUE(list) << entry;
  return list && list->matches(host, port);
}

TEST(NoProxy, NamesMeanThemselvesAndWhatLiesBelow) {
  for (const std::string entry : {"example.com", ".example.com", "*.example.com", "EXAMPLE.com", "example.com."}) {
    EXPECT_TRUE(matches(entry, "example.com")) << entry;
    EXPECT_TRUE(matches(entry, "a.b.Example.COM")) << entry;
    EXPECT_TRUE(matches(entry, "example.com.")) << entry;
    EXPECT_FALSE(matches(entry, "notexample.com")) << entry;
    EXPECT_FALSE(matches(entry, "example.com.evil")) << entry;
    EXPECT_FALSE(matches(entry, "com")) << entry;
  }
  EXPECT_TRUE(matches("com", "example.com"));
  EXPECT_TRUE(matches("*", "anything"));
  EXPECT_TRUE(matches("*", "::1"));
  EXPECT_TRUE(matches("localhost", "localhost"));
}

TEST(NoProxy, APortMustBeTheSame) {
  EXPECT_TRUE(matches("example.com:8443", "a.example.com", 8443));
  EXPECT_FALSE(matches("example.com:8443", "a.example.com", 443));
  EXPECT_TRUE(matches("*:80", "anything", 80));
  EXPECT_FALSE(matches("*:80", "anything", 81));
  EXPECT_TRUE(matches("[::1]:80", "::1", 80));
  EXPECT_FALSE(matches("[::1]:80", "::1", 81));
  EXPECT_TRUE(matches("10.0.0.1:80", "10.0.0.1", 80));
}

TEST(NoProxy, AddressesAndBlocks) {
  EXPECT_TRUE(matches("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(matches("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(matches("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(matches("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(matches("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(matches("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(matches("::/0", "2001:db8::1"));
  for (const std::string entry : {"fd00::/8", "[fd00::]/8", "[fd00::/8]"}) {
    EXPECT_TRUE(matches(entry, "fd12::1")) << entry;
    EXPECT_FALSE(matches(entry, "fe80::1")) << entry;
  }
  for (const std::string entry : {"2001:DB8::1", "[2001:db8::1]", "2001:db8:0:0::1"}) {
    EXPECT_TRUE(matches(entry, "2001:db8::1")) << entry;
    EXPECT_TRUE(matches(entry, "[2001:db8::1]")) << entry;
    EXPECT_FALSE(matches(entry, "2001:db8::2")) << entry;
  }
  EXPECT_TRUE(matches("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(matches("127.0.0.1", "127.0.0.11"));
  EXPECT_FALSE(matches("10.0.0.0/8:80", "10.0.0.1", 81));
  // An address has no labels.
  EXPECT_FALSE(matches("1.1", "1.1.1.1"));
  EXPECT_TRUE(matches("10.0.0.1", "::ffff:10.0.0.1"));
}

TEST(NoProxy, WhatMeansNothingIsRefusedByName) {
  for (const std::string entry : {"10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/x", "h:0", "h:65536", "h:x",
                                  "a b", "http://h", "[::1", "[h]", "a..b", "name/8", "**", "<local>", "h:"}) {
    const auto list = NoProxy::parse({"good.example", entry});
    ASSERT_FALSE(list) << entry;
    EXPECT_NE(list.error().message.find("'" + entry + "'"), std::string::npos) << list.error().message;
  }
  EXPECT_FALSE(NoProxy::parse(std::vector<std::string>(1001, "h")));
  EXPECT_TRUE(NoProxy::parse({"", "  ", " example.com "}));
}

TEST(NoProxy, AVariableIsReadAsFarAsItMeansSomething) {
  const NoProxy list = NoProxy::parse_variable(" localhost,127.0.0.0/8 ,, .corp.example  <local>,::1");
  EXPECT_TRUE(list.matches("localhost", 1));
  EXPECT_TRUE(list.matches("127.9.9.9", 1));
  EXPECT_TRUE(list.matches("a.corp.example", 1));
  EXPECT_TRUE(list.matches("::1", 1));
  EXPECT_FALSE(list.matches("example.com", 1));
  EXPECT_TRUE(NoProxy::parse_variable("").empty());
  EXPECT_TRUE(NoProxy::parse_variable("*").matches("x", 1));
}

}  // namespace
}  // namespace sluice::proxy
