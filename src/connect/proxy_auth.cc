#include "connect/proxy_auth.h"

#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "fingerprint/digest.h"

namespace sluice::connect {
namespace {

constexpr std::size_t kMostChallenges = 16;
constexpr std::size_t kMostParameters = 32;
constexpr std::size_t kClientNonce = 18;  // random octets

bool is_token(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::strchr("!#$%&'*+-.^_`|~", c) != nullptr && c != '\0';
}
bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Walks through one field value.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool skip_blanks() {
    const std::size_t from = at_;
    while (!at_end() && is_blank(text_[at_])) ++at_;
    return at_ > from;
  }
  void skip_separators() {
    while (!at_end() && (is_blank(text_[at_]) || text_[at_] == ',')) ++at_;
  }
  void skip_item() {  // to the next comma
    while (!at_end() && text_[at_] != ',') ++at_;
  }
  std::string_view token() {
    const std::size_t from = at_;
    while (!at_end() && is_token(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }
  // Behind a scheme: base64 and its like instead of parameters.
  bool skip_token68() {
    std::size_t end = at_;
    while (end < text_.size() && (is_token(text_[end]) || text_[end] == '/')) ++end;
    if (end == at_) return false;
    while (end < text_.size() && text_[end] == '=') ++end;
    std::size_t next = end;
    while (next < text_.size() && is_blank(text_[next])) ++next;
    if (next < text_.size() && text_[next] != ',') return false;
    at_ = end;
    return true;
  }
  std::string value() {
    if (peek() != '"') return std::string(token());
    std::string out;
    for (++at_; !at_end() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_];
    }
    if (!at_end()) ++at_;
    return out;
  }
  void take() { ++at_; }
  std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = at; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

void parse_one(std::string_view text, std::vector<Challenge>& out) {
  Walk walk(text);
  bool open = false;  // parameters that follow belong to the last challenge
  for (;;) {
    walk.skip_separators();
    if (walk.at_end()) return;
    const std::string_view name = walk.token();
    if (name.empty()) {
      walk.skip_item();
      continue;
    }
    const std::size_t after = walk.at();
    walk.skip_blanks();
    if (walk.peek() == '=') {
      walk.take();
      walk.skip_blanks();
      std::string value = walk.value();
      if (open && out.back().parameters.size() < kMostParameters) {
        out.back().parameters.emplace_back(to_lower(name), std::move(value));
      }
      continue;
    }
    walk.go_to(after);
    if (out.size() >= kMostChallenges) return;
    out.push_back({to_lower(name), {}});
    open = true;
    if (walk.skip_blanks()) walk.skip_token68();
  }
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

bool is_sess(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::kMd5Sess || algorithm == DigestAlgorithm::kSha256Sess;
}
bool is_sha256(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::kSha256 || algorithm == DigestAlgorithm::kSha256Sess;
}

std::string hash(DigestAlgorithm algorithm, std::string_view text) {
  return is_sha256(algorithm) ? fingerprint::sha256_hex(text) : fingerprint::md5_hex(text);
}

std::string_view name_of(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kMd5:
      return "MD5";
    case DigestAlgorithm::kMd5Sess:
      return "MD5-sess";
    case DigestAlgorithm::kSha256:
      return "SHA-256";
    case DigestAlgorithm::kSha256Sess:
      return "SHA-256-sess";
  }
  return "MD5";
}

std::string hex8(std::uint32_t count) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", count);
  return text;
}

}  // namespace

const std::string* Challenge::find(std::string_view name) const {
  for (const auto& [known, value] : parameters) {
    if (known == name) return &value;
  }
  return nullptr;
}

std::vector<Challenge> parse_challenges(const http::FieldList& fields, std::string_view name) {
  std::vector<Challenge> out;
  for (std::size_t i = fields.next_named(name); i < fields.size(); i = fields.next_named(name, i + 1)) {
    parse_one(fields.value(i), out);
  }
  return out;
}

std::string digest_response(const DigestInput& input, Bytes password) {
  const auto join = [](std::initializer_list<std::string_view> parts) {
    std::string out;
    for (const std::string_view part : parts) {
      if (!out.empty() || part.data() != parts.begin()->data()) out += ':';
      out += part;
    }
    return out;
  };
  std::string secret = std::string(input.user) + ':' + std::string(input.realm) + ':';
  secret.reserve(secret.size() + password.size());  // no copy is left behind by growing
  secret += password;
  std::string first = hash(input.algorithm, secret);
  ::explicit_bzero(secret.data(), secret.size());
  if (is_sess(input.algorithm)) first = hash(input.algorithm, join({first, input.nonce, input.cnonce}));
  const std::string second = hash(input.algorithm, join({input.method, input.uri}));
  if (first.empty() || second.empty()) return "";
  if (!input.qop_auth) return hash(input.algorithm, join({first, input.nonce, second}));
  return hash(input.algorithm, join({first, input.nonce, hex8(input.count), input.cnonce, "auth", second}));
}

void ProxyAuth::set(std::string user, Secret password, Basic basic) {
  user_ = std::move(user);
  password_ = std::move(password);
  if (basic == Basic::kAtOnce && has_credentials()) use_ = Use::kBasic;
}

std::optional<ProxyAuth::Digest> ProxyAuth::usable(const Challenge& challenge) {
  Digest digest;
  const std::string* nonce = challenge.find("nonce");
  const std::string* realm = challenge.find("realm");
  if (!nonce || nonce->empty()) return std::nullopt;
  digest.nonce = *nonce;
  if (realm) digest.realm = *realm;
  if (const std::string* opaque = challenge.find("opaque")) digest.opaque = *opaque;
  if (const std::string* algorithm = challenge.find("algorithm")) {
    digest.names_algorithm = true;
    bool known = false;
    for (const auto one :
         {DigestAlgorithm::kMd5, DigestAlgorithm::kMd5Sess, DigestAlgorithm::kSha256, DigestAlgorithm::kSha256Sess}) {
      if (!iequals(*algorithm, name_of(one))) continue;
      digest.algorithm = one;
      known = true;
    }
    if (!known) return std::nullopt;
  }
  if (const std::string* qop = challenge.find("qop")) {
    for (const std::string_view one : split(*qop, ',')) digest.qop_auth |= iequals(trim(one), "auth");
    if (!digest.qop_auth && !trim(*qop).empty()) return std::nullopt;  // auth-int alone
  }
  if (hash(digest.algorithm, "").empty()) return std::nullopt;
  return digest;
}

std::optional<ProxyAuth::Sent> ProxyAuth::authorize(std::string_view method, std::string_view uri, Entropy& entropy) {
  if (!has_credentials()) return std::nullopt;
  std::unique_lock lock(mutex_);
  if (use_ == Use::kBasic) {
    std::string plain = user_ + ':';
    plain.reserve(plain.size() + password_.view().size());
    plain += password_.view();
    Sent sent{"Basic " + base64_encode(plain), ""};
    ::explicit_bzero(plain.data(), plain.size());
    return sent;
  }
  if (use_ != Use::kDigest) return std::nullopt;
  ++digest_.count;
  Digest digest = digest_;  // hashing needs no lock
  lock.unlock();
  const std::string cnonce = random_token(entropy, kClientNonce);
  const DigestInput input{digest.algorithm, user_, digest.realm,    digest.nonce, cnonce,
                          method,           uri,   digest.qop_auth, digest.count};
  Sent sent;
  sent.nonce = digest.nonce;
  sent.value = "Digest username=" + in_quotes(user_) + ", realm=" + in_quotes(digest.realm) +
               ", nonce=" + in_quotes(digest.nonce) + ", uri=" + in_quotes(uri);
  if (digest.names_algorithm) sent.value += ", algorithm=" + std::string(name_of(digest.algorithm));
  sent.value += ", response=\"" + digest_response(input, password_.view()) + '"';
  if (!digest.opaque.empty()) sent.value += ", opaque=" + in_quotes(digest.opaque);
  if (digest.qop_auth) sent.value += ", qop=auth, nc=" + hex8(digest.count);
  if (digest.qop_auth || is_sess(digest.algorithm)) sent.value += ", cnonce=" + in_quotes(cnonce);
  return sent;
}

ProxyAuth::Verdict ProxyAuth::challenged(const http::FieldList& fields, const std::optional<Sent>& sent) {
  std::optional<Digest> strongest;
  bool basic = false, stale = false;
  for (const Challenge& challenge : parse_challenges(fields, "proxy-authenticate")) {
    if (challenge.scheme == "basic") basic = true;
    if (challenge.scheme != "digest") continue;
    const auto digest = usable(challenge);
    if (!digest || (strongest && (is_sha256(strongest->algorithm) || !is_sha256(digest->algorithm)))) continue;
    strongest = digest;
    const std::string* word = challenge.find("stale");
    stale = word && iequals(*word, "true");
  }
  if (!has_credentials()) return Verdict::kMissing;
  if (!strongest && !basic) return Verdict::kUnsupported;
  std::lock_guard lock(mutex_);
  if (!strongest) {
    const bool was_sent = sent && sent->value.starts_with("Basic ");
    use_ = Use::kBasic;
    return was_sent ? Verdict::kWrong : Verdict::kRetry;
  }
  const bool was_sent = sent && !sent->nonce.empty();
  // Somebody else has learned a newer nonce meanwhile.
  const bool outdated = was_sent && use_ == Use::kDigest && digest_.nonce != sent->nonce && digest_.worked;
  const bool expired = was_sent && strongest->nonce != sent->nonce && digest_.worked;
  strongest->worked = use_ == Use::kDigest && digest_.worked && was_sent;
  digest_ = *std::move(strongest);
  use_ = Use::kDigest;
  if (!was_sent || stale) return Verdict::kRetry;
  const bool again = outdated || expired;
  digest_.worked = false;  // once: credentials may have been changed there
  return again ? Verdict::kRetry : Verdict::kWrong;
}

void ProxyAuth::accepted(const http::FieldList& fields, const std::optional<Sent>& sent) {
  if (!sent || sent->nonce.empty()) return;
  std::lock_guard lock(mutex_);
  if (use_ != Use::kDigest || digest_.nonce != sent->nonce) return;
  digest_.worked = true;
  // RFC 7616 §3.5: a list of parameters like a challenge's, without a scheme.
  const auto info = fields.find("proxy-authentication-info");
  if (!info) return;
  std::vector<Challenge> parsed{{"digest", {}}};
  parse_one("digest " + std::string(*info), parsed);
  if (const std::string* next = parsed.back().find("nextnonce"); next && !next->empty()) {
    digest_.nonce = *next;
    digest_.count = 0;
  }
}

bool ProxyAuth::is_unsure() const {
  std::lock_guard lock(mutex_);
  return has_credentials() && use_ == Use::kUnknown;
}

void ProxyAuth::not_asked() {
  std::lock_guard lock(mutex_);
  if (use_ == Use::kUnknown) use_ = Use::kNone;
}

bool ProxyAuth::uses_digest() const {
  std::lock_guard lock(mutex_);
  return use_ == Use::kDigest;
}

}  // namespace sluice::connect
