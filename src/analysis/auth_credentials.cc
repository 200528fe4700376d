// Credentials that stand in a request by themselves, and the challenges that ask for them.
#include <algorithm>
#include <array>

#include "analysis/auth_book.h"
#include "analysis/jwt.h"
#include "analysis/multipart.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostTokens = 10;       // JWTs that are answered of one scheme
constexpr std::size_t kMostJwt = 16 * 1024;   // octets of one
constexpr std::size_t kMostJwtParsed = 2000;  // distinct ones of one scheme

constexpr std::array<std::string_view, 8> kKeyNames = {"apikey",  "accesskey", "subscriptionkey", "appkey",
                                                       "authkey", "apitoken",  "applicationkey",  "functionskey"};
constexpr std::array<std::string_view, 12> kKeyFields = {
    "x-api-key",  "api-key",       "apikey",  "x-apikey",       "x-auth-token",   "x-access-token",
    "x-auth-key", "private-token", "x-token", "x-rapidapi-key", "x-goog-api-key", "ocp-apim-subscription-key"};

std::string squeezed(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '-' && c != '_' && c != '.') plain += ascii_lower(c);
  }
  return plain;
}

// "Bearer abc": the scheme in lower case, and what follows.
std::pair<std::string, std::string_view> credentials_of(std::string_view value) {
  value = trim(value);
  const std::size_t blank = std::min(value.find(' '), value.size());
  return {to_lower(value.substr(0, blank)), trim(value.substr(blank))};
}

// The value of name= in a list with commas: quoted or not; empty: there is none.
std::string parameter_of(std::string_view list, std::string_view name) {
  for (std::size_t at = ifind(list, name); at != std::string_view::npos; at = ifind(list, name, at + 1)) {
    const bool begins = at == 0 || list[at - 1] == ' ' || list[at - 1] == ',';
    std::string_view rest = list.substr(at + name.size());
    if (!begins || !rest.starts_with('=')) continue;
    rest.remove_prefix(1);
    if (!rest.starts_with('"')) return std::string(trim(rest.substr(0, rest.find_first_of(", "))));
    rest.remove_prefix(1);
    return std::string(rest.substr(0, rest.find('"')));
  }
  return "";
}

void look_at_basic(AuthBook& book, const FlowView& flow, std::string_view given) {
  const auto decoded = base64_decode(given);
  if (!decoded || decoded->find(':') == std::string::npos) return;
  AuthScheme* const scheme = book.scheme(AuthType::kBasic, flow.authority, "header", "Authorization");
  book.note(scheme, "authorization_header", flow);
  book.carries(scheme, flow);
  book.see_value(scheme, given);
}

void look_at_bearer(AuthBook& book, const FlowView& flow, std::string_view given) {
  if (given.empty()) return;
  AuthScheme* const scheme = book.scheme(AuthType::kBearer, flow.authority, "header", "Authorization");
  book.note(scheme, "authorization_header", flow);
  book.carries(scheme, flow);
  book.see_value(scheme, given);
  if (const IssuedBy* by = book.issuer(given); by && scheme) {
    book.note(scheme, "issued_by_answer", flow);
    if (!scheme->details.contains("issued_by"))
      scheme->details["issued_by"] = {{"flow", by->flow}, {"where", by->where}, {"host", by->host}, {"path", by->path}};
    if (AuthScheme* const oauth =
            by->where.ends_with("access_token") ? book.scheme(AuthType::kOauth2, by->host, "body", "") : nullptr) {
      if (!oauth->evidence.empty()) book.note(oauth, "token_used", flow);
    }
  }
}

void look_at_digest(AuthBook& book, const FlowView& flow, std::string_view given) {
  if (parameter_of(given, "nonce").empty() || parameter_of(given, "response").empty()) return;
  AuthScheme* const scheme = book.scheme(AuthType::kDigest, flow.authority, "header", "Authorization");
  book.note(scheme, "authorization_header", flow);
  book.carries(scheme, flow);
  if (!scheme) return;
  scheme->details["realm"] = parameter_of(given, "realm");
  if (const std::string algorithm = parameter_of(given, "algorithm"); !algorithm.empty())
    scheme->details["algorithm"] = algorithm;
}

