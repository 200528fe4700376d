#include "analysis/auth.h"

#include <algorithm>

#include "analysis/auth_book.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostIssued = 20'000;    // values that answers handed out
constexpr std::size_t kMostValues = 1'000;     // different values of one scheme
constexpr std::size_t kMostEndpoints = 1'000;  // of one scheme
constexpr std::size_t kMostRefusals = 2'000;
constexpr std::size_t kMostBodies = 10'000;  // read in one analysis
constexpr std::size_t kMostPages = 300;      // taken apart in one analysis
constexpr std::size_t kLeastValue = 8;       // octets of a value that is told again (analysis.md, trace_value)
constexpr std::size_t kMostBodyValues = 500;
constexpr std::size_t kMostBodyDepth = 6;
constexpr ByteCount kMostBodyParsed = 256 * kKiB;

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }

std::size_t endpoint_of(const FlowView& flow) { return hash_of(flow.exchange.method + " " + std::string(flow.path)); }

void add_flow(std::vector<std::string>& flows, const std::string& id) {
  if (flows.size() < kMostAuthFlows && std::find(flows.begin(), flows.end(), id) == flows.end()) flows.push_back(id);
}

void collect(const Json& value, const std::string& name, std::size_t depth, std::vector<NameValue>& out) {
  if (out.size() >= kMostBodyValues) return;
  if (value.is_string()) {
    out.push_back({name, value.get<std::string>()});
  } else if (value.is_structured() && depth < kMostBodyDepth) {
    for (const auto& [key, member] : value.items()) collect(member, value.is_object() ? key : name, depth + 1, out);
  }
}

constexpr std::size_t kManyFlows = 5;  // with one value

constexpr auto kA = AuthType::kApiKey;
constexpr auto kS = AuthType::kSessionCookie;
constexpr auto kC = AuthType::kCsrf;
constexpr auto kO = AuthType::kOauth2;
constexpr auto kI = AuthType::kOpenIdConnect;

}  // namespace

const std::vector<EvidenceKind> kEvidence = {
    {AuthType::kBearer, "authorization_header", 70, "Authorization: Bearer with a token (RFC 6750)"},
    {AuthType::kBearer, "challenge", 20, "an answer with WWW-Authenticate: Bearer"},
    {AuthType::kBearer, "issued_by_answer", 20, "an earlier answer handed the token out"},
    {AuthType::kJwt, "decodes", 80, "three parts, header and claims JSON in base64url (RFC 7519)"},
    {AuthType::kJwt, "registered_claims", 20, "iss, exp, iat, sub or aud among the claims"},
    {AuthType::kBasic, "authorization_header", 80, "Authorization: Basic with user and password (RFC 7617)"},
    {AuthType::kBasic, "challenge", 30, "an answer with WWW-Authenticate: Basic"},
    {AuthType::kDigest, "authorization_header", 80, "Authorization: Digest with realm, nonce and response (RFC 7616)"},
    {AuthType::kDigest, "challenge", 50, "an answer with WWW-Authenticate: Digest and a nonce"},
    {AuthType::kNtlm, "authorization_header", 80, "Authorization: NTLM with an NTLM message"},
    {AuthType::kNtlm, "challenge", 50, "an answer with WWW-Authenticate: NTLM"},
    {AuthType::kNegotiate, "authorization_header", 80, "Authorization: Negotiate with a token (RFC 4559)"},
    {AuthType::kNegotiate, "challenge", 50, "an answer with WWW-Authenticate: Negotiate"},
    {AuthType::kAwsSigV4, "authorization_header", 90, "Authorization: AWS4-HMAC-SHA256 with scope, fields, signature"},
    {AuthType::kAwsSigV4, "signed_url", 90, "X-Amz-Algorithm, X-Amz-Credential and X-Amz-Signature in the query"},
    {AuthType::kAwsSigV4, "date_header", 10, "X-Amz-Date or X-Amz-Content-Sha256"},
    {kA, "key_name", 50, "a field, parameter or cookie named as API keys are"},
    {kA, "ambiguous_name", 20, "a parameter named key or token"},
    {kA, "random_value", 20, "its value is long and mixed"},
    {kA, "same_value", 20, "one value over five requests and more"},
    {kA, "refused_without", 30, "401 or 403 without it where it was accepted"},
    {kS, "session_name", 30, "a cookie named as sessions are, by words: sid, not inside"},
    {kS, "set_by_answer", 20, "an answer set it"},
    {kS, "http_only", 15, "set with HttpOnly"},
    {kS, "set_at_login", 30, "set by the answer to a request with a password"},
    {kS, "sent_back", 15, "the client sends it"},
    {kS, "random_value", 15, "its value is long and mixed"},
    {kS, "refused_without", 30, "401 or 403 without it where it was accepted"},
    {kC, "csrf_name", 40, "a field, parameter or header named as tokens against forgery are"},
    {kC, "unsafe_method", 10, "sent with a method that changes something"},
    {kC, "same_as_cookie", 30, "its value is that of a cookie"},
    {kC, "from_answer", 40, "an earlier page or answer held its value"},
    {kO, "token_request", 50, "a request with a grant_type of OAuth 2.0 (RFC 6749)"},
    {kO, "token_answer", 40, "an answer with access_token and token_type"},
    {kO, "authorization_request", 40, "a request with response_type and client_id"},
    {kO, "code_returned", 20, "a redirect with code and state"},
    {kO, "refresh", 10, "grant_type=refresh_token"},
    {kO, "token_used", 10, "its access token is sent later"},
    {kI, "discovery", 80, "/.well-known/openid-configuration with an issuer"},
    {kI, "id_token", 60, "an answer with an id_token that is a JWT"},
    {kI, "scope", 50, "the scope openid was asked for"},
    {AuthType::kMutualTls, "certificate_demanded", 90, "the origin refused TLS without a client certificate"},
    {AuthType::kMutualTls, "page_demands_certificate", 70, "an answer of 400, 403 or 496 that asks for a certificate"},
    {AuthType::kMutualTls, "certificate_header", 50, "Client-Cert (RFC 9440) or what proxies use instead"},
};

