// Where a server over HTTP wants one to log in: what an answer 401 says of it, the metadata of the server and of its
// authorization server, and which of the URLs in them are gone to. Everything here was said by others and is believed
// as far as it fits. Pure; thread-safe. RFC 9728, RFC 8414, OpenID Connect Discovery 1.0; MCP 2025-11-25 and 2026-07-28
// "Authorization".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/url.h"

namespace sluice::gateway {

// How far others' URLs lead: plain http and addresses of this machine only where the server stands on it, too. A
// link-local address is never gone to.
enum class Reach { kElsewhere, kThisMachine };
Reach reach_of(const Url& server);
// Errors say `what` it is and why not, never the URL.
Result<Url> check_oauth_url(std::string_view text, Reach reach, std::string_view what);

// The `Bearer` challenge of an answer 401 or 403, of those that there are one with `resource_metadata` (RFC 6750 §3,
// RFC 9110 §11.6.1). What is malformed ends the reading.
struct BearerChallenge {
  std::string resource_metadata, scope, error;
};
std::optional<BearerChallenge> parse_bearer_challenge(std::string_view fields);

// RFC 6749 §3.3: names with one blank between them, at most 1,000 octets.
bool is_scope(std::string_view text);

// Where metadata may lie, in the order in which to ask.
std::vector<std::string> resource_metadata_urls(const Url& server);
std::vector<std::string> issuer_metadata_urls(const Url& issuer);

struct ResourceMetadata {
  std::string resource;
  std::vector<std::string> issuers;  // at least one
  std::string scope;                 // all of `scopes_supported`; empty: it names none
};
// kRefused: `resource` is not this server, nor what it lies beneath on the same origin.
Result<ResourceMetadata> parse_resource_metadata(std::string_view text, const Url& server);

struct IssuerMetadata {
  std::string issuer;
  std::string authorization_endpoint, token_endpoint, registration_endpoint;  // checked; the last may be empty
  std::vector<std::string> token_auth_methods;
  bool says_issuer = false;     // RFC 9207: each answer has `iss`
  bool offline_access = false;  // a scope that gives refresh tokens
};
// kRefused: it is another issuer's, or cannot PKCE with S256, or an endpoint may not be gone to.
Result<IssuerMetadata> parse_issuer_metadata(std::string_view text, const std::string& issuer, Reach reach);

// What the tokens are asked for (RFC 8707), where the server's metadata do not say.
std::string resource_of(const Url& server);

}  // namespace sluice::gateway
