// What others say of where to log in, and how far it is believed.
#include "gateway/oauth_discovery.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

Url url(const std::string& text) { return *parse_url(text); }

BearerChallenge challenge(const std::string& text) {
  const auto read = parse_bearer_challenge(text);
  EXPECT_TRUE(read) << text;
  return read.value_or(BearerChallenge{});
}

std::string resource_document(const std::string& resource, const std::string& more = "") {
  return R"({"resource":")" + resource + R"(","authorization_servers":["https://as.example","https://b.example"])" +
         more + "}";
}

const std::string kIssuer = "https://as.example/tenant";
Json issuer_document() {
  return Json{{"issuer", kIssuer},
              {"authorization_endpoint", "https://as.example/authorize"},
              {"token_endpoint", "https://as.example/token"},
              {"code_challenge_methods_supported", Json::array({"plain", "S256"})}};
}
Result<IssuerMetadata> issuer(const Json& document, Reach reach = Reach::kElsewhere) {
  return parse_issuer_metadata(dump_json(document), kIssuer, reach);
}

TEST(BearerChallenges, AreFoundAmongOthersInEverySpelling) {
  EXPECT_EQ(challenge(R"(Bearer resource_metadata="https://a/x", scope="a b")").resource_metadata, "https://a/x");
  EXPECT_EQ(challenge(R"(Bearer resource_metadata="https://a/x", scope="a b")").scope, "a b");
  EXPECT_EQ(challenge(R"(bEARER error=invalid_token ,Scope = "x")").scope, "x");
  EXPECT_EQ(challenge(R"(Negotiate abc==, Basic realm="scope=\"no\", Bearer", Bearer scope=yes)").scope, "yes");
  EXPECT_EQ(challenge(R"(Bearer realm="a\"b", error="insufficient_scope")").error, "insufficient_scope");
  EXPECT_EQ(challenge("Bearer").scope, "");
  EXPECT_EQ(challenge(R"(Bearer scope=one, Bearer resource_metadata="https://a/x")").resource_metadata, "https://a/x");
}

TEST(BearerChallenges, AreNoneWhereThereIsNoneAndEndWhereTheyAreMalformed) {
  EXPECT_FALSE(parse_bearer_challenge(""));
  EXPECT_FALSE(parse_bearer_challenge(R"(Basic realm="Bearer scope=x")"));
  EXPECT_FALSE(parse_bearer_challenge("\x01\x02"));
  EXPECT_EQ(challenge(R"(Bearer scope="without an end)").scope, "");
  EXPECT_EQ(challenge("Bearer scope=\"a  \\\" b\"").scope, "");  // no scope has a quote
  EXPECT_EQ(challenge(std::string("Bearer scope=\"") + std::string(5'000, 'x') + '"').scope, "");
}

TEST(OAuthUrls, AreHttpsAndOfThisMachineOnlyWhereTheServerIs) {
  for (const char* good : {"https://as.example/", "https://as.example:8443/x?y=1", "https://192.0.2.1/"}) {
    EXPECT_TRUE(check_oauth_url(good, Reach::kElsewhere, "x")) << good;
  }
  for (const char* bad : {"", "as.example", "http://as.example/", "ftp://as.example/", "https://user@as.example/",
                          "https://as.example/#x", "https://as.example/ x", "https://localhost/",
                          "https://a.localhost/", "https://127.0.0.1/", "https://[::1]/", "https://0.0.0.0/",
                          "https://[::ffff:127.0.0.1]/", "http://127.0.0.1/", "https://169.254.169.254/",
                          "https://[fe80::1]/", "https://[::ffff:169.254.1.1]/", "https://as.example/\xC3\xA9"}) {
    EXPECT_FALSE(check_oauth_url(bad, Reach::kElsewhere, "x")) << bad;
  }
  EXPECT_TRUE(check_oauth_url("http://127.0.0.1:1/x", Reach::kThisMachine, "x"));
  EXPECT_TRUE(check_oauth_url("https://as.example/", Reach::kThisMachine, "x"));
  EXPECT_FALSE(check_oauth_url("http://as.example/", Reach::kThisMachine, "x"));
  EXPECT_FALSE(check_oauth_url("https://169.254.169.254/", Reach::kThisMachine, "x"));
  EXPECT_FALSE(check_oauth_url("https://as.example/" + std::string(3'000, 'x'), Reach::kElsewhere, "x"));
  EXPECT_EQ(reach_of(url("http://127.0.0.1/mcp")), Reach::kThisMachine);
  EXPECT_EQ(reach_of(url("https://mcp.example/mcp")), Reach::kElsewhere);
}

TEST(OAuthUrls, OfMetadataComeInTheOrderOfTheSpecification) {
  using Urls = std::vector<std::string>;
  EXPECT_EQ(resource_metadata_urls(url("https://a.example/public/mcp?x=1")),
            (Urls{"https://a.example/.well-known/oauth-protected-resource/public/mcp",
                  "https://a.example/.well-known/oauth-protected-resource"}));
  EXPECT_EQ(resource_metadata_urls(url("https://a.example:1/")),
            (Urls{"https://a.example:1/.well-known/oauth-protected-resource"}));
  EXPECT_EQ(issuer_metadata_urls(url("https://a.example/tenant1")),
            (Urls{"https://a.example/.well-known/oauth-authorization-server/tenant1",
                  "https://a.example/.well-known/openid-configuration/tenant1",
                  "https://a.example/tenant1/.well-known/openid-configuration"}));
  EXPECT_EQ(issuer_metadata_urls(url("https://a.example")),
            (Urls{"https://a.example/.well-known/oauth-authorization-server",
                  "https://a.example/.well-known/openid-configuration"}));
  EXPECT_EQ(resource_of(url("https://A.example:443/")), "https://a.example");
  EXPECT_EQ(resource_of(url("https://a.example/mcp?x=1")), "https://a.example/mcp");
}

TEST(ResourceMetadataOf, AServerSpeakForItAndForWhatLiesBeneath) {
  const Url server = url("https://a.example/public/mcp");
  for (const char* good : {"https://a.example/public/mcp", "https://a.example/public", "https://a.example/",
                           "https://a.example", "https://A.example:443"}) {
    EXPECT_TRUE(parse_resource_metadata(resource_document(good), server)) << good;
  }
  for (const char* bad :
       {"https://b.example/public/mcp", "http://a.example/public/mcp", "https://a.example:444/",
        "https://a.example/pub", "https://a.example/public/mcp/more", "https://a.example/#x", "nonsense", ""}) {
    EXPECT_FALSE(parse_resource_metadata(resource_document(bad), server)) << bad;
  }
  for (const char* bad : {"", "[]", "{}", R"({"resource":"https://a.example"})",
                          R"({"resource":"https://a.example","authorization_servers":[]})",
                          R"({"resource":"https://a.example","authorization_servers":"https://b"})",
                          R"({"resource":"https://a.example","authorization_servers":[1]})"}) {
    EXPECT_FALSE(parse_resource_metadata(bad, server)) << bad;
  }
  const auto read =
      parse_resource_metadata(resource_document("https://a.example", R"(,"scopes_supported":["one",2,"two"])"), server);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->issuers.front(), "https://as.example");
  EXPECT_EQ(read->scope, "one two");
}

TEST(IssuerMetadataOf, AnotherIssuerAreRefused) {
  ASSERT_TRUE(issuer(issuer_document()));
  for (const char* other : {"https://as.example", "https://as.example/tenant/", "https://AS.example/tenant", ""}) {
    Json document = issuer_document();
    document["issuer"] = other;
    EXPECT_EQ(issuer(document).error().code, Code::kRefused) << other;
  }
}

TEST(IssuerMetadataOf, WhoeverDoesNotKnowS256AreRefused) {
  Json document = issuer_document();
  document["code_challenge_methods_supported"] = Json::array({"plain"});
  EXPECT_EQ(issuer(document).error().code, Code::kRefused);
  document.erase("code_challenge_methods_supported");
  EXPECT_EQ(issuer(document).error().code, Code::kRefused);
}

TEST(IssuerMetadataOf, WhoeverNamesAnEndpointThatIsNotGoneToAreRefused) {
  for (const char* member : {"authorization_endpoint", "token_endpoint", "registration_endpoint"}) {
    for (const char* bad : {"http://as.example/x", "https://127.0.0.1/x", "https://169.254.169.254/x", "/token"}) {
      Json document = issuer_document();
      document[member] = bad;
      EXPECT_EQ(issuer(document).error().code, Code::kRefused) << member << bad;
    }
  }
  Json document = issuer_document();
  document.erase("token_endpoint");
  EXPECT_FALSE(issuer(document));
  document = issuer_document();
  document["response_types_supported"] = Json::array({"token"});
  EXPECT_FALSE(issuer(document));
}

TEST(IssuerMetadataOf, TheRestIsRead) {
  Json document = issuer_document();
  document["authorization_response_iss_parameter_supported"] = true;
  document["scopes_supported"] = Json::array({"openid", "offline_access"});
  document["token_endpoint_auth_methods_supported"] = Json::array({"client_secret_post"});
  const auto read = issuer(document);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->says_issuer);
  EXPECT_TRUE(read->offline_access);
  EXPECT_EQ(read->token_auth_methods, std::vector<std::string>{"client_secret_post"});
  EXPECT_TRUE(read->registration_endpoint.empty());
}

}  // namespace
}  // namespace sluice::gateway
