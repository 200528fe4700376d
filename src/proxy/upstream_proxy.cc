#include "proxy/upstream_proxy.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "base/url.h"
#include "proxy/pac.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kSchemes =
    "http, https, socks4, socks4a, socks5, socks5h (socks means it), pac+http, pac+https, pac+file";
constexpr std::size_t kShownScheme = 24;  // of one that is not known
constexpr std::size_t kMaxUrl = 8192;
constexpr std::uint16_t kSocksPort = 1080;
constexpr std::string_view kPacPrefix = "pac+";

struct SchemeEntry {
  std::string_view name;
  ProxyScheme scheme;
  std::uint16_t port;
};
constexpr std::array<SchemeEntry, 10> kKnown{{{"http", ProxyScheme::kHttp, 80},
                                              {"https", ProxyScheme::kHttps, 443},
                                              {"socks4", ProxyScheme::kSocks4, kSocksPort},
                                              {"socks4a", ProxyScheme::kSocks4a, kSocksPort},
                                              {"socks5", ProxyScheme::kSocks5, kSocksPort},
                                              {"socks5h", ProxyScheme::kSocks5h, kSocksPort},
                                              {"socks", ProxyScheme::kSocks5h, kSocksPort},
                                              {"pac+http", ProxyScheme::kPac, 80},
                                              {"pac+https", ProxyScheme::kPac, 443},
                                              {"pac+file", ProxyScheme::kPac, 0}}};

const SchemeEntry* find_scheme(std::string_view name) {
  const auto found = std::find_if(kKnown.begin(), kKnown.end(), [&](const auto& entry) { return entry.name == name; });
  return found == kKnown.end() ? nullptr : &*found;
}

// WHATWG takes a backslash for a slash in some schemes and drops tabs: what could be read two ways is no URL here.
bool is_odd(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet <= ' ' || octet == 0x7f || c == '\\';
}

bool is_control(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet < ' ' || octet == 0x7f;
}

// The pieces of a URL as they stand; views into it.
struct Pieces {
  std::string scheme;
  bool has_authority = false, has_user_info = false, has_password = false;
  std::string_view user, password, authority, path;
  std::string_view from_path;  // with query and fragment
};

std::optional<Pieces> take_apart(std::string_view url) {
  if (url.empty() || url.size() > kMaxUrl || std::any_of(url.begin(), url.end(), is_odd)) return std::nullopt;
  const std::size_t colon = url.find(':');
  if (colon == url.npos || colon == 0) return std::nullopt;
  Pieces pieces;
  pieces.scheme = to_lower(url.substr(0, colon));
  const auto in_scheme = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '.' || c == '-';
  };
  if (!(pieces.scheme.front() >= 'a' && pieces.scheme.front() <= 'z')) return std::nullopt;
  if (!std::all_of(pieces.scheme.begin(), pieces.scheme.end(), in_scheme)) return std::nullopt;
  std::string_view rest = url.substr(colon + 1);
  pieces.has_authority = rest.starts_with("//");
  if (!pieces.has_authority) return pieces;
  rest.remove_prefix(2);
  pieces.authority = rest.substr(0, rest.find_first_of("/?#"));
  pieces.from_path = rest.substr(pieces.authority.size());
  pieces.path = pieces.from_path.substr(0, pieces.from_path.find_first_of("?#"));
  if (const std::size_t at = pieces.authority.rfind('@'); at != pieces.authority.npos) {
    const std::string_view info = pieces.authority.substr(0, at);
    pieces.authority.remove_prefix(at + 1);
    const std::size_t separator = info.find(':');
    pieces.has_user_info = true;
    pieces.user = info.substr(0, separator);
    if (separator != info.npos) pieces.password = info.substr(separator + 1);
    pieces.has_password = !pieces.password.empty();
  }
  return pieces;
}

constexpr std::uint16_t kNoPort = 1;  // stands for "none given" where a scheme has no default

// Host and port; the port is kNoPort where there is none and the scheme knows no default.
std::optional<HostPort> where(const Pieces& pieces) {
  if (pieces.scheme == "pac+file") {
    if (!pieces.authority.empty() || pieces.path.empty()) return std::nullopt;
    return HostPort{};
  }
  const SchemeEntry* known = find_scheme(pieces.scheme);
  auto parsed = parse_authority(pieces.authority, known ? known->port : kNoPort);
  if (!parsed) return std::nullopt;
  return *std::move(parsed);
}

std::string redact(const Pieces& pieces) {
  if (!pieces.has_authority) return pieces.scheme + ":***";
  const auto place = where(pieces);
  if (!place) return "<unparseable url>";
  const bool special = pieces.scheme == "http" || pieces.scheme == "https";
  std::string out = pieces.scheme + "://" + std::string(pieces.user);
  if (pieces.has_password) out += ":***";
  if (!pieces.user.empty() || pieces.has_password) out += '@';
  const bool given = !pieces.authority.ends_with(']') && pieces.authority.find(':') != std::string_view::npos &&
                     !pieces.authority.ends_with(':');
  const std::uint16_t left_out =
      special || !given ? find_scheme(pieces.scheme) ? find_scheme(pieces.scheme)->port : kNoPort : 0;
  if (pieces.scheme != "pac+file") out += authority_text(place->host, place->port, left_out);
  for (std::string_view path = pieces.path; !path.empty();) {
    path.remove_prefix(1);
    const std::size_t length = std::min(path.find('/'), path.size());
    out += length == 0 ? "/" : "/***";
    path.remove_prefix(length);
  }
  if (special && pieces.path.empty()) out += '/';
  return out;
}

