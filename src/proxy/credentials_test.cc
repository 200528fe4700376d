#include "proxy/credentials.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "proxy/admission.h"

namespace sluice::proxy {
namespace {

std::string basic(std::string_view pair) { return "Basic " + base64_encode(pair); }

http::RequestHead request(std::string value) {
  http::RequestHead head;
  head.method = "GET";
  head.target = "http://site.example/";
  head.fields.append("Host", "site.example");
  if (!value.empty()) head.fields.append("Proxy-Authorization", value);
  return head;
}

TEST(ProxyCredentials, AcceptsThatPairAlone) {
  const auto credentials = ProxyCredentials::create("user", "pass:word");
  ASSERT_TRUE(credentials);
  EXPECT_TRUE(credentials->accept("user", "pass:word"));
  EXPECT_FALSE(credentials->accept("user", "pass:worD"));
  EXPECT_FALSE(credentials->accept("User", "pass:word"));
  EXPECT_FALSE(credentials->accept("", ""));
  EXPECT_TRUE(credentials->accept_basic(basic("user:pass:word")));
  EXPECT_TRUE(credentials->accept_basic("bAsIc   " + base64_encode("user:pass:word")));
  for (const std::string& wrong :
       {basic("user:pass"), basic("user"), basic(""), std::string("Basic"), std::string(), std::string("Basic ***"),
        "Bearer " + base64_encode("user:pass:word"), base64_encode("user:pass:word")}) {
    EXPECT_FALSE(credentials->accept_basic(wrong)) << wrong;
  }
}

TEST(ProxyCredentials, AreNotMadeOfWhatClientsCannotSend) {
  EXPECT_FALSE(ProxyCredentials::create("", "p"));
  EXPECT_FALSE(ProxyCredentials::create("u", ""));
  EXPECT_FALSE(ProxyCredentials::create("a:b", "p"));
  EXPECT_FALSE(ProxyCredentials::create(std::string(256, 'u'), "p"));
  EXPECT_FALSE(ProxyCredentials::create("u", std::string(256, 'p')));
}

TEST(Admission, ARequestWithoutTheRightPasswordIsRefusedAndNoPasswordStaysInItsHead) {
  const auto credentials = ProxyCredentials::create("user", "secret");
  ClientFacts facts;
  facts.credentials = &*credentials;
  for (const std::string& value : {std::string(), basic("user:wrong"), basic("user:secret")}) {
    auto head = request(value);
    const auto refusal = refuse_request(head, TargetKind::kOrigin, facts);
    EXPECT_EQ(refusal.has_value(), value != basic("user:secret")) << value;
    if (refusal) EXPECT_EQ(*refusal, FailureKind::kProxyAuth);
    EXPECT_FALSE(head.fields.find("proxy-authorization"));
  }
  auto visit = request("");
  EXPECT_FALSE(refuse_request(visit, TargetKind::kSetup, facts));
  auto connect = request("");
  EXPECT_TRUE(refuse_request(connect, TargetKind::kConnect, facts));
  auto untouched = request(basic("for:others"));
  EXPECT_FALSE(refuse_request(untouched, TargetKind::kOrigin, {}));
  EXPECT_TRUE(untouched.fields.find("proxy-authorization"));
}

TEST(Admission, NothingIsServedToAClientThatMayNotComeIn) {
  ClientFacts facts;
  facts.refusal = refusal_of(Verdict::kNotAllowed);
  auto head = request("");
  for (const TargetKind kind : {TargetKind::kOrigin, TargetKind::kConnect, TargetKind::kSetup}) {
    EXPECT_EQ(refuse_request(head, kind, facts), FailureKind::kClientNotAllowed);
  }
  EXPECT_FALSE(refusal_of(Verdict::kWelcome));
  EXPECT_EQ(status_of(*refusal_of(Verdict::kNotAllowed)), 403);
  EXPECT_EQ(status_of(*refusal_of(Verdict::kTooMany)), 503);
}

TEST(Admission, BeyondLoopbackSomebodyMustBeNamedOrKnown) {
  const auto address = [](const char* text) { return net::asio::ip::make_address(text); };
  const auto list = [](std::vector<std::string> cidrs) { return *ClientList::parse(cidrs, "--flag"); };
  constexpr auto kExplicit = flow::Source::kExplicit, kTransparent = flow::Source::kTransparent;
  const Admission nobody(list({}), list({}), false);
  EXPECT_TRUE(nobody.may_listen({"127.0.0.1", 1}, kExplicit));
  EXPECT_TRUE(nobody.may_listen({"::1", 1}, kTransparent));
  EXPECT_FALSE(nobody.may_listen({"0.0.0.0", 1}, kExplicit));
  EXPECT_FALSE(nobody.may_listen({"::", 1}, kTransparent));
  EXPECT_TRUE(nobody.allows(address("::ffff:127.0.0.1"), kExplicit));
  EXPECT_FALSE(nobody.allows(address("192.0.2.1"), kExplicit));

  const Admission password(list({}), list({}), true);
  EXPECT_TRUE(password.may_listen({"0.0.0.0", 1}, kExplicit));
  EXPECT_FALSE(password.may_listen({"0.0.0.0", 1}, kTransparent));  // nobody there can give it
  EXPECT_TRUE(password.allows(address("192.0.2.1"), kExplicit));
  EXPECT_FALSE(password.allows(address("192.0.2.1"), kTransparent));

  const Admission both(list({"192.0.2.0/24"}), list({"198.51.100.7"}), true);
  EXPECT_TRUE(both.may_listen({"0.0.0.0", 1}, kTransparent));
  EXPECT_TRUE(both.allows(address("192.0.2.1"), kExplicit));
  EXPECT_FALSE(both.allows(address("203.0.113.1"), kExplicit));
  EXPECT_TRUE(both.sends_header(address("198.51.100.7"), kExplicit));
  EXPECT_FALSE(both.sends_header(address("198.51.100.7"), kTransparent));
  EXPECT_FALSE(both.sends_header(address("127.0.0.1"), kExplicit));
}

}  // namespace
}  // namespace sluice::proxy
