// What an AuthDetector remembers between flows. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "analysis/auth.h"

namespace sluice::analysis {

// Where a credential's value came from.
struct IssuedBy {
  std::string flow, where;  // "/data/access_token", "Set-Cookie: sid", "input csrf_token"
  std::string host, path;
};

class AuthBook {
 public:
  // nullptr: there are kMostSchemes already.
  AuthScheme* scheme(AuthType type, const std::string& host, std::string_view in, std::string_view name);
  AuthScheme* known(AuthType type, const std::string& host, std::string_view in, std::string_view name);
  // `scheme` may be null. Each piece of evidence counts once for a confidence, however often it is seen.
  void note(AuthScheme* scheme, std::string_view evidence, const FlowView& flow);
  // The flow carries a credential of this scheme: remembered to tell refusals without it, and what it was accepted for.
  void carries(AuthScheme* scheme, const FlowView& flow);

  void issue(std::string_view value, IssuedBy by);
  const IssuedBy* issuer(std::string_view value) const;
  // How many different values a scheme had; bounded.
  std::size_t see_value(const AuthScheme* scheme, std::string_view value);
  void flow_done(const FlowView& flow);
  std::vector<AuthScheme> finish();

  // At most so many bodies are read in one analysis.
  bool may_read_body();
  bool may_read_page();

 private:
  using Key = std::tuple<AuthType, std::string, std::string, std::string>;
  struct Seen {
    std::set<std::size_t> values;           // hashes
    std::map<std::size_t, bool> endpoints;  // hash of method and path: accepted there
  };
  struct Refusal {
    std::string host, flow;
    std::size_t endpoint = 0;
    std::vector<const AuthScheme*> carried;
  };

  std::map<Key, std::unique_ptr<AuthScheme>> schemes_;
  std::map<const AuthScheme*, Seen> seen_;
  std::map<std::size_t, IssuedBy> issued_;
  std::vector<Refusal> refusals_;
  std::vector<const AuthScheme*> carried_;  // by the flow at hand
  std::size_t bodies_ = 0, pages_ = 0;
};

// auth_credentials.cc: Authorization, challenges, keys, signatures, certificates.
void look_at_authorization(AuthBook& book, const FlowView& flow);
void look_at_challenges(AuthBook& book, const FlowView& flow);
void look_at_keys(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query,
                  const std::vector<NameValue>& cookies);
void look_at_certificates(AuthBook& book, const FlowView& flow);
void look_at_token(AuthBook& book, const FlowView& flow, std::string_view in, std::string_view name,
                   std::string_view value);
// auth_tokens.cc: OAuth 2.0, OpenID Connect, tokens that answers hand out.
void look_at_oauth(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query,
                   const std::vector<NameValue>& body);
// auth_cookies.cc: session cookies and tokens against forgery.
void look_at_cookies(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& cookies,
                     const std::vector<NameValue>& body);
void look_at_csrf(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& cookies,
                  const std::vector<NameValue>& body);

// Names that a value of a JSON or form body has, at any depth; bounded.
std::vector<NameValue> body_values(const std::string& body, std::string_view media);
// Long and mixed enough to be a secret rather than a word.
bool looks_random(std::string_view value);

}  // namespace sluice::analysis
