// The running proxy: listeners, workers, pools. What tools and the command line steer; constructed in app/wiring.
// Thread-safety: every method may be called from any thread; start and stop are serialised inside.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/secret.h"
#include "flow/sink.h"
#include "proxy/holds.h"
#include "proxy/host_options.h"
#include "proxy/sender.h"
#include "rules/rules.h"
#include "tls/authority.h"
#include "tls/session.h"

namespace sluice::net {
class Egress;  // dial.h
}

namespace sluice::proxy {

class UpstreamStore;  // upstream_table.h

struct ListenAddress {
  std::string host = "127.0.0.1";  // an IP literal
  std::uint16_t port = 0;          // 0: any free port
};

struct EngineOptions {
  ProxyLimits limits;
  std::size_t workers = 1;
  std::vector<std::string> allow_clients;  // CIDRs; these or a password are needed to bind beyond loopback
  // Peers (CIDRs), load balancers mostly, whose every connection begins with a PROXY protocol header that says who the
  // client is. Without it they are refused; from nobody else is it taken.
  std::vector<std::string> proxy_protocol_from;
  // Not empty: clients of the explicit listeners must give this name and the password (Basic in HTTP, RFC 1929 in
  // SOCKS5; SOCKS4 and bare TLS cannot and are refused). The password is asked for at each start.
  std::string proxy_user;
  std::function<Result<Secret>()> load_proxy_password;
  std::uint32_t outgoing_mark = 0;  // SO_MARK of connections to origins; 0: none. Needs CAP_NET_ADMIN
  bool upstream_insecure = false;   // upstream certificates are recorded, not required
  std::vector<std::string> upstream_ca_files;
  std::vector<std::string> upstream_client_certs;  // HOST=CERT:KEY; the key may be in CERT
  tls::Version min_client_tls = tls::Version::k1_2;
  std::vector<std::string> passthrough;  // hosts whose TLS is relayed: names, *.suffix
  bool learn_passthrough = false;        // ... and hosts that clients pin (passthrough.h)
  std::string key_log_file;              // SSLKEYLOGFILE; empty: none
  bool strip_alt_svc = true;             // engine.md 1
  // Beside what the flags above say of hosts (host_options.h).
  std::vector<std::pair<std::string, HostOptions>> host_options;
  std::vector<std::string> allow_roots;  // absolute folders: beneath them lies what paths of rules and tools lead to
  std::string home, sessions;            // closed to such paths, but for the sessions in it; may be empty
  std::string policy_folder;             // closed to them, too; may be empty
};

// A host that one client's TLS is relayed to, since it pins the host's certificate.
struct LearnedPassthrough {
  std::string host, client_address, client_ja4;
  WallTime until;
};

struct EngineStatus {
  bool running = false;
  std::vector<ListenAddress> listeners;   // really bound
  std::uint16_t last_port = 0;            // of the explicit listener, also after a stop; 0: never started
  std::size_t connections = 0;            // served just now
  std::uint64_t connections_refused = 0;  // over max_connections or from a client that is not allowed
  std::uint64_t unrecorded = 0;           // exchanges with hosts of which no record is kept
  struct Transparent {
    bool running = false;
    std::vector<ListenAddress> listeners;
    std::uint16_t last_port = 0;
    std::uint64_t exchanges = 0;  // since its start
  } transparent;
};

// A connection that has been made known, with its two ends as its client has them: its own, and what it connected to.
using ConnectionWatch = std::function<void(const flow::ConnectionPtr&, const net::asio::ip::tcp::endpoint& client,
                                           const net::asio::ip::tcp::endpoint& dialled)>;

// What the engine asks of the rest of the program. All outlive it.
struct EngineDeps {
  const Clock& clock;
  Entropy& entropy;
  std::shared_ptr<const tls::CertificateAuthority> authority;
  rules::RuleStore& rules;
  std::function<flow::Sink&(std::size_t worker)> sink;
  std::function<void(std::string_view what)> on_bug;    // an exception that ended one connection
  ConnectionWatch on_connection;                        // may look for the client's process; must not block
  std::function<void(std::string_view text)> on_alert;  // what a proxy script gave alert(), cut; must not block
  UpstreamStore* upstreams = nullptr;                   // upstream proxies; null: none, ever
  net::Egress* egress = nullptr;                        // what grants may reach; null: what everybody may
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(EngineOptions options, EngineDeps deps);
  virtual ~Engine() = default;

  // Opens the explicit listeners. All or nothing. kConflict: "Proxy is already running. Stop it first."; kUnavailable:
  // the address is in use or cannot be bound, in one sentence; kRefused: beyond loopback without --allow-client or a
  // password. An error of load_proxy_password is passed on.
  virtual Status start(const std::vector<ListenAddress>& addresses) = 0;
  // Closes the listeners, the transparent ones too, lets exchanges in flight end for `drain`, then resets them.
  // kConflict: "Proxy is not running."
  virtual Status stop(std::chrono::milliseconds drain) = 0;
  // The same for listeners to which the kernel redirects connections (netfilter's REDIRECT): the original destination
  // is where they go. They may run without the explicit ones. A port of 0 after the first is the first one's.
  // kConflict: "Transparent proxy is already running. Stop it first.", "Transparent proxy is not running."
  virtual Status start_transparent(const std::vector<ListenAddress>& addresses) = 0;
  virtual Status stop_transparent(std::chrono::milliseconds drain) = 0;
  virtual EngineStatus status() const = 0;
  // What holds for each host. Changes touch no open connection.
  virtual HostOptionsStore& host_options() = 0;
  virtual std::vector<LearnedPassthrough> learned_passthrough() const { return {}; }
  // Ends what was learned of this host, for every client: how many.
  virtual std::size_t forget_passthrough(std::string_view) { return 0; }
  // Breakpoints: what is held just now, longest first, and its end (holds.h).
  virtual std::vector<Held> held() const { return {}; }
  virtual Status resume(ExchangeSeq, HoldAction, HoldEdits) { return fail(Code::kNotFound, "it is not held"); }
  // Sends a request of our own (sender.h), whether or not the proxy is started.
  virtual void send(SendRequest request, SendDone done) {
    (void)request;
    done({.failure = flow::Failure{"shutdown", flow::Phase::kConnect, "nothing can be sent from here"}});
  }
  // More of our own ports that must never be dialled (the control port): engine.md 2.
  virtual void add_own_listener(const ListenAddress& address) = 0;
  // A pac+file URL of the configuration: it may lie beyond the allowed roots.
  virtual void permit_script(const std::string&) {}
  // Whether this is one of them: a literal or "localhost"; other names are looked up and judged when they are dialled.
  virtual bool is_own_listener(const std::string&, std::uint16_t) { return false; }
};

}  // namespace sluice::proxy
