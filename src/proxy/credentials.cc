#include "proxy/credentials.h"

#include <string>

#include "base/text.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kLongest = 255;  // RFC 1929 §2
constexpr std::string_view kBasic = "basic ";

Secret join(Bytes user, Bytes password) {
  std::string joined;
  joined.reserve(user.size() + 1 + password.size());  // one buffer: nothing is left behind by growing
  joined.append(user).append(":").append(password);
  Secret secret(joined);
  ::explicit_bzero(joined.data(), joined.size());
  return secret;
}

}  // namespace

Result<ProxyCredentials> ProxyCredentials::create(std::string_view user, Bytes password) {
  if (user.empty() || password.empty()) return fail(Code::kInvalid, "neither user name nor password may be empty");
  if (user.size() > kLongest || password.size() > kLongest) {
    return fail(Code::kInvalid, "user name and password have at most 255 octets each");
  }
  if (user.find(':') != std::string_view::npos) return fail(Code::kInvalid, "the user name may hold no colon");
  return ProxyCredentials(join(user, password));
}

bool ProxyCredentials::accept(Bytes user, Bytes password) const {
  return constant_time_equal(join(user, password).view(), joined_.view());
}

bool ProxyCredentials::accept_basic(std::string_view field) const {
  if (!iequals(field.substr(0, kBasic.size()), kBasic)) return false;
  auto given = base64_decode(trim(field.substr(kBasic.size())));
  if (!given) return false;
  const bool same = constant_time_equal(*given, joined_.view());
  ::explicit_bzero(given->data(), given->size());
  return same;
}

}  // namespace sluice::proxy