void look_at_windows(AuthBook& book, const FlowView& flow, AuthType type, std::string_view given) {
  const auto decoded = base64_decode(given);
  if (!decoded || decoded->empty()) return;
  const bool ntlm = decoded->starts_with(std::string_view("NTLMSSP\0", 8));
  if (type == AuthType::kNtlm && !ntlm) return;
  AuthScheme* const scheme = book.scheme(type, flow.authority, "header", "Authorization");
  book.note(scheme, "authorization_header", flow);
  book.carries(scheme, flow);
  if (scheme && type == AuthType::kNegotiate) scheme->details["mechanism"] = ntlm ? "NTLM" : "SPNEGO";
}

// "AKID/20130524/us-east-1/s3/aws4_request"
void put_scope(AuthScheme* scheme, std::string_view credential) {
  const auto parts = split(credential, '/');
  if (!scheme || parts.size() != 5) return;
  scheme->details["region"] = std::string(parts[2]);
  scheme->details["service"] = std::string(parts[3]);
}

void look_at_aws(AuthBook& book, const FlowView& flow, std::string_view given) {
  const std::string credential = parameter_of(given, "Credential");
  if (!credential.ends_with("/aws4_request") || parameter_of(given, "Signature").empty()) return;
  AuthScheme* const scheme = book.scheme(AuthType::kAwsSigV4, flow.authority, "header", "Authorization");
  book.note(scheme, "authorization_header", flow);
  if (flow.request.find("x-amz-date") || flow.request.find("x-amz-content-sha256"))
    book.note(scheme, "date_header", flow);
  book.carries(scheme, flow);
  put_scope(scheme, credential);
  if (scheme) scheme->details["signed_headers"] = parameter_of(given, "SignedHeaders");
}

void look_at_signed_url(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query) {
  std::string credential;
  bool algorithm = false, signature = false;
  for (const auto& [name, value] : query) {
    if (iequals(name, "x-amz-credential")) credential = value;
    algorithm |= iequals(name, "x-amz-algorithm") && value.starts_with("AWS4-");
    signature |= iequals(name, "x-amz-signature") && !value.empty();
  }
  if (!algorithm || !signature || credential.empty()) return;
  AuthScheme* const scheme = book.scheme(AuthType::kAwsSigV4, flow.authority, "query", "X-Amz-Signature");
  book.note(scheme, "signed_url", flow);
  book.carries(scheme, flow);
  put_scope(scheme, credential);
}

void look_at_key(AuthBook& book, const FlowView& flow, std::string_view in, const std::string& name,
                 std::string_view value) {
  const bool certain = is_api_key_name(name);
  const bool ambiguous = in == "query" && (iequals(name, "key") || iequals(name, "token"));
  if ((!certain && !ambiguous) || value.empty() || looks_like_jwt(value)) return;
  AuthScheme* const scheme = book.scheme(AuthType::kApiKey, flow.authority, in, name);
  book.note(scheme, certain ? "key_name" : "ambiguous_name", flow);
  if (looks_random(value)) book.note(scheme, "random_value", flow);
  book.carries(scheme, flow);
  book.see_value(scheme, value);
}

}  // namespace

bool is_api_key_name(std::string_view name) {
  const std::string lower = to_lower(name);
  if (std::find(kKeyFields.begin(), kKeyFields.end(), lower) != kKeyFields.end()) return true;
  const std::string plain = squeezed(name);
  const std::string_view bare = plain.starts_with('x') ? std::string_view(plain).substr(1) : std::string_view(plain);
  const auto is = [&](std::string_view known) { return plain == known || bare == known; };
  return std::any_of(kKeyNames.begin(), kKeyNames.end(), is);
}

void look_at_token(AuthBook& book, const FlowView& flow, std::string_view in, std::string_view name,
                   std::string_view value) {
  if (value.size() > kMostJwt || !looks_like_jwt(value)) return;
  AuthScheme* const scheme = book.scheme(AuthType::kJwt, flow.authority, in, name);
  if (!scheme) return;
  book.carries(scheme, flow);
  const std::size_t before = scheme->details.value("different_values", std::size_t{0});
  const std::size_t now = book.see_value(scheme, value);
  scheme->details["different_values"] = now;
  if (now == before || now > kMostJwtParsed) return;
  auto jwt = parse_jwt(value);
  if (!jwt) return;
  book.note(scheme, "decodes", flow);
  const Json* claims = find_member(*jwt, "claims");
  for (const std::string_view claim : {"iss", "exp", "iat", "sub", "aud"}) {
    if (!claims || !claims->contains(claim)) continue;
    book.note(scheme, "registered_claims", flow);
    break;
  }
  Json& tokens = scheme->details["tokens"];
  if (tokens.size() < kMostTokens) tokens.push_back(*std::move(jwt));
}