bool is_same_host(std::string_view given, std::string_view host) {
  if (given.starts_with('[') && given.ends_with(']')) given = given.substr(1, given.size() - 2);
  return iequals(given, host);
}

Result<Secret> password_of(const Pieces& pieces, std::string_view host, const KeptPasswords& kept,
                           PasswordSource& source) {
  if (pieces.user.empty()) {
    source = PasswordSource::kNoUser;
  } else if (pieces.has_password) {
    source = PasswordSource::kUrl;
  } else {
    source = PasswordSource::kNone;
    for (const KeptPassword& one : kept) {
      if (!is_same_host(one.host, host)) continue;
      source = one.source;
      return one.load();
    }
  }
  std::string plain = percent_decode(pieces.password);
  Secret password(plain);
  ::explicit_bzero(plain.data(), plain.size());
  return password;
}

Status check_credentials(ProxyScheme scheme, std::string_view what, std::string_view user, const Secret& password) {
  const bool old_socks = scheme == ProxyScheme::kSocks4 || scheme == ProxyScheme::kSocks4a;
  const std::string name(what);
  if (user.find(':') != user.npos) {
    return fail(Code::kRefused, name + " has a user name with a colon, which proxies take for the password's begin");
  }
  if (std::any_of(user.begin(), user.end(), is_control) ||
      std::any_of(password.view().begin(), password.view().end(), is_control)) {
    return fail(Code::kRefused, name + " has a control character in its user name or password");
  }
  if (old_socks && !password.empty()) {
    return fail(Code::kRefused, "SOCKS4 knows no passwords: use socks5:// or leave the password out");
  }
  const bool socks = old_socks || scheme == ProxyScheme::kSocks5 || scheme == ProxyScheme::kSocks5h;
  if (socks && (user.size() > 255 || password.view().size() > 255)) {
    return fail(Code::kRefused, "a SOCKS user name or password has at most 255 octets");
  }
  return {};
}

}  // namespace

std::string_view to_string(PasswordSource source) {
  switch (source) {
    case PasswordSource::kEnvironment:
      return "env";
    case PasswordSource::kFile:
      return "file";
    case PasswordSource::kUrl:
      return "url";
    case PasswordSource::kNone:
    case PasswordSource::kNoUser:
      break;
  }
  return "none";
}

std::string redacted_proxy_url(std::string_view url) {
  const auto pieces = take_apart(url);
  return pieces ? redact(*pieces) : "<unparseable url>";
}

UpstreamProxy::UpstreamProxy(ProxyScheme scheme, std::string host, std::uint16_t port, std::string grant)
    : scheme_(scheme), host_(std::move(host)), grant_(std::move(grant)), port_(port) {
  const auto known =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const auto& entry) { return entry.scheme == scheme; });
  shown_ = std::string(known->name) + "://" + authority_text(host_, port_, speaks_http() ? known->port : 0);
  if (speaks_http()) shown_ += '/';
}

Result<UpstreamProxyPtr> UpstreamProxy::parse(std::string_view url, std::string_view what,
                                              const KeptPasswords& passwords, std::uint64_t id, std::string grant) {
  const auto pieces = take_apart(url);
  const auto unparseable = [&] {
    return fail(Code::kInvalid,
                std::string(what) + " is not a parseable URL — check the scheme, e.g. socks5://host:1080");
  };
  if (!pieces || !pieces->has_authority) return unparseable();
  const SchemeEntry* known = find_scheme(pieces->scheme);
  if (!known) {
    return fail(Code::kInvalid, std::string(what) + " has the scheme '" + pieces->scheme.substr(0, kShownScheme) +
                                    "', which is none of " + std::string(kSchemes));
  }
  const auto place = where(*pieces);
  if (!place) return unparseable();
  std::shared_ptr<UpstreamProxy> proxy(new UpstreamProxy);
  proxy->scheme_ = known->scheme;
  proxy->host_ = place->host;
  proxy->port_ = place->port;
  proxy->id_ = id;
  proxy->grant_ = std::move(grant);
  proxy->shown_ = redact(*pieces);
  std::string user = percent_decode(pieces->user);
  SLUICE_TRY(Secret password, password_of(*pieces, place->host, passwords, proxy->source_));
  SLUICE_CHECK(check_credentials(known->scheme, what, user, password));
  if (known->scheme == ProxyScheme::kPac) {
    if (pieces->has_user_info) return fail(Code::kRefused, "the URL of a PAC script takes no user name or password");
    SLUICE_CHECK(Pac::check_url(url));
    proxy->pac_url_ = pieces->scheme.substr(kPacPrefix.size()) + "://" + std::string(pieces->authority) +
                      std::string(pieces->from_path);
  }
  proxy->auth_.set(std::move(user), std::move(password),
                   known->scheme == ProxyScheme::kHttps ? connect::ProxyAuth::Basic::kAtOnce
                                                        : connect::ProxyAuth::Basic::kWhenAsked);
  return UpstreamProxyPtr(std::move(proxy));
}

}  // namespace sluice::proxy
