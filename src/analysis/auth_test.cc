#include "analysis/auth.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/flow_view_test_support.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

std::vector<AuthScheme> detect(Flows& flows) {
  AuthDetector detector;
  flows.each([&](const FlowView& flow) { detector.add(flow); });
  return detector.finish();
}

const AuthScheme* find(const std::vector<AuthScheme>& schemes, AuthType type, std::string_view name = "") {
  for (const AuthScheme& scheme : schemes) {
    if (scheme.type == type && scheme.is_detected() && (name.empty() || scheme.name == name)) return &scheme;
  }
  return nullptr;
}

std::vector<std::string> evidence_of(const AuthScheme& scheme) {
  std::vector<std::string> names;
  for (const Evidence& piece : scheme.evidence) names.emplace_back(piece.kind->name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> detected(Flows& flows) {
  std::vector<std::string> types;
  for (const AuthScheme& scheme : detect(flows)) {
    if (scheme.is_detected()) types.emplace_back(to_string(scheme.type));
  }
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return types;
}
using Types = std::vector<std::string>;

std::string jwt(const std::string& claims) {
  return base64url_encode(R"({"alg":"RS256","kid":"k1"})") + "." + base64url_encode(claims) + "." +
         base64url_encode("signature octets");
}

constexpr const char* kRandom = "k9Qz83hfLs02mXcVb71TyuEr";

TEST(Auth, W15EachSchemeOfTheAuthorizationFieldIsTold) {
  const std::string ntlm = base64_encode(std::string("NTLMSSP\0\1\0\0\0", 12));
  const std::vector<std::pair<std::string, Types>> cases = {
      {"Basic " + base64_encode("user:pass"), {"basic_auth"}},
      {"basic " + base64_encode("user:pass"), {"basic_auth"}},
      {"Bearer opaque-token-1", {"bearer_token"}},
      {"Bearer " + jwt(R"({"iss":"x"})"), {"bearer_token", "jwt"}},
      {R"(Digest username="u", realm="r", nonce="n", uri="/", response="abc")", {"digest"}},
      {"NTLM " + ntlm, {"ntlm"}},
      {"Negotiate " + ntlm, {"negotiate"}},
      {"AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, "
       "Signature=fe5f80",
       {"aws_sigv4"}},
      {"Basic not-base-64!", {}},
      {"Digest nonsense", {}},
      {"NTLM " + base64_encode("other"), {}},
      {"Bearer", {}},
  };
  for (const auto& [value, types] : cases) {
    Flows flows;
    flows.add({.request_fields = "Authorization: " + value + "\r\n"});
    EXPECT_EQ(detected(flows), types) << value;
  }
}

TEST(Auth, AwsScopeAndSignedUrlsAreRead) {
  Flows flows;
  flows.add({.target = "/o?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20130524%2Feu-west-1%2Fs3%2F"
                       "aws4_request&X-Amz-Signature=ab12"});
  const auto schemes = detect(flows);
  const AuthScheme* const aws = find(schemes, AuthType::kAwsSigV4);
  ASSERT_TRUE(aws);
  EXPECT_EQ(aws->in, "query");
  EXPECT_EQ(aws->details["region"], "eu-west-1");
  EXPECT_EQ(aws->details["service"], "s3");
}

TEST(Auth, AChallengeAddsToTheConfidence) {
  Flows flows;
  flows.add({.status = 401, .response_fields = "WWW-Authenticate: Bearer realm=\"api\"\r\n"});
  flows.add({.request_fields = "Authorization: Bearer abcdefgh12\r\n"});
  const auto schemes = detect(flows);
  const AuthScheme* const bearer = find(schemes, AuthType::kBearer);
  ASSERT_TRUE(bearer);
  EXPECT_EQ(bearer->confidence(), 90);
  EXPECT_EQ(bearer->details["realm"], "api");
  EXPECT_EQ(bearer->flows, (std::vector<std::string>{"flow-1", "flow-2"}));
  EXPECT_EQ(bearer->details["refused_without"], Json::array({"flow-1"}));
}

TEST(Auth, AJwtIsTakenApartWithoutItsSignature) {
  Flows flows;
  flows.add({.request_fields = "Authorization: Bearer " + jwt(R"({"iss":"https://id","sub":"u1","exp":1})") + "\r\n"});
  const auto schemes = detect(flows);
  const AuthScheme* const found = find(schemes, AuthType::kJwt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->details["tokens"][0]["header"]["alg"], "RS256");
  EXPECT_EQ(found->details["tokens"][0]["claims"]["iss"], "https://id");
  EXPECT_EQ(dump_json(found->details).find(base64url_encode("signature octets")), std::string::npos);
}

TEST(Auth, ApiKeysInHeaderQueryAndCookie) {
  Flows flows;
  for (int i = 0; i < 5; ++i) {
    flows.add({.target = std::string("/a?api_key=") + kRandom,
               .request_fields = std::string("X-Api-Key: ") + kRandom + "\r\nCookie: apikey=" + kRandom + "\r\n"});
  }
  const auto schemes = detect(flows);
  for (const auto& [in, name] :
       {std::pair("header", "X-Api-Key"), std::pair("query", "api_key"), std::pair("cookie", "apikey")}) {
    const AuthScheme* const key = find(schemes, AuthType::kApiKey, name);
    ASSERT_TRUE(key) << name;
    EXPECT_EQ(key->in, in);
    EXPECT_EQ(key->confidence(), 90);
  }
}

TEST(Auth, AParameterNamedKeyIsAnApiKeyOnlyWithMoreEvidence) {
  Flows sorting;
  for (int i = 0; i < 9; ++i) sorting.add({.target = "/list?key=name"});
  EXPECT_EQ(detected(sorting), Types{});
  Flows maps;
  for (int i = 0; i < 9; ++i) maps.add({.target = std::string("/geocode?key=") + kRandom});
  EXPECT_EQ(detected(maps), Types{"api_key"});
}

TEST(Auth, SidInInsideIsNoSessionCookie) {
  Flows flows;
  for (int i = 0; i < 9; ++i) {
    flows.add({.request_fields = std::string("Cookie: inside=") + kRandom + "; theme=dark; president=" + kRandom +
                                 "; _ga=GA1.2.1234567890.1234567890; assessment=" + kRandom + "\r\n",
               .response_fields = "Set-Cookie: inside_track=1; HttpOnly\r\n"});
  }
  EXPECT_EQ(detected(flows), Types{});
  EXPECT_FALSE(is_session_name("inside"));
  EXPECT_FALSE(is_session_name("consider"));
  for (const char* name : {"sid", "connect.sid", "PHPSESSID", "JSESSIONID", "sessionid", "__Host-session",
                           "userSession", "ASP.NET_SessionId", "ASPSESSIONIDCQTRTAQA", "remember_me"})
    EXPECT_TRUE(is_session_name(name)) << name;
}

TEST(Auth, TokenInTokenizeIsNoOauth) {
  Flows flows;
  flows.add({.method = "POST",
             .target = "/api/tokenize",
             .request_fields = kJsonFields,
             .request_body = R"({"text":"a b"})",
             .response_fields = kJsonFields,
             .response_body = R"({"tokens":["a","b"],"token_count":2})"});
  flows.add({.target = "/author", .response_fields = kJsonFields, .response_body = R"({"token":"x"})"});
  EXPECT_EQ(detected(flows), Types{});
}

TEST(Auth, SessionCookiesAreToldByHowTheyAreSet) {
  Flows flows;
  flows.add({.method = "POST",
             .target = "/login",
             .request_fields = kFormFields,
             .request_body = "user=a&password=b",
             .status = 302,
             .response_fields = std::string("Set-Cookie: shop=") + kRandom +
                                "; Path=/; HttpOnly; Secure; SameSite=Lax\r\n"
                                "Set-Cookie: theme=dark\r\n"});
  flows.add({.target = "/cart", .request_fields = std::string("Cookie: theme=dark; shop=") + kRandom + "\r\n"});
  flows.add({.target = "/cart", .status = 401});
  const auto schemes = detect(flows);
  const AuthScheme* const session = find(schemes, AuthType::kSessionCookie);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->name, "shop");
  EXPECT_EQ(evidence_of(*session), (std::vector<std::string>{"http_only", "random_value", "refused_without",
                                                             "sent_back", "set_at_login", "set_by_answer"}));
  EXPECT_EQ(session->details["same_site"], "Lax");
  EXPECT_EQ(session->details["set_by"], "flow-1");
  EXPECT_FALSE(find(schemes, AuthType::kSessionCookie, "theme"));
}

TEST(Auth, CsrfTokensAreFollowedFromPageAndCookieToTheRequest) {
  Flows flows;
  flows.add({.target = "/form",
             .response_fields = "Content-Type: text/html\r\nSet-Cookie: XSRF-TOKEN=cookievalue99\r\n",
             .response_body = "<form><input type=hidden name=authenticity_token value=pagevalue88></form>"});
  flows.add({.method = "POST",
             .target = "/form",
             .request_fields =
                 std::string(kFormFields) + "Cookie: XSRF-TOKEN=cookievalue99\r\nX-XSRF-TOKEN: cookievalue99\r\n",
             .request_body = "authenticity_token=pagevalue88&x=1"});
  const auto schemes = detect(flows);
  const AuthScheme* const field = find(schemes, AuthType::kCsrf, "authenticity_token");
  ASSERT_TRUE(field);
  EXPECT_EQ(field->details["issued_by"]["flow"], "flow-1");
  EXPECT_EQ(field->details["issued_by"]["where"], "input authenticity_token");
  const AuthScheme* const header = find(schemes, AuthType::kCsrf, "X-XSRF-TOKEN");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->details["cookie"], "XSRF-TOKEN");
}

TEST(Auth, OauthSaysWhichEndpointIssuedWhichTokenAndItsRefresh) {
  Flows flows;
  flows.add({.host = "id.example.com",
             .target = "/authorize?response_type=code&client_id=app&scope=openid%20read&state=s"
                       "&code_challenge=x",
             .status = 302,
             .response_fields = "Location: https://app.example.com/cb?code=abc&state=s\r\n"});
  flows.add(
      {.method = "POST",
       .host = "id.example.com",
       .target = "/oauth/token",
       .request_fields = kFormFields,
       .request_body = "grant_type=authorization_code&code=abc",
       .response_fields = kJsonFields,
       .response_body = R"({"access_token":"access-1234","token_type":"Bearer","refresh_token":"refresh-1234"})"});
  flows.add({.target = "/me", .request_fields = "Authorization: Bearer access-1234\r\n"});
  flows.add({.method = "POST",
             .host = "id.example.com",
             .target = "/oauth/token",
             .request_fields = kFormFields,
             .request_body = "grant_type=refresh_token&refresh_token=refresh-1234",
             .response_fields = kJsonFields,
             .response_body = R"({"access_token":"access-5678","token_type":"Bearer"})"});
  const auto schemes = detect(flows);
  const AuthScheme* const oauth = find(schemes, AuthType::kOauth2);
  ASSERT_TRUE(oauth);
  EXPECT_EQ(oauth->confidence(), 100);
  const Json& grants = oauth->details["grants"];
  EXPECT_EQ(grants[0]["authorization_url"], "https://id.example.com/authorize");
  EXPECT_EQ(grants[0]["token_url"], "https://id.example.com/oauth/token");
  EXPECT_EQ(grants[0]["pkce"], true);
  EXPECT_EQ(grants[0]["scopes"], Json::array({"openid", "read"}));
  EXPECT_EQ(grants[0]["issued_by"], "flow-2");
  EXPECT_EQ(grants[1]["refresh_token_from"], "flow-2");
  const AuthScheme* const bearer = find(schemes, AuthType::kBearer);
  ASSERT_TRUE(bearer);
  EXPECT_EQ(bearer->details["issued_by"]["flow"], "flow-2");
  EXPECT_EQ(bearer->details["issued_by"]["where"], "/access_token");
  EXPECT_TRUE(find(schemes, AuthType::kOpenIdConnect));
  EXPECT_EQ(dump_json(oauth->details).find("access-1234"), std::string::npos);
}

TEST(Auth, MutualTlsIsToldByTheOriginsRefusal) {
  Flows flows;
  flows.add({.status = 502}).failure = flow::Failure{"client_certificate", flow::Phase::kUpstreamTls, "wants one"};
  flows.add({.host = "b.example.com", .status = 400, .response_body = "<h1>No required SSL certificate was sent</h1>"});
  const auto schemes = detect(flows);
  ASSERT_EQ(schemes.size(), 2u);
  EXPECT_EQ(schemes[0].confidence(), 90);
  EXPECT_EQ(schemes[1].confidence(), 70);
}

TEST(Auth, PlainTrafficHasNone) {
  Flows flows;
  for (int i = 0; i < 50; ++i) {
    flows.add({.target = "/news?page=2&sort=key&author=authority",
               .request_fields = "Accept: */*\r\nX-Requested-With: X\r\n",
               .response_fields = kJsonFields,
               .response_body = R"({"title":"the token economy","keys":["a"]})"});
  }
  EXPECT_EQ(detected(flows), Types{});
}

TEST(Auth, OneHostsSchemeIsNotAnothers) {
  Flows flows;
  flows.add({.host = "a.example.com", .request_fields = "Authorization: Bearer aaaa\r\n"});
  flows.add({.host = "b.example.com", .request_fields = "Authorization: Bearer bbbb\r\n"});
  const auto schemes = detect(flows);
  ASSERT_EQ(schemes.size(), 2u);
  EXPECT_NE(schemes[0].host, schemes[1].host);
}

TEST(Auth, HostileTrafficIsBounded) {
  Flows flows;
  for (int i = 0; i < 3'000; ++i) {
    const std::string n = std::to_string(i);
    flows.add({.host = "h" + n + ".example.com",
               .request_fields = "Cookie: sid" + n + "=1; session=" + kRandom + n + "\r\n",
               .response_fields = std::string(kJsonFields) + "Set-Cookie: session=" + kRandom + n + "\r\n",
               .response_body = R"({"token":)" + std::string(60, '[') + std::string(60, ']') + "}"});
  }
  EXPECT_LE(detect(flows).size(), kMostSchemes);
}

}  // namespace
}  // namespace sluice::analysis