std::string_view to_string(AuthType type) {
  switch (type) {
    case AuthType::kOauth2:
      return "oauth2";
    case AuthType::kJwt:
      return "jwt";
    case AuthType::kApiKey:
      return "api_key";
    case AuthType::kSessionCookie:
      return "session_cookie";
    case AuthType::kCsrf:
      return "csrf";
    case AuthType::kBasic:
      return "basic_auth";
    case AuthType::kBearer:
      return "bearer_token";
    case AuthType::kDigest:
      return "digest";
    case AuthType::kNtlm:
      return "ntlm";
    case AuthType::kNegotiate:
      return "negotiate";
    case AuthType::kAwsSigV4:
      return "aws_sigv4";
    case AuthType::kOpenIdConnect:
      return "openid_connect";
    case AuthType::kMutualTls:
      return "mtls";
  }
  return "";
}

int AuthScheme::confidence() const {
  int sum = 0;
  for (const Evidence& piece : evidence) sum += piece.kind->weight;
  return std::min(sum, 100);
}

namespace {

// What the table does not have for this type counts nothing.
void add_evidence(AuthScheme& scheme, std::string_view name, std::size_t count) {
  const auto kind = std::find_if(kEvidence.begin(), kEvidence.end(), [&](const EvidenceKind& each) {
    return each.type == scheme.type && each.name == name;
  });
  if (kind == kEvidence.end() || count == 0) return;
  const auto same = std::find_if(scheme.evidence.begin(), scheme.evidence.end(),
                                 [&](const Evidence& each) { return each.kind == &*kind; });
  if (same == scheme.evidence.end())
    scheme.evidence.push_back({&*kind, count});
  else
    same->count += count;
}

}  // namespace

// --- AuthBook ---

AuthScheme* AuthBook::known(AuthType type, const std::string& host, std::string_view in, std::string_view name) {
  const auto found =
      schemes_.find(Key{type, host, std::string(in), in == "header" ? to_lower(name) : std::string(name)});
  return found == schemes_.end() ? nullptr : found->second.get();
}

AuthScheme* AuthBook::scheme(AuthType type, const std::string& host, std::string_view in, std::string_view name) {
  // Header names are the same in any case.
  Key key{type, host, std::string(in), in == "header" ? to_lower(name) : std::string(name)};
  const auto found = schemes_.find(key);
  if (found != schemes_.end()) return found->second.get();
  if (schemes_.size() == kMostSchemes) return nullptr;
  auto made = std::make_unique<AuthScheme>();
  made->type = type;
  made->host = host;
  made->in = in;
  made->name = name;
  return schemes_.emplace(std::move(key), std::move(made)).first->second.get();
}

void AuthBook::note(AuthScheme* scheme, std::string_view evidence, const FlowView& flow) {
  if (!scheme) return;
  add_evidence(*scheme, evidence, 1);
  add_flow(scheme->flows, flow.exchange.id);
}

void AuthBook::carries(AuthScheme* scheme, const FlowView& flow) {
  if (!scheme || std::find(carried_.begin(), carried_.end(), scheme) != carried_.end()) return;
  carried_.push_back(scheme);
  ++scheme->flow_count;
  add_flow(scheme->flows, flow.exchange.id);
  Seen& seen = seen_[scheme];
  if (flow.accepted() && seen.endpoints.size() < kMostEndpoints) seen.endpoints.emplace(endpoint_of(flow), true);
}