void look_at_authorization(AuthBook& book, const FlowView& flow) {
  const auto value = flow.request.find("authorization");
  if (!value) return;
  const auto [scheme, given] = credentials_of(*value);
  if (scheme == "basic") look_at_basic(book, flow, given);
  if (scheme == "bearer") look_at_bearer(book, flow, given);
  if (scheme == "digest") look_at_digest(book, flow, given);
  if (scheme == "ntlm") look_at_windows(book, flow, AuthType::kNtlm, given);
  if (scheme == "negotiate") look_at_windows(book, flow, AuthType::kNegotiate, given);
  if (scheme == "aws4-hmac-sha256") look_at_aws(book, flow, given);
  if (given.empty()) {
    look_at_token(book, flow, "header", "Authorization", trim(*value));
  } else if (scheme == "bearer" || scheme == "jwt" || scheme == "token") {
    look_at_token(book, flow, "header", "Authorization", given);
  }
}

void look_at_challenges(AuthBook& book, const FlowView& flow) {
  const auto& fields = flow.response;
  for (std::size_t i = fields.next_named("www-authenticate"); i < fields.size();
       i = fields.next_named("www-authenticate", i + 1)) {
    const std::string_view value = fields.value(i);
    const auto [scheme, given] = credentials_of(value);
    const auto note = [&](AuthType type) {
      AuthScheme* const found = book.scheme(type, flow.authority, "header", "Authorization");
      book.note(found, "challenge", flow);
      if (const std::string realm = parameter_of(value, "realm"); found && !realm.empty())
        found->details["realm"] = realm;
    };
    if (scheme == "basic") note(AuthType::kBasic);
    if (scheme == "bearer") note(AuthType::kBearer);
    if (scheme == "digest" && !parameter_of(given, "nonce").empty()) note(AuthType::kDigest);
    if (scheme == "ntlm") note(AuthType::kNtlm);
    if (scheme == "negotiate") note(AuthType::kNegotiate);
  }
}

void look_at_keys(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query,
                  const std::vector<NameValue>& cookies) {
  for (std::size_t i = 0; i < flow.request.size(); ++i) {
    const std::string name(flow.request.name(i));
    look_at_key(book, flow, "header", name, flow.request.value(i));
    if (name.starts_with("X-") || name.starts_with("x-"))
      look_at_token(book, flow, "header", name, trim(flow.request.value(i)));
  }
  for (const auto& [name, value] : query) {
    look_at_key(book, flow, "query", name, value);
    look_at_token(book, flow, "query", name, value);
  }
  for (const auto& [name, value] : cookies) {
    look_at_key(book, flow, "cookie", name, value);
    look_at_token(book, flow, "cookie", name, value);
  }
  look_at_signed_url(book, flow, query);
}

void look_at_certificates(AuthBook& book, const FlowView& flow) {
  const auto scheme = [&] { return book.scheme(AuthType::kMutualTls, flow.authority, "tls", ""); };
  const flow::Exchange& exchange = flow.exchange;
  if (exchange.failure && exchange.failure->code == "client_certificate")
    book.note(scheme(), "certificate_demanded", flow);
  for (const std::string_view name : {"client-cert", "x-client-cert", "x-ssl-client-cert", "x-forwarded-client-cert"}) {
    if (flow.request.find(name)) book.note(scheme(), "certificate_header", flow);
  }
  const bool may_ask = exchange.status == 400 || exchange.status == 403 || exchange.status == 496;
  if (!may_ask || exchange.failure || exchange.response.body.size > 64 * kKiB || !book.may_read_body()) return;
  const std::string body = flow.response_body();
  if (exchange.status == 496 || ifind(body, "No required SSL certificate") != std::string::npos ||
      ifind(body, "client certificate required") != std::string::npos)
    book.note(scheme(), "page_demands_certificate", flow);
}

}  // namespace sluice::analysis
