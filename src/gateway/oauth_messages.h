// What a client and an authorization server say to each other: OAuth 2.1's authorization code with PKCE, refreshing,
// registration. Texts in, texts out; pure but for entropy. RFC 6749, RFC 7636, RFC 7591, RFC 8252, RFC 8707, RFC 9207.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/entropy.h"
#include "base/result.h"
#include "gateway/oauth_discovery.h"

namespace sluice::gateway {

// RFC 7636: what is told first, and what proves later that it was us.
struct Pkce {
  std::string verifier, challenge;
};
Pkce make_pkce(Entropy& entropy);
std::string pkce_challenge(std::string_view verifier);  // S256; empty: there is no memory

using FormFields = std::vector<std::pair<std::string, std::string>>;
std::string form_text(const FormFields& fields);  // application/x-www-form-urlencoded; also of a query

// How a client proves who it is at the token endpoint.
enum class ClientAuth { kNone, kBasic, kPost };
std::string_view to_string(ClientAuth auth);
struct OAuthClient {
  std::string id, secret;
  ClientAuth auth = ClientAuth::kNone;
};
// For an id that somebody gave us; kRefused: the server takes neither way that we know.
Result<ClientAuth> client_auth_for(const IssuerMetadata& issuer, bool has_secret);

// RFC 7591, for a program on this machine.
std::string registration_request(const std::string& redirect_uri, const std::string& scope);
Result<OAuthClient> parse_registration(std::string_view text);

// What of one login nobody else knows.
struct LoginAttempt {
  std::string redirect_uri, state, resource, scope;
  Pkce pkce;
};
std::string authorization_url(const IssuerMetadata& issuer, const OAuthClient& client, const LoginAttempt& attempt);

// What came back through the browser. Only an answer with our `state` is ours; each name once.
struct Redirect {
  std::string code, state, issuer, error;
  bool has_issuer = false;
};
Result<Redirect> parse_redirect(std::string_view query);
// The code. kRefused: of another server (RFC 9207 §2.4), or the server refused; nothing of the first kind is shown.
Result<std::string> accept_redirect(const Redirect& redirect, const IssuerMetadata& issuer);

// A request to the token endpoint: its body, and its Authorization where the client has one.
struct TokenRequest {
  std::string body, authorization;
};
TokenRequest code_request(const OAuthClient& client, const LoginAttempt& attempt, const std::string& code);
TokenRequest refresh_request(const OAuthClient& client, const std::string& refresh_token, const std::string& resource);

struct Tokens {
  std::string access, refresh, scope;  // `refresh` empty: as before, or none
  std::int64_t lifetime_s = 0;         // 0: it does not say
};
// Of an answer 200. Errors hold nothing of the text.
Result<Tokens> parse_tokens(std::string_view text);
// The `error` of another answer, such as "invalid_grant"; empty: none that can be shown.
std::string parse_token_error(std::string_view text);

// RFC 6750 §2.1: what may stand behind "Bearer ".
bool is_bearer_token(std::string_view text);

}  // namespace sluice::gateway
