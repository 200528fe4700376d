#include "gateway/oauth_messages.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kRandom = 32;  // octets: 43 characters, as RFC 7636 §4.1 recommends
constexpr std::size_t kMaxToken = 16'384, kMaxClient = 2'000, kMaxCode = 4'096, kMaxError = 64;
constexpr std::int64_t kLongest = 10LL * 365 * 24 * 3'600;

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string form_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string form_decode(std::string_view text) {
  std::string blanks(text);
  std::replace(blanks.begin(), blanks.end(), '+', ' ');
  return percent_decode(blanks);
}

std::string member_text(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? value->get<std::string>() : "";
}

// RFC 6749 §5.2: codes are plain words; what is none is not shown.
std::string plain_error(std::string_view text) {
  const bool plain = !text.empty() && text.size() <= kMaxError && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain ? std::string(text) : "";
}

TokenRequest token_request(const OAuthClient& client, FormFields fields) {
  TokenRequest request;
  if (client.auth == ClientAuth::kBasic) {  // RFC 6749 §2.3.1
    request.authorization = "Basic " + base64_encode(form_encode(client.id) + ":" + form_encode(client.secret));
  } else {
    fields.emplace_back("client_id", client.id);
    if (client.auth == ClientAuth::kPost) fields.emplace_back("client_secret", client.secret);
  }
  request.body = form_text(fields);
  return request;
}

}  // namespace

std::string pkce_challenge(std::string_view verifier) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(verifier.data(), verifier.size(), digest, &length, EVP_sha256(), nullptr) != 1) return "";
  return base64url_encode(Bytes(reinterpret_cast<const char*>(digest), length));
}

Pkce make_pkce(Entropy& entropy) {
  Pkce made{random_token(entropy, kRandom), ""};
  made.challenge = pkce_challenge(made.verifier);
  return made;
}

std::string form_text(const FormFields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    text += (text.empty() ? "" : "&") + form_encode(name) + "=" + form_encode(value);
  }
  return text;
}

std::string_view to_string(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::kNone:
      return "none";
    case ClientAuth::kBasic:
      return "client_secret_basic";
    case ClientAuth::kPost:
      return "client_secret_post";
  }
  return "none";
}

Result<ClientAuth> client_auth_for(const IssuerMetadata& issuer, bool has_secret) {
  if (!has_secret) return ClientAuth::kNone;
  const auto& known = issuer.token_auth_methods;
  // RFC 8414 §2: where nothing is said it is Basic.
  if (known.empty()) return ClientAuth::kBasic;
  for (const ClientAuth auth : {ClientAuth::kBasic, ClientAuth::kPost}) {
    if (std::find(known.begin(), known.end(), to_string(auth)) != known.end()) return auth;
  }
  return fail(Code::kRefused, "the authorization server takes a client's secret in no way that is known here");
}

std::string registration_request(const std::string& redirect_uri, const std::string& scope) {
  Json request{{"client_name", "Sluice"},
               {"application_type", "native"},
               {"redirect_uris", Json::array({redirect_uri})},
               {"grant_types", Json::array({"authorization_code", "refresh_token"})},
               {"response_types", Json::array({"code"})},
               {"token_endpoint_auth_method", "none"}};
  if (!scope.empty()) request["scope"] = scope;
  return dump_json(request);
}

Result<OAuthClient> parse_registration(std::string_view text) {
  const auto json = parse_json(text);
  OAuthClient client;
  if (json) client.id = member_text(*json, "client_id");
  if (client.id.empty() || client.id.size() > kMaxClient) {
    return fail(Code::kInvalid, "the authorization server's registration gave no client id");
  }
  client.secret = member_text(*json, "client_secret");
  if (client.secret.size() > kMaxClient) return fail(Code::kInvalid, "the registration's secret is too long");
  const std::string auth = member_text(*json, "token_endpoint_auth_method");
  if (client.secret.empty() || auth == to_string(ClientAuth::kNone)) return client;
  client.auth = auth == to_string(ClientAuth::kPost) ? ClientAuth::kPost : ClientAuth::kBasic;
  return client;
}

