#include "proxy/target.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace sluice::proxy {
namespace {

http::RequestHead head(std::string method, std::string target, std::string host) {
  http::RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  if (!host.empty()) head.fields.append("Host", host);
  return head;
}

ClientFacts inside(std::string host, std::uint16_t port, std::string sni = "") {
  ClientFacts facts;
  facts.tls = true;
  facts.destination_host = std::move(host);
  facts.destination_port = port;
  facts.sni = std::move(sni);
  return facts;
}

TEST(Target, AbsoluteFormNamesHostAndDestination) {
  const auto target = resolve_target(head("GET", "http://Example.com:8080/a?b", "example.com:8080"), {});
  ASSERT_TRUE(target);
  EXPECT_EQ(target->kind, TargetKind::kOrigin);
  EXPECT_EQ(target->target.scheme, "http");
  EXPECT_EQ(target->target.host, "example.com");
  EXPECT_EQ(target->target.port, 8080);
  EXPECT_EQ(target->target.path, "/a?b");
  EXPECT_EQ(target->target.dial_host, "example.com");
  EXPECT_EQ(target->anomalies, 0u);
}

TEST(Target, TheHostFieldNamesTheUrlAndTheTunnelTheAddress) {
  const auto target = resolve_target(head("GET", "/x", "front.example"), inside("192.0.2.1", 443, "front.example"));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->target.host, "front.example");
  EXPECT_EQ(target->target.dial_host, "192.0.2.1");
  EXPECT_EQ(target->target.server_name, "front.example");
  EXPECT_NE(target->anomalies & http::bit(http::Anomaly::kAuthorityMismatch), 0u);
}

TEST(Target, AnAddressThatTheClientLookedUpContradictsNoName) {
  ClientFacts facts = inside("192.0.2.1", 443, "site.example");
  facts.by_address = true;
  auto target = resolve_target(head("GET", "/", "site.example"), facts);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->anomalies, 0u);
  EXPECT_EQ(target->target.host, "site.example");
  EXPECT_EQ(target->target.dial_host, "192.0.2.1");
  EXPECT_NE(resolve_target(head("GET", "/", "other.example"), facts)->anomalies, 0u);  // the server name does
  EXPECT_NE(resolve_target(head("GET", "/", "site.example:8443"), facts)->anomalies, 0u);
  facts.tls = false;
  facts.sni.clear();
  facts.destination_port = 80;
  EXPECT_EQ(resolve_target(head("GET", "/", "site.example"), facts)->anomalies, 0u);
  EXPECT_EQ(resolve_target(head("GET", "http://site.example/", "site.example"), facts)->anomalies, 0u);
  target = resolve_target(head("GET", "/", ""), facts);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->target.host, "192.0.2.1");
}

TEST(Target, ARedirectedRequestFromNowhereGoesWhereItsHostSays) {
  ClientFacts facts;
  facts.by_host = true;
  const auto target = resolve_target(head("GET", "/x", "Site.example:8080"), facts);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->kind, TargetKind::kOrigin);
  EXPECT_EQ(target->target.host, "site.example");
  EXPECT_EQ(target->target.dial_host, "site.example");
  EXPECT_EQ(target->target.dial_port, 8080);
  EXPECT_EQ(resolve_target(head("GET", "/", "site.example"), facts)->target.dial_port, 80);
  EXPECT_EQ(resolve_target(head("GET", "/", "sluice.setup"), facts)->kind, TargetKind::kSetup);
  EXPECT_FALSE(resolve_target(head("GET", "/", ""), facts));
  EXPECT_FALSE(resolve_target(head("GET", "/", "a b"), facts));
  EXPECT_FALSE(resolve_target(head("CONNECT", "site.example:443", "site.example"), facts));
}

TEST(Target, AVisitToThePortItselfIsTheSetUpPage) {
  EXPECT_EQ(resolve_target(head("GET", "/", "127.0.0.1:8080"), {})->kind, TargetKind::kSetup);
  EXPECT_EQ(resolve_target(head("GET", "http://sluice.setup/ca.pem", "sluice.setup"), {})->kind, TargetKind::kSetup);
}

TEST(Target, RefusesWhatNamesNoPlace) {
  EXPECT_FALSE(resolve_target(head("CONNECT", "example.com", ""), {}));
  EXPECT_FALSE(resolve_target(head("CONNECT", "a:1", ""), inside("b", 443)));
  EXPECT_FALSE(resolve_target(head("GET", "ftp://example.com/", ""), {}));
  EXPECT_FALSE(resolve_target(head("GET", "http://user:pw@example.com/", ""), {}));
  EXPECT_FALSE(resolve_target(head("GET", "example.com", ""), {}));
  EXPECT_FALSE(resolve_target(head("GET", "*", ""), {}));
}

TEST(Target, ConnectTakesNamesAndBothKindsOfLiterals) {
  EXPECT_EQ(resolve_target(head("CONNECT", "Example.com:443", ""), {})->target.dial_host, "example.com");
  const auto v6 = resolve_target(head("CONNECT", "[2001:db8::1]:8443", ""), {});
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->target.dial_host, "2001:db8::1");
  EXPECT_EQ(v6->target.dial_port, 8443);
}

TEST(TargetMemo, SaysTheSameAsResolvingEachRequestAlone) {
  for (const ClientFacts& facts :
       {inside("site.example", 443, "site.example"), inside("192.0.2.1", 8443), ClientFacts{}}) {
    TargetMemo memo;
    for (const auto& [method, target, host] : std::vector<std::array<std::string, 3>>{
             {"GET", "/a", "site.example"},
             {"GET", "/b?c", "site.example"},
             {"GET", "/b?c", "SITE.example:444"},
             {"GET", "/", ""},
             {"GET", "/d", "sluice.setup"},
             {"GET", "/e", "sluice.setup"},
             {"GET", "/f", "a b"},
             {"GET", "/f", "a b"},
             {"CONNECT", "other.example:443", "other.example:443"},
             {"OPTIONS", "*", "site.example"},
             {"GET", "http://third.example/x", "third.example"},
             {"GET", "/g", "third.example"},
         }) {
      const auto alone = resolve_target(head(method, target, host), facts);
      const auto with_memo = memo.resolve(head(method, target, host), facts);
      ASSERT_EQ(alone.has_value(), with_memo.has_value()) << target;
      if (!alone) continue;
      EXPECT_EQ(alone->kind, with_memo->kind) << target;
      EXPECT_EQ(alone->anomalies, with_memo->anomalies) << target;
      EXPECT_EQ(alone->target.host, with_memo->target.host) << target;
      EXPECT_EQ(alone->target.port, with_memo->target.port) << target;
      EXPECT_EQ(alone->target.path, with_memo->target.path) << target;
      EXPECT_EQ(alone->target.dial_host, with_memo->target.dial_host) << target;
      EXPECT_EQ(alone->target.server_name, with_memo->target.server_name) << target;
    }
  }
}

}  // namespace
}  // namespace sluice::proxy