void AuthBook::issue(std::string_view value, IssuedBy by) {
  if (value.size() < kLeastValue || issued_.size() >= kMostIssued) return;
  issued_.emplace(hash_of(value), std::move(by));
}

const IssuedBy* AuthBook::issuer(std::string_view value) const {
  if (value.size() < kLeastValue) return nullptr;
  const auto found = issued_.find(hash_of(value));
  return found == issued_.end() ? nullptr : &found->second;
}

std::size_t AuthBook::see_value(const AuthScheme* scheme, std::string_view value) {
  Seen& seen = seen_[scheme];
  if (seen.values.size() < kMostValues) seen.values.insert(hash_of(value));
  return seen.values.size();
}

void AuthBook::flow_done(const FlowView& flow) {
  if (flow.refused() && refusals_.size() < kMostRefusals)
    refusals_.push_back({flow.authority, flow.exchange.id, endpoint_of(flow), carried_});
  carried_.clear();
}

std::vector<AuthScheme> AuthBook::finish() {
  std::vector<AuthScheme> all;
  for (auto& [key, scheme] : schemes_) {
    const Seen& seen = seen_[scheme.get()];
    const std::size_t accepted = seen.endpoints.size();
    std::vector<std::string> refused;
    for (const Refusal& refusal : refusals_) {
      const bool carried =
          std::find(refusal.carried.begin(), refusal.carried.end(), scheme.get()) != refusal.carried.end();
      if (!carried && refusal.host == scheme->host && seen.endpoints.contains(refusal.endpoint))
        add_flow(refused, refusal.flow);
    }
    scheme->details["endpoints_accepted"] = accepted;
    if (!refused.empty()) scheme->details["refused_without"] = refused;
    if (!seen.values.empty()) scheme->details["different_values"] = seen.values.size();
    add_evidence(*scheme, "refused_without", refused.size());
    if (seen.values.size() == 1 && scheme->flow_count >= kManyFlows)
      add_evidence(*scheme, "same_value", scheme->flow_count);
    if (!scheme->evidence.empty()) all.push_back(std::move(*scheme));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const AuthScheme& a, const AuthScheme& b) { return a.confidence() > b.confidence(); });
  return all;
}

bool AuthBook::may_read_body() { return bodies_++ < kMostBodies; }
bool AuthBook::may_read_page() { return pages_++ < kMostPages; }

std::vector<NameValue> body_values(const std::string& body, std::string_view media) {
  if (body.empty() || body.size() > kMostBodyParsed) return {};
  if (media == "application/x-www-form-urlencoded") return parse_pairs(body);
  if (!is_json_media(media)) return {};
  std::vector<NameValue> values;
  if (const auto json = parse_json(body, {.refuse_duplicate_keys = false})) collect(*json, "", 0, values);
  return values;
}

bool looks_random(std::string_view value) {
  if (value.size() < 16 || value.size() > 4'096 || value.find(' ') != std::string_view::npos) return false;
  std::array<bool, 256> seen{};
  std::size_t different = 0;
  bool digit = false, letter = false;
  for (const char c : value) {
    auto& there = seen[static_cast<unsigned char>(c)];
    if (!there) ++different;
    there = true;
    digit |= c >= '0' && c <= '9';
    letter |= ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
  }
  return digit && letter && different >= 8;
}

// --- AuthDetector ---

AuthDetector::AuthDetector() : book_(std::make_unique<AuthBook>()) {}
AuthDetector::~AuthDetector() = default;

void AuthDetector::add(const FlowView& flow) {
  const std::vector<NameValue> query = parse_pairs(flow.query), cookies = parse_cookies(flow.request);
  std::vector<NameValue> body;
  const std::string media = media_type_of(flow.request);
  const bool readable = is_json_media(media) || media == "application/x-www-form-urlencoded";
  if (readable && flow.exchange.request.body.size > 0 && flow.exchange.request.body.size <= kMostBodyParsed &&
      book_->may_read_body()) {
    body = body_values(flow.request_body(), media);
  }
  look_at_authorization(*book_, flow);
  look_at_challenges(*book_, flow);
  look_at_keys(*book_, flow, query, cookies);
  look_at_certificates(*book_, flow);
  look_at_cookies(*book_, flow, cookies, body);
  look_at_csrf(*book_, flow, cookies, body);
  look_at_oauth(*book_, flow, query, body);
  book_->flow_done(flow);
}

std::vector<AuthScheme> AuthDetector::finish() { return book_->finish(); }

}  // namespace sluice::analysis
