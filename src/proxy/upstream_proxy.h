// One upstream proxy: what its URL says, whose credentials go to it, and how it is shown. Immutable but for what is
// learned of its authentication; any thread. proxy.md (g), docs/upstream.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "connect/proxy_auth.h"

namespace sluice::proxy {

enum class ProxyScheme : std::uint8_t { kHttp, kHttps, kSocks4, kSocks4a, kSocks5, kSocks5h, kPac };

// Where the password came from; kNoUser: the URL has no user name, so that none is asked for.
enum class PasswordSource : std::uint8_t { kNoUser, kNone, kUrl, kEnvironment, kFile };
std::string_view to_string(PasswordSource source);  // "env", "url", "file", "none"

// Passwords that stand in no URL: merged where a URL has a user name and no password, and its host is this one (any
// case, brackets ignored, whatever the port).
struct KeptPassword {
  std::string host;
  PasswordSource source = PasswordSource::kEnvironment;
  std::function<Result<Secret>()> load;
};
using KeptPasswords = std::vector<KeptPassword>;

class UpstreamProxy {
 public:
  // `what` names the argument or flag in errors, which hold nothing else of the URL but an unknown scheme. kInvalid: no
  // URL, or a scheme that is not spoken; kRefused: credentials that cannot be sent. Errors of KeptPassword::load pass.
  static Result<std::shared_ptr<const UpstreamProxy>> parse(std::string_view url, std::string_view what,
                                                            const KeptPasswords& passwords, std::uint64_t id,
                                                            std::string grant = {});
  // Without credentials: what a PAC script names.
  UpstreamProxy(ProxyScheme scheme, std::string host, std::uint16_t port, std::string grant = {});

  ProxyScheme scheme() const { return scheme_; }
  const std::string& host() const { return host_; }  // lower case, no brackets; empty for pac+file
  std::uint16_t port() const { return port_; }
  const std::string& pac_url() const { return pac_url_; }  // kPac: where the script is, without "pac+"
  bool speaks_http() const { return scheme_ == ProxyScheme::kHttp || scheme_ == ProxyScheme::kHttps; }
  // Whether plain HTTP may go through it otherwise than as octets of a tunnel.
  bool may_forward() const { return speaks_http() || scheme_ == ProxyScheme::kPac; }
  connect::ProxyAuth& auth() const { return auth_; }
  PasswordSource password_source() const { return source_; }
  const std::string& shown() const { return shown_; }  // redacted: for messages, answers and records
  std::uint64_t id() const { return id_; }             // tells routes apart
  const std::string& grant() const { return grant_; }  // whose setting it is; empty: that of whoever runs Sluice

 private:
  UpstreamProxy() = default;

  ProxyScheme scheme_ = ProxyScheme::kHttp;
  std::string host_, pac_url_, shown_, grant_;
  std::uint16_t port_ = 0;
  std::uint64_t id_ = 0;
  PasswordSource source_ = PasswordSource::kNoUser;
  mutable connect::ProxyAuth auth_;
};
using UpstreamProxyPtr = std::shared_ptr<const UpstreamProxy>;

// What may be shown of a URL: the password and every path segment become ***, query and fragment go, the user name
// stays; "<scheme>:***" without an authority, "<unparseable url>" for what is none. Normalised as WHATWG does (lower
// case, the default port dropped, http gains a trailing '/').
std::string redacted_proxy_url(std::string_view url);

}  // namespace sluice::proxy