std::string authorization_url(const IssuerMetadata& issuer, const OAuthClient& client, const LoginAttempt& attempt) {
  FormFields fields{{"response_type", "code"},
                    {"client_id", client.id},
                    {"redirect_uri", attempt.redirect_uri},
                    {"state", attempt.state},
                    {"code_challenge", attempt.pkce.challenge},
                    {"code_challenge_method", "S256"},
                    {"resource", attempt.resource}};
  if (!attempt.scope.empty()) fields.emplace_back("scope", attempt.scope);
  const std::string& base = issuer.authorization_endpoint;
  return base + (base.find('?') == std::string::npos ? "?" : "&") + form_text(fields);
}

Result<Redirect> parse_redirect(std::string_view query) {
  Redirect redirect;
  std::set<std::string> seen;
  for (const std::string_view part : split(query, '&')) {
    const std::size_t equals = part.find('=');
    const std::string name = form_decode(part.substr(0, equals));
    const std::string value = equals == part.npos ? "" : form_decode(part.substr(equals + 1));
    if (!seen.insert(name).second) return fail(Code::kInvalid, "a parameter is there twice");
    if (name == "code") redirect.code = value;
    if (name == "state") redirect.state = value;
    if (name == "error") redirect.error = value;
    if (name == "iss") redirect.issuer = value, redirect.has_issuer = true;
  }
  return redirect;
}

Result<std::string> accept_redirect(const Redirect& redirect, const IssuerMetadata& issuer) {
  if (redirect.has_issuer ? redirect.issuer != issuer.issuer : issuer.says_issuer) {
    return fail(Code::kRefused, "the answer is not from the authorization server that was asked (`iss`)");
  }
  if (!redirect.error.empty()) {
    const std::string error = plain_error(redirect.error);
    return fail(Code::kRefused, "the authorization server refused" + (error.empty() ? "" : ": " + error));
  }
  if (redirect.code.empty() || redirect.code.size() > kMaxCode) {
    return fail(Code::kInvalid, "the authorization server's answer has no code");
  }
  return redirect.code;
}

TokenRequest code_request(const OAuthClient& client, const LoginAttempt& attempt, const std::string& code) {
  return token_request(client, {{"grant_type", "authorization_code"},
                                {"code", code},
                                {"redirect_uri", attempt.redirect_uri},
                                {"code_verifier", attempt.pkce.verifier},
                                {"resource", attempt.resource}});
}

TokenRequest refresh_request(const OAuthClient& client, const std::string& refresh_token, const std::string& resource) {
  return token_request(client,
                       {{"grant_type", "refresh_token"}, {"refresh_token", refresh_token}, {"resource", resource}});
}

Result<Tokens> parse_tokens(std::string_view text) {
  const auto json = parse_json(text);
  Tokens tokens;
  if (json) tokens.access = member_text(*json, "access_token");
  if (!is_bearer_token(tokens.access)) return fail(Code::kInvalid, "the answer has no token that can be used");
  if (!iequals(member_text(*json, "token_type"), "bearer")) return fail(Code::kInvalid, "the token is no bearer token");
  tokens.refresh = member_text(*json, "refresh_token");
  if (tokens.refresh.size() > kMaxToken) return fail(Code::kTooLarge, "the refresh token is too long");
  tokens.scope = member_text(*json, "scope");
  if (!is_scope(tokens.scope)) tokens.scope.clear();
  if (const Json* lifetime = find_member(*json, "expires_in")) {
    double seconds = 0;
    if (lifetime->is_number()) seconds = lifetime->get<double>();
    if (seconds >= 1) tokens.lifetime_s = seconds > kLongest ? kLongest : static_cast<std::int64_t>(seconds);
  }
  return tokens;
}

std::string parse_token_error(std::string_view text) {
  const auto json = parse_json(text);
  return json ? plain_error(member_text(*json, "error")) : "";
}

bool is_bearer_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken && is_visible_ascii(text);
}

}  // namespace sluice::gateway
