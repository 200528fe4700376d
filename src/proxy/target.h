// Which URL a request names and where it is to be sent: engine.md 2. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace sluice::proxy {

class ProxyCredentials;
enum class FailureKind;

// What is known of the client's side before the head was read.
struct ClientFacts {
  bool tls = false;              // plain octets inside our TLS
  std::string sni;               // of the client's hello; empty if none
  std::string destination_host;  // CONNECT, SOCKS or original destination; empty for a plain proxy connection
  std::uint16_t destination_port = 0;
  bool by_address = false;  // the destination is an address that the client looked up: it names nothing by itself
  bool by_host = false;  // the request itself says where to: redirected, and where from is not known; or `upgraded_to`
  bool remote = false;   // the client is on another machine
  bool direct = false;   // past all upstream proxies
  // What origins are offered for this client's requests: its own ALPN list, cut to what Sluice speaks (engine.md 2).
  std::vector<std::string> alpn = {"http/1.1"};
  std::string grant;               // whose request it is; empty: a client's own
  std::string identity;            // of upstream connections that are this client's own; empty: shared ones
  bool http2_without_tls = false;  // the client spoke HTTP/2 by prior knowledge: so does Sluice towards the origin
  // An upgrade to h2c in a proxy's plain connection: only there is HTTP/2 spoken, on the connection of `identity`.
  std::optional<std::pair<std::string, std::uint16_t>> upgraded_to;
  bool tunnelled = false;                         // octets of a tunnel are at hand for plain HTTP, too (Route::tunnel)
  const ProxyCredentials* credentials = nullptr;  // asked of each request; null: none
  std::optional<FailureKind> refusal;             // of whatever is asked
  bool has_destination() const { return !destination_host.empty(); }
};

struct Target {
  std::string scheme;  // "http", "https"
  std::string host;    // of the URL: lower case, no brackets
  std::uint16_t port = 0;
  std::string path;       // path and query; "*" for asterisk form
  std::string dial_host;  // what is dialled
  std::uint16_t dial_port = 0;
  std::string server_name;  // for upstream SNI and verification
};

enum class TargetKind {
  kOrigin,   // to be sent to `target`
  kSetup,    // a visit to Sluice itself: the set-up page
  kConnect,  // `target.dial_host`, `target.dial_port`
};

struct ResolvedTarget {
  TargetKind kind = TargetKind::kOrigin;
  Target target;
  http::AnomalySet anomalies = 0;  // kAuthorityMismatch
};

inline constexpr std::string_view kSetupHost = "sluice.setup";

// kInvalid with the reason for a 400.
Result<ResolvedTarget> resolve_target(const http::RequestHead& head, const ClientFacts& facts);

// The same for the requests of one connection: most of them name one authority again and again. `facts` are always the
// same ones.
class TargetMemo {
 public:
  Result<ResolvedTarget> resolve(const http::RequestHead& head, const ClientFacts& facts);

 private:
  std::string host_field_;  // of the request that gave last_
  std::optional<ResolvedTarget> last_;
};

}  // namespace sluice::proxy
