// How clients prove who they are, told from traffic: which schemes, where, with what evidence. A scheme's confidence is
// the sum of the weights of the distinct pieces of evidence found for it, at most 100; kEvidence is that table. From
// kDetected on it counts as detected. Values of credentials are compared, never answered.
//
//   AuthDetector detector;
//   for (flow, oldest first) detector.add(FlowView(exchange, bodies));
//   for (const AuthScheme& scheme : detector.finish()) …
//
// Memory is bounded whatever the traffic. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/flow_view.h"
#include "base/json.h"

namespace sluice::analysis {

enum class AuthType : std::uint8_t {
  kOauth2,
  kJwt,
  kApiKey,
  kSessionCookie,
  kCsrf,
  kBasic,
  kBearer,
  kDigest,
  kNtlm,
  kNegotiate,
  kAwsSigV4,
  kOpenIdConnect,
  kMutualTls,
};
inline constexpr std::size_t kAuthTypes = 13;
std::string_view to_string(AuthType type);  // "oauth2", "basic_auth", "bearer_token", "aws_sigv4", …

inline constexpr int kDetected = 50;              // of 100
inline constexpr std::size_t kMostSchemes = 200;  // of one analysis
inline constexpr std::size_t kMostAuthFlows = 5;  // named for each scheme and each piece of evidence

struct EvidenceKind {
  AuthType type;
  std::string_view name;
  int weight;
  std::string_view meaning;
};
// docs/mitmproxy.md has the same table.
extern const std::vector<EvidenceKind> kEvidence;

struct Evidence {
  const EvidenceKind* kind = nullptr;
  std::size_t count = 0;
};

struct AuthScheme {
  AuthType type = AuthType::kBearer;
  std::string host;  // with its port where that is not the usual one
  std::string in;    // "header", "query", "cookie", "body", "tls"
  std::string name;  // of the field, parameter or cookie; empty where there is none
  std::vector<Evidence> evidence;
  std::vector<std::string> flows;  // the first ones
  std::size_t flow_count = 0;
  Json details = Json::object();  // by type: see docs/mitmproxy.md

  int confidence() const;
  bool is_detected() const { return confidence() >= kDetected; }
};

class AuthBook;

class AuthDetector {
 public:
  AuthDetector();
  ~AuthDetector();
  void add(const FlowView& flow);
  // Most certain first. Once.
  std::vector<AuthScheme> finish();

 private:
  std::unique_ptr<AuthBook> book_;
};

// Whether a name is one of those that API keys, sessions or tokens against forgery have. By words: "inside" is no
// "sid".
bool is_api_key_name(std::string_view name);
bool is_session_name(std::string_view name);
bool is_csrf_name(std::string_view name);

}  // namespace sluice::analysis
