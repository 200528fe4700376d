// How we prove who we are to an upstream HTTP proxy: Basic (RFC 7617) and Digest (RFC 7616: MD5, SHA-256, -sess, qop
// auth, and RFC 2069's without qop). A password never leaves in clear (Basic) before the proxy has asked for Basic,
// unless the way to it is TLS; of several challenges the strongest is answered. What was learned of the proxy holds for
// all of its connections. Thread-safe after set().
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "http/fields.h"

namespace sluice::connect {

// One challenge of a Proxy-Authenticate or WWW-Authenticate field (RFC 9110 §11.3).
struct Challenge {
  std::string scheme;                                           // lower case
  std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case, values unquoted
  const std::string* find(std::string_view name) const;
};
// All challenges of all fields of this name; what cannot be read is skipped.
std::vector<Challenge> parse_challenges(const http::FieldList& fields, std::string_view name);

enum class DigestAlgorithm : std::uint8_t { kMd5, kMd5Sess, kSha256, kSha256Sess };
struct DigestInput {
  DigestAlgorithm algorithm = DigestAlgorithm::kMd5;
  std::string_view user, realm, nonce, cnonce, method, uri;
  bool qop_auth = true;
  std::uint32_t count = 1;
};
// The `response` parameter; empty where the system refuses the hash.
std::string digest_response(const DigestInput& input, Bytes password);

class ProxyAuth {
 public:
  enum class Basic : std::uint8_t { kWhenAsked, kAtOnce };
  // Before it is shared.
  void set(std::string user, Secret password, Basic basic);

  const std::string& user() const { return user_; }
  const Secret& password() const { return password_; }
  bool has_credentials() const { return !user_.empty() || !password_.empty(); }

  // What was sent with a request: challenged() judges by it.
  struct Sent {
    std::string value;  // of Proxy-Authorization
    std::string nonce;  // of a Digest
  };
  // nullopt: nothing is to be sent (yet).
  std::optional<Sent> authorize(std::string_view method, std::string_view uri, Entropy& entropy);

  enum class Verdict : std::uint8_t {
    kRetry,        // the same request again, with what authorize() says now
    kMissing,      // it asks, and there are no credentials
    kWrong,        // it refused them
    kUnsupported,  // it asks for something else than Basic and Digest
  };
  // A 407 came to a request that carried `sent`.
  Verdict challenged(const http::FieldList& fields, const std::optional<Sent>& sent);
  // Any other answer came: what was sent was good, and may hold the next nonce.
  void accepted(const http::FieldList& fields, const std::optional<Sent>& sent);

  // There are credentials, and whether they are wanted has not been found out.
  bool is_unsure() const;
  void not_asked();          // it was found out: they are not
  bool uses_digest() const;  // nonces may run out at any request

 private:
  struct Digest {
    DigestAlgorithm algorithm = DigestAlgorithm::kMd5;
    std::string realm, nonce, opaque;
    bool qop_auth = false, names_algorithm = false;
    std::uint32_t count = 0;
    bool worked = false;  // has been accepted: another nonce does not mean wrong credentials
  };
  enum class Use : std::uint8_t { kUnknown, kNone, kBasic, kDigest };
  static std::optional<Digest> usable(const Challenge& challenge);

  std::string user_;
  Secret password_;
  mutable std::mutex mutex_;
  Use use_ = Use::kUnknown;
  Digest digest_;
};

}  // namespace sluice::connect
