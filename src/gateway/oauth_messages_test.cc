// What is said to an authorization server, and what is taken from it.
#include "gateway/oauth_messages.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::gateway {
namespace {

IssuerMetadata issuer(bool says_issuer = false) {
  IssuerMetadata made;
  made.issuer = "https://as.example";
  made.authorization_endpoint = "https://as.example/authorize";
  made.says_issuer = says_issuer;
  return made;
}

std::string code_of(const std::string& query, const IssuerMetadata& from) {
  const auto redirect = parse_redirect(query);
  if (!redirect) return "(malformed)";
  const auto code = accept_redirect(*redirect, from);
  return code ? *code : "(" + code.error().message + ")";
}

TEST(PkceOf, TheSpecificationsExample) {  // RFC 7636 appendix B
  EXPECT_EQ(pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(PkceOf, ALoginIsNewEachTime) {
  SystemEntropy entropy;
  const Pkce one = make_pkce(entropy), two = make_pkce(entropy);
  EXPECT_EQ(one.verifier.size(), 43u);
  EXPECT_NE(one.verifier, two.verifier);
  EXPECT_EQ(one.challenge, pkce_challenge(one.verifier));
}

TEST(AuthorizationUrl, HoldsWhatTheServerNeedsAndNothingThatIsOurs) {
  const LoginAttempt attempt{
      "http://127.0.0.1:5/callback", "the state", "https://a.example/mcp", "a b", {"verifier", "challenge"}};
  EXPECT_EQ(
      authorization_url(issuer(), {"id&1", "secret", ClientAuth::kBasic}, attempt),
      "https://as.example/authorize?response_type=code&client_id=id%261&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2F"
      "callback&state=the%20state&code_challenge=challenge&code_challenge_method=S256&resource=https%3A%2F%2F"
      "a.example%2Fmcp&scope=a%20b");
  IssuerMetadata with_query = issuer();
  with_query.authorization_endpoint += "?tenant=1";
  EXPECT_EQ(authorization_url(with_query, {}, attempt).find("https://as.example/authorize?tenant=1&response_type=code"),
            0u);
}

TEST(RedirectOf, AnotherIssuerGivesNoCodeAndShowsNothing) {  // RFC 9207 §2.4
  EXPECT_EQ(code_of("code=c&state=s", issuer()), "c");
  EXPECT_EQ(code_of("code=c%2B%20x+y&state=s&iss=https%3A%2F%2Fas.example", issuer(true)), "c+ x y");
  for (const char* query : {"code=c", "code=c&iss=", "code=c&iss=https://as.example/", "code=c&iss=https://AS.example",
                            "error=told&iss=https://evil.example", "error=told"}) {
    const std::string said = code_of(query, issuer(true));
    EXPECT_NE(said.find("(`iss`)"), said.npos) << query;
    EXPECT_EQ(said.find("told"), said.npos);
  }
  EXPECT_NE(code_of("code=c&iss=https://evil.example", issuer()).find("(`iss`)"), std::string::npos);
}

TEST(RedirectOf, ARefusalIsSaidInPlainWordsOnly) {
  EXPECT_EQ(code_of("error=access_denied", issuer()), "(the authorization server refused: access_denied)");
  EXPECT_EQ(code_of("error=%1b%5bred", issuer()), "(the authorization server refused)");
  EXPECT_EQ(code_of("", issuer()), "(the authorization server's answer has no code)");
  EXPECT_EQ(code_of("code=" + std::string(5'000, 'x'), issuer()), "(the authorization server's answer has no code)");
}

TEST(RedirectOf, AParameterIsThereOnce) {
  EXPECT_EQ(code_of("code=a&code=b", issuer()), "(malformed)");
  EXPECT_EQ(code_of("state=a&st%61te=b&code=c", issuer()), "(malformed)");
}

TEST(TokenRequests, SayWhoWeAreInTheClientsOwnWay) {
  const std::string resource = "https://a.example";
  EXPECT_EQ(refresh_request({"id", "", ClientAuth::kNone}, "r+1", resource).body,
            "grant_type=refresh_token&refresh_token=r%2B1&resource=https%3A%2F%2Fa.example&client_id=id");
  const TokenRequest basic = refresh_request({"i:d", "s ", ClientAuth::kBasic}, "r", resource);
  EXPECT_EQ(basic.authorization, "Basic " + base64_encode("i%3Ad:s%20"));
  EXPECT_EQ(basic.body.find("client"), std::string::npos);
  const TokenRequest post = refresh_request({"id", "s", ClientAuth::kPost}, "r", resource);
  EXPECT_NE(post.body.find("&client_secret=s"), std::string::npos);
  EXPECT_TRUE(post.authorization.empty());
  const LoginAttempt attempt{"http://127.0.0.1:5/callback", "s", resource, "", {"verifier", "challenge"}};
  EXPECT_EQ(
      code_request({"id", "", ClientAuth::kNone}, attempt, "c").body,
      "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcallback&code_verifier=verifier"
      "&resource=https%3A%2F%2Fa.example&client_id=id");
}

TEST(TokenRequests, ASecretGoesInAWayThatTheServerTakes) {
  IssuerMetadata metadata = issuer();
  EXPECT_EQ(client_auth_for(metadata, false), ClientAuth::kNone);
  EXPECT_EQ(client_auth_for(metadata, true), ClientAuth::kBasic);
  metadata.token_auth_methods = {"none", "client_secret_post"};
  EXPECT_EQ(client_auth_for(metadata, true), ClientAuth::kPost);
  metadata.token_auth_methods = {"private_key_jwt"};
  EXPECT_FALSE(client_auth_for(metadata, true));
}

TEST(Registrations, AreOfANativeProgramAndGiveAClient) {
  const auto request = parse_json(registration_request("http://127.0.0.1:5/callback", "a"));
  ASSERT_TRUE(request);
  EXPECT_EQ((*request)["application_type"], "native");
  EXPECT_EQ((*request)["redirect_uris"][0], "http://127.0.0.1:5/callback");
  EXPECT_EQ((*request)["token_endpoint_auth_method"], "none");
  const auto open = parse_registration(R"({"client_id":"x"})");
  ASSERT_TRUE(open);
  EXPECT_EQ(open->auth, ClientAuth::kNone);
  const auto secret =
      parse_registration(R"({"client_id":"x","client_secret":"y","token_endpoint_auth_method":"client_secret_post"})");
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->auth, ClientAuth::kPost);
  for (const char* bad : {"", "[]", "{}", R"({"client_id":1})", R"({"client_id":""})"}) {
    EXPECT_FALSE(parse_registration(bad)) << bad;
  }
}

TEST(TokensOf, AnAnswerAreBearerTokensThatCanStandInAField) {
  const auto tokens = parse_tokens(
      R"({"access_token":"a.b-c","token_type":"bEaRer","expires_in":3600,"refresh_token":"r","scope":"one two"})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->access, "a.b-c");
  EXPECT_EQ(tokens->refresh, "r");
  EXPECT_EQ(tokens->lifetime_s, 3'600);
  for (const char* bad :
       {"", "[]", "{}", R"({"access_token":"a"})", R"({"access_token":"a","token_type":"mac"})",
        R"({"access_token":"","token_type":"bearer"})", R"({"access_token":"a\r\nX: y","token_type":"bearer"})",
        R"({"access_token":"a b","token_type":"bearer"})", R"({"access_token":1,"token_type":"bearer"})"}) {
    const auto read = parse_tokens(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().message.find("X: y"), std::string::npos);
  }
}

TEST(TokensOf, AnAnswerLastAsLongAsItSaysAtMostTenYears) {
  const auto lifetime = [](const std::string& text) {
    const auto read = parse_tokens(R"({"access_token":"a","token_type":"bearer","expires_in":)" + text + "}");
    return read ? read->lifetime_s : -1;
  };
  EXPECT_EQ(lifetime("1e300"), 10LL * 365 * 24 * 3'600);
  EXPECT_EQ(lifetime("-5"), 0);
  EXPECT_EQ(lifetime("\"3600\""), 0);
  EXPECT_EQ(lifetime("59.9"), 59);
}

TEST(TokensOf, AnErrorIsAPlainWord) {
  EXPECT_EQ(parse_token_error(R"({"error":"invalid_grant","error_description":"x"})"), "invalid_grant");
  EXPECT_EQ(parse_token_error(R"({"error":"a b"})"), "");
  EXPECT_EQ(parse_token_error("<html>"), "");
}

}  // namespace
}  // namespace sluice::gateway
