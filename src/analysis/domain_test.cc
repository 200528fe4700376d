#include "analysis/domain.h"

#include <gtest/gtest.h>

namespace sluice::analysis {
namespace {

bool holds(std::string_view pattern, std::string_view host, std::uint16_t port = 443) {
  const auto domain = parse_domain(pattern);
  EXPECT_TRUE(domain) << pattern;
  return domain && domain->holds(host, port);
}

TEST(Domain, W5LabelsAreComparedWhole) {
  EXPECT_TRUE(holds("example.com", "example.com"));
  EXPECT_TRUE(holds("example.com", "API.Example.Com."));
  EXPECT_FALSE(holds("example.com", "example.com.evil.test"));
  EXPECT_FALSE(holds("example.com", "notexample.com"));
  EXPECT_FALSE(holds("example.com", ".example.com.x"));
  EXPECT_FALSE(holds("ample.com", "example.com"));
}

TEST(Domain, W5WildcardsPortsAndAddresses) {
  EXPECT_FALSE(holds("*.example.com", "example.com"));
  EXPECT_TRUE(holds("*.example.com", "a.b.example.com"));
  EXPECT_TRUE(holds("localhost:8443", "localhost", 8443));
  EXPECT_FALSE(holds("localhost:8443", "localhost", 443));
  EXPECT_TRUE(holds("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(holds("0.0.1", "127.0.0.1"));
  EXPECT_TRUE(holds("[::1]:80", "::1", 80));
  EXPECT_TRUE(holds("::1", "[::1]"));
  EXPECT_TRUE(holds("https://shop.example.com/cart?x=1", "shop.example.com"));
}

TEST(Domain, W5InternationalNamesAreTakenAsPeopleWriteThem) {
  EXPECT_TRUE(holds("bücher.example", "xn--bcher-kva.example"));
  EXPECT_TRUE(holds("BÜCHER.example", "www.xn--bcher-kva.example"));
  EXPECT_TRUE(holds("xn--bcher-kva.example", "xn--bcher-kva.example"));
}

TEST(Domain, WhatIsNoDomainIsRefused) {
  for (const char* text : {"", "*", "*.", "a b", "x:y", "x:0", "x:70000", "*.127.0.0.1", "a..b", "\xff.example"}) {
    EXPECT_FALSE(parse_domain(text)) << text;
  }
  EXPECT_FALSE(parse_domain(std::string(5'000, 'a')));
}

TEST(Domain, AnEmptySetHoldsEverything) {
  EXPECT_TRUE(DomainSet().holds("anything", 1));
  const auto set = DomainSet::parse({"a.test", "b.test"});
  ASSERT_TRUE(set);
  EXPECT_TRUE(set->holds("x.b.test", 80));
  EXPECT_FALSE(set->holds("c.test", 80));
}

}  // namespace
}  // namespace sluice::analysis
