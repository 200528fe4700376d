// One worker: a thread with its own io_context, and everything that its connections share without locks: deadlines,
// upstream pool, leaf cache, route memory, the current RuleBook. Only submit(), counters and drain() may be called from
// other threads.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.h"
#include "net/deadlines.h"
#include "net/dial.h"
#include "net/readiness.h"
#include "proxy/admission.h"
#include "proxy/body_budget.h"
#include "proxy/engine.h"
#include "proxy/exchange.h"
#include "proxy/holds.h"
#include "proxy/host_options.h"
#include "proxy/http2_upstream.h"
#include "proxy/no_record.h"
#include "proxy/passthrough.h"
#include "proxy/pool.h"
#include "proxy/route.h"
#include "proxy/seats.h"
#include "proxy/upstream_table.h"

namespace sluice::proxy {

class Pac;

// What all workers share; made by the engine, immutable or thread-safe.
struct Shared {
  const EngineOptions& options;
  const Clock& clock;
  rules::RuleStore& rules;
  std::shared_ptr<const tls::CertificateAuthority> authority;
  std::shared_ptr<tls::ServerContext> server_tls;
  std::shared_ptr<tls::ClientContext> client_tls;
  HostOptionsStore& hosts;
  Passthrough& passthrough;
  net::Resolver& resolver;
  OwnListeners& guard;
  net::DialGuard& remote_guard;  // for clients beyond this machine
  const Admission& admission;
  Population& population;  // of all workers
  BodyBudget& bodies;
  Holds& holds;
  const MockFiles& files;
  Pac& pac;
  std::atomic<std::uint64_t>& next_connection;
  std::atomic<std::uint64_t>& next_upstream;
  std::atomic<std::uint64_t>& transparent_exchanges;
  std::atomic<std::uint64_t>& refused;     // clients that may not come in
  std::atomic<std::uint64_t>& unrecorded;  // exchanges with hosts of which no record is kept
  std::function<void(std::string_view)> on_bug;
  ConnectionWatch on_connection;
  Entropy& entropy;
  UpstreamStore& upstreams;
};

// What a TLS route's last connection said; kept for ten minutes (engine.md 2).
struct RouteMemory {
  std::string alpn;
  MonoTime learned;
  bool extended_connect = false;  // RFC 8441 §3: in its SETTINGS
};

// A snapshot that a store publishes, kept until its generation is another. One thread's own.
template <typename Snapshot>
class Newest {
 public:
  // `generation` is read before `load` is asked, so that what is kept is at least that new.
  template <typename Load>
  const Snapshot& of(std::uint64_t generation, const Load& load) {
    if (generation != generation_) {
      snapshot_ = load();
      generation_ = generation;
    }
    return snapshot_;
  }

 private:
  Snapshot snapshot_;
  std::uint64_t generation_ = 0;  // of a store: from 1
};

// The last values seen, so that equal ones share one object. One thread's own.
template <class T>
class Recent {
 public:
  std::shared_ptr<const T> share(T value) {
    for (const auto& one : last_) {
      if (one && *one == value) return one;
    }
    auto& oldest = last_[next_++ % last_.size()];
    oldest = std::make_shared<const T>(std::move(value));
    return oldest;
  }

 private:
  std::array<std::shared_ptr<const T>, 32> last_;
  std::size_t next_ = 0;
};

class ClientConnection;

class Worker {
 public:
  Worker(Shared shared, std::size_t index, flow::Sink& sink);
  ~Worker();  // stops, joins, and ends what still runs: every record is closed

  void start();
  // Any thread: serve this connection here.
  void submit(net::asio::ip::tcp::socket::native_handle_type fd, net::asio::ip::tcp protocol, Arrival arrival);
  // Any thread: idle connections close now, busy ones when their exchange is over; abort() ends the rest.
  void drain();
  void resume();  // a listener opened again
  void abort();
  // The same for what came in through one door.
  void drain(flow::Source door);
  void abort(flow::Source door);
  std::size_t load() const { return load_.load(std::memory_order_relaxed); }

  // --- this thread only ---
  const Shared& shared() const { return shared_; }
  const ProxyLimits& limits() const { return shared_.options.limits; }
  const Clock& clock() const { return shared_.clock; }
  net::asio::io_context& io() { return *io_; }
  flow::Sink& sink() { return sink_; }
  net::Deadlines& deadlines() { return deadlines_; }
  net::Readiness& readiness() { return readiness_; }
  Pool& pool() { return pool_; }
  Seats& seats() { return seats_; }
  Http2Upstreams& http2_upstreams() { return http2_upstreams_; }
  tls::LeafCache& leaves() { return leaves_; }
  const ExchangeSettings& exchange_settings() const { return settings_; }
  const rules::RuleBookPtr& book();        // the newest
  const UpstreamTable& upstreams() const;  // the newest; until the next call
  std::uint64_t upstream_generation() const { return shared_.upstreams.generation(); }
  const HostBookPtr& hosts() const;  // the newest
  // Where an exchange is recorded (perhaps nowhere), and how it is handled, by its host's options. `other`: the name
  // that its connection was made for (HostBook::records).
  struct Handling {
    flow::Sink& sink;
    const ExchangeSettings& settings;
  };
  Handling handling(const std::string& host, std::uint16_t port, const std::string& other);
  bool draining() const { return draining_; }
  void count_sending(int change) { sendings_ += change; }  // requests of our own (sender.h) under way

  std::shared_ptr<const flow::ClientTls> share(flow::ClientTls tls) { return client_tls_.share(std::move(tls)); }
  std::shared_ptr<const flow::ServerTls> share(flow::ServerTls tls) { return server_tls_.share(std::move(tls)); }
  const RouteMemory* find_route(const std::string& key) const;
  void remember_route(const std::string& key, RouteMemory memory);
  void remember_extended_connect(const std::string& key, bool taken);  // of a route that is remembered
  tls::ResumptionPtr find_resumption(const std::string& key) const;
  void remember_resumption(const std::string& key, tls::ResumptionPtr resumption);

 private:
  friend class ClientConnection;
  void tick();
  void arm_tick();
  void abort_all();

  Shared shared_;
  const std::size_t index_;
  flow::Sink& sink_;
  // The io_context goes first (~Worker): coroutines that it destroys still use all of these.
  std::unique_ptr<net::asio::io_context> io_;
  std::optional<net::asio::executor_work_guard<net::asio::io_context::executor_type>> work_;
  std::optional<net::asio::steady_timer> ticker_;
  Seats seats_;
  net::Deadlines deadlines_;
  net::Readiness readiness_;
  Pool pool_;
  Http2Upstreams http2_upstreams_;
  tls::LeafCache leaves_;
  ExchangeSettings settings_, keeping_alt_svc_;
  NoRecord no_record_;
  Newest<rules::RuleBookPtr> book_;
  mutable Newest<UpstreamTablePtr> upstreams_;
  mutable Newest<HostBookPtr> hosts_;
  std::unordered_map<std::string, RouteMemory> routes_;
  Recent<flow::ClientTls> client_tls_;
  Recent<flow::ServerTls> server_tls_;
  std::unordered_map<std::string, tls::ResumptionPtr> resumptions_;
  std::unordered_set<ClientConnection*> connections_;
  std::atomic<std::size_t> load_{0};
  bool draining_ = false;
  int sendings_ = 0;
  std::thread thread_;
};

}  // namespace sluice::proxy
