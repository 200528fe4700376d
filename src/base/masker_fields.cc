// What is secret in fields: credentials, cookies, keys.
#include <algorithm>
#include <array>

#include "base/masker.h"
#include "base/text.h"

namespace sluice {
namespace {

// Words that may stand before credentials: the IANA registry and what large services add. Only a known word is shown,
// or `Authorization: SECRET more` would show the secret.
constexpr auto kSchemes =
    std::to_array<std::string_view>({"basic",        "bearer",        "digest",        "dpop",  "gnap",
                                     "hoba",         "mutual",        "negotiate",     "ntlm",  "oauth",
                                     "privatetoken", "scram-sha-1",   "scram-sha-256", "vapid", "token",
                                     "apikey",       "api-key",       "key",           "jwt",   "aws4-hmac-sha256",
                                     "sharedkey",    "sharedkeylite", "signature",     "hmac",  "concealed",
                                     "genie",        "geniekey",      "sso-key"});

bool is_scheme(std::string_view word) {
  return std::any_of(kSchemes.begin(), kSchemes.end(), [&](std::string_view item) { return iequals(item, word); });
}

// Where a value that is only a mask ends because another is joined to it, or the text's end.
std::size_t masked_end(std::string_view text) {
  for (MaskAt found = find_mask(text, 0); !found.mask.empty(); found = find_mask(text, found.at + found.mask.size())) {
    const std::size_t end = found.at + found.mask.size();
    if (end < text.size() && (text[end] == ',' || text[end] == '\n')) return end;
  }
  return text.size();
}

// Whether the comma at `at` is the one behind the weekday of a date: RFC 9110 §5.6.7.
bool is_behind_day(std::string_view text, std::size_t at, std::string_view day) {
  constexpr auto kDays = std::to_array<std::string_view>({"mon", "tue", "wed", "thu", "fri", "sat", "sun"});
  const std::size_t next = text.find_first_not_of(" \t", at + 1);
  if (next == text.npos || text[next] < '0' || text[next] > '9') return false;
  day = trim(day);
  if (day.starts_with('"')) day.remove_prefix(1);
  return day.find_first_of(" =") == day.npos &&
         std::any_of(kDays.begin(), kDays.end(), [&](std::string_view one) { return iequals(day.substr(0, 3), one); });
}

// Where the attributes of a Set-Cookie field end because another's value is joined to it: by a comma, as header maps
// have it, or by a line end ("\\n" inside JSON), as HAR files of browsers have it; or the text's end.
std::size_t attributes_end(std::string_view text) {
  std::size_t start = 0;  // of the attribute's name, then of its value
  bool named = false;     // the name is over
  bool date = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ';') {
      start = at + 1;
      named = date = false;
    } else if (c == '=' && !named) {
      date = iequals(trim(text.substr(start, at - start)), "expires");
      start = at + 1;
      named = true;
    } else if (c == ',') {
      if (!date || !is_behind_day(text, at, text.substr(start, at - start))) return at;
      date = false;
    } else if (c == '\n' || (c == '\\' && text.substr(at, 2) == "\\n")) {
      return at;
    }
  }
  return text.size();
}

}  // namespace

void Masker::field(const SecretName& name, std::string_view value) {
  if (name.shape == SecretShape::kSetCookie) return set_cookie(name.kind, value);
  for (;;) {
    const std::string_view one = value.substr(0, masked_end(value));
    shaped(name, one, one);
    value.remove_prefix(one.size());
    if (value.empty()) return;
    value.remove_prefix(separator(value));
  }
}

// Puts what joins two fields and says how long it is.
std::size_t Masker::separator(std::string_view text) {
  const std::size_t size = text.starts_with("\\n") ? 2 : std::min(text.find_first_not_of(" \t", 1), text.size());
  put(text.substr(0, size));
  return size;
}

void Masker::shaped(const SecretName& name, std::string_view value, std::string_view plain) {
  switch (name.shape) {
    case SecretShape::kWhole:
      return secret(name.kind, value, plain);
    case SecretShape::kCredentials:
      return credentials(name.kind, value);
    case SecretShape::kCookies:
      return cookies(name.kind, value);
    case SecretShape::kSetCookie:
      return set_cookie(name.kind, value);
  }
}

void Masker::credentials(std::string_view kind, std::string_view value) {
  const std::size_t blank = value.find(' ');
  const std::string_view scheme = value.substr(0, blank);
  if (!is_scheme(scheme)) return secret(kind, value);
  const std::size_t rest = value.find_first_not_of(' ', scheme.size());
  put(value.substr(0, rest));
  if (rest != std::string_view::npos) secret(kind, value.substr(rest));
}

void Masker::cookies(std::string_view kind, std::string_view value) {
  for (bool first = true; first || !value.empty(); first = false) {
    const std::size_t end = value.find(';');
    std::string_view pair = value.substr(0, end);
    const std::size_t blank = std::min(pair.find_first_not_of(" \t"), pair.size());
    put(pair.substr(0, blank));
    pair.remove_prefix(blank);
    // Without '=' it is a value without a name (RFC 6265bis §5.6).
    const std::size_t equals = is_mask(pair) ? std::string_view::npos : pair.find('=');
    const std::size_t start = equals == std::string_view::npos ? 0 : equals + 1;
    put(pair.substr(0, start));
    secret(kind, pair.substr(start));
    if (end == std::string_view::npos) return;
    put(';');
    value.remove_prefix(end + 1);
  }
}

// One field or several joined: behind the first pair only attributes and other fields stand.
void Masker::set_cookie(std::string_view kind, std::string_view value) {
  std::size_t semicolon = value.find(';');
  for (std::size_t at = 0;;) {
    if (semicolon < at) semicolon = value.find(';', at);
    const std::string_view rest = value.substr(at, semicolon - at);
    const std::string_view pair = rest.substr(0, masked_end(rest));
    cookies(kind, pair);
    at += pair.size();
    const std::size_t attributes = attributes_end(value.substr(at));
    text(value.substr(at, attributes), Members::kSkip);
    at += attributes;
    if (at == value.size()) return;
    at += separator(value.substr(at));
  }
}

}  // namespace sluice
