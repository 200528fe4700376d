#include "base/secret_names.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sluice {
namespace {

constexpr std::size_t kLongest = 48;  // no name in the list is near it

// Sorted by name. Not here on purpose: `code` (a country, an error, a voucher; the OAuth code is told by its
// neighbours, see Masker::parameters), `key`, `id`, `pin`, `nonce`, `state`, and names of paging tokens.
constexpr auto kNames = std::to_array<SecretName>({
    {"accesskey", "key"},
    {"accesstoken", "token"},
    {"accountkey", "key"},
    {"actortoken", "token"},
    {"apikey", "key"},
    {"apisecret", "secret"},
    {"apitoken", "token"},
    {"appkey", "key"},
    {"applicationkey", "key"},
    {"appsecret", "secret"},
    {"assertion", "token"},
    {"auth", "authorization", SecretShape::kCredentials},
    {"authenticitytoken", "csrf"},
    {"authkey", "key"},
    {"authorization", "authorization", SecretShape::kCredentials},
    {"authtoken", "token"},
    {"awssecretaccesskey", "key"},
    {"bearer", "token"},
    {"bearertoken", "token"},
    {"cfaccessclientsecret", "secret"},
    {"cfaccessjwtassertion", "jwt"},
    {"clientassertion", "token"},
    {"clientsecret", "secret"},
    {"codeverifier", "secret"},
    {"confirmpassword", "password"},
    {"consumersecret", "secret"},
    {"cookie", "cookie", SecretShape::kCookies},
    {"cookie2", "cookie", SecretShape::kCookies},
    {"credential", "authorization", SecretShape::kCredentials},
    {"credentials", "authorization", SecretShape::kCredentials},
    {"csrf", "csrf"},
    {"csrfmiddlewaretoken", "csrf"},
    {"csrftoken", "csrf"},
    {"currentpassword", "password"},
    {"ddapikey", "key"},
    {"ddapplicationkey", "key"},
    {"encryptionkey", "key"},
    {"forwardedaccesstoken", "token"},
    {"forwardedauthorization", "authorization", SecretShape::kCredentials},
    {"functionskey", "key"},
    {"githubtoken", "token"},
    {"gitlabtoken", "token"},
    {"googapikey", "key"},
    {"googsignature", "signature"},
    {"hubsignature", "signature"},
    {"hubsignature256", "signature"},
    {"idtoken", "token"},
    {"idtokenhint", "token"},
    {"invitetoken", "token"},
    {"jobtoken", "token"},
    {"jpassword", "password"},
    {"jsessionid", "session"},
    {"jwt", "jwt"},
    {"loginpassword", "password"},
    {"logintoken", "token"},
    {"masterkey", "key"},
    {"mfatoken", "token"},
    {"msclientprincipal", "token"},
    {"mstokenaadaccesstoken", "token"},
    {"mstokenaadidtoken", "token"},
    {"netsessionid", "session"},  // ASP.NET_SessionId
    {"newpassword", "password"},
    {"oauthsignature", "signature"},
    {"oauthtoken", "token"},
    {"oauthtokensecret", "secret"},
    {"oauthverifier", "secret"},
    {"ocpapimsubscriptionkey", "key"},
    {"oldpassword", "password"},
    {"originalauthorization", "authorization", SecretShape::kCredentials},
    {"otp", "password"},
    {"parserestapikey", "key"},
    {"parsesessiontoken", "session"},
    {"pass", "password"},
    {"passcode", "password"},
    {"passphrase", "password"},
    {"passwd", "password"},
    {"password", "password"},
    {"passwordconfirm", "password"},
    {"passwordconfirmation", "password"},
    {"personalaccesstoken", "token"},
    {"phpsessid", "session"},
    {"plextoken", "token"},
    {"privatekey", "key"},
    {"privatetoken", "token"},
    {"proxyauthorization", "authorization", SecretShape::kCredentials},
    {"pwd", "password"},
    {"rapidapikey", "key"},
    {"refreshtoken", "token"},
    {"repeatpassword", "password"},
    {"requestverificationtoken", "csrf"},
    {"resettoken", "token"},
    {"samlresponse", "token"},
    {"secret", "secret"},
    {"secretaccesskey", "key"},
    {"secretkey", "key"},
    {"securitytoken", "token"},
    {"session", "session"},
    {"sessionid", "session"},
    {"sessionkey", "session"},
    {"sessiontoken", "session"},
    {"setcookie", "cookie", SecretShape::kSetCookie},
    {"setcookie2", "cookie", SecretShape::kSetCookie},
    {"sharedkey", "key"},
    {"sharedsecret", "secret"},
    {"shopifyaccesstoken", "token"},
    {"sid", "session"},
    {"sig", "signature"},
    {"signature", "signature"},
    {"signingkey", "key"},
    {"signingsecret", "secret"},
    {"slacksignature", "signature"},
    {"stripesignature", "signature"},
    {"subjecttoken", "token"},
    {"subscriptionkey", "key"},
    {"token", "token"},
    {"totp", "password"},
    {"twiliosignature", "signature"},
    {"userpassword", "password"},
    {"usertoken", "token"},
    {"vaulttoken", "token"},
    {"verificationtoken", "token"},
    {"webhooksecret", "secret"},
    {"xamznoidcaccesstoken", "token"},
    {"xamzsecuritytoken", "token"},
    {"xamzsignature", "signature"},
    {"xsrf", "csrf"},
    {"xsrftoken", "csrf"},
});
static_assert(std::is_sorted(kNames.begin(), kNames.end(),
                             [](const SecretName& a, const SecretName& b) { return a.name < b.name; }));

bool is_index(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

// The part of a structured name that says what the value is: "user[password][0]" → "password".
std::string_view telling_part(std::string_view name) {
  while (name.ends_with(']')) {
    const std::size_t open = name.rfind('[');
    if (open == std::string_view::npos) break;
    const std::string_view inner = name.substr(open + 1, name.size() - open - 2);
    name = is_index(inner) ? name.substr(0, open) : inner;
  }
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

const SecretName* look_up(std::string_view plain) {
  const auto found = std::lower_bound(kNames.begin(), kNames.end(), plain,
                                      [](const SecretName& a, std::string_view b) { return a.name < b; });
  return found != kNames.end() && found->name == plain ? &*found : nullptr;
}

}  // namespace

const SecretName* find_secret_name(std::string_view name) {
  name = telling_part(name);
  std::array<char, kLongest> buffer;
  std::size_t size = 0;
  for (char c : name) {
    if (c == '-' || c == '_') continue;
    if (size == buffer.size()) return nullptr;
    buffer[size++] = ascii_lower(c);
  }
  const std::string_view plain(buffer.data(), size);
  if (const SecretName* found = look_up(plain)) return found;
  const bool prefixed = name.size() > 2 && ascii_lower(name[0]) == 'x' && (name[1] == '-' || name[1] == '_');
  return prefixed ? look_up(plain.substr(1)) : nullptr;
}

}  // namespace sluice
