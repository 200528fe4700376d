#include "proxy/engine.h"

#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <thread>

#include "proxy/admission.h"
#include "proxy/door.h"
#include "proxy/file_roots.h"
#include "proxy/guard.h"
#include "proxy/host_options_start.h"
#include "proxy/pac.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;
using Tcp = asio::ip::tcp;
using Milliseconds = std::chrono::milliseconds;

// Whoever is turned away is told so and recorded, up to here; a flood is only counted.
constexpr std::size_t kMostTurnedAway = 64;   // at once
constexpr int kMostTurnedAwayPerSecond = 20;  // or refusals would push traffic out of the ring

constexpr Milliseconds kLastFarewell{500};  // after a reset, for coroutines to end

// Accepts on a thread of its own and hands each connection to the worker with the fewest.
class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineOptions options, EngineDeps deps, ClientList clients, ClientList header_senders,
             std::shared_ptr<tls::ClientContext> client_tls)
      : options_(std::move(options)),
        deps_(std::move(deps)),
        admission_(std::move(clients), std::move(header_senders), !options_.proxy_user.empty()),
        hosts_(std::move(client_tls), host_files_),
        passthrough_(options_.learn_passthrough),
        explicit_door_(accept_io_, receive_at(flow::Source::kExplicit), bugs()),
        transparent_door_(accept_io_, receive_at(flow::Source::kTransparent), bugs()) {}

  ~EngineImpl() override {
    if (explicit_door_.is_open() || transparent_door_.is_open()) {
      close_doors();
      end_all(Milliseconds(0));
    }
    accept_work_.reset();
    accept_io_.stop();
    if (accept_thread_.joinable()) accept_thread_.join();
    workers_.clear();
  }

  const EngineOptions& options() const { return options_; }

  Status open(std::shared_ptr<tls::ServerContext> server, std::shared_ptr<tls::ClientContext> client) {
    const std::shared_ptr<tls::ClientContext> client_tls = client;
    guard_.set_egress(deps_.egress);
    pac_.emplace(PacDeps{deps_.clock, resolver_, guard_, client, options_.allow_roots, options_.outgoing_mark, bugs(),
                         deps_.on_alert, options_.home, options_.sessions, options_.policy_folder});
    Shared shared{options_,
                  deps_.clock,
                  deps_.rules,
                  deps_.authority,
                  std::move(server),
                  std::move(client),
                  hosts_,
                  passthrough_,
                  resolver_,
                  guard_,
                  remote_guard_,
                  admission_,
                  population_,
                  bodies_,
                  holds_,
                  files_,
                  *pac_,
                  next_connection_,
                  next_upstream_,
                  transparent_exchanges_,
                  refused_,
                  unrecorded_,
                  bugs(),
                  connection_watch(),
                  deps_.entropy,
                  deps_.upstreams ? *deps_.upstreams : no_upstreams_};
    for (std::size_t i = 0; i < std::max<std::size_t>(options_.workers, 1); ++i) {
      workers_.push_back(std::make_unique<Worker>(shared, i, deps_.sink(i)));
      workers_.back()->start();
    }
    // The trust store is read here, so that the program answers its first request before it is needed.
    accept_thread_ = std::thread([this, client_tls] {
      client_tls->prepare();
      accept_io_.run();
    });
    return {};
  }

  Status start(const std::vector<ListenAddress>& addresses) override {
    std::lock_guard serial(control_);
    if (explicit_door_.is_open()) return fail(Code::kConflict, "Proxy is already running. Stop it first.");
    if (admission_.asks_for_password()) {
      SLUICE_TRY(Secret password, options_.load_proxy_password());
      SLUICE_TRY(ProxyCredentials credentials, ProxyCredentials::create(options_.proxy_user, password.view()));
      admission_.set_credentials(std::make_shared<const ProxyCredentials>(std::move(credentials)));
    }
    SLUICE_CHECK(open_door(explicit_door_, addresses, flow::Source::kExplicit, Door::Ports::kEach));
    std::lock_guard lock(state_);
    explicit_bound_ = explicit_door_.bound();
    last_port_ = explicit_bound_.front().port;
    return {};
  }

  Status start_transparent(const std::vector<ListenAddress>& addresses) override {
    std::lock_guard serial(control_);
    if (transparent_door_.is_open()) {
      return fail(Code::kConflict, "Transparent proxy is already running. Stop it first.");
    }
    guard_.outgoing().watch(true);
    const Status opened = open_door(transparent_door_, addresses, flow::Source::kTransparent, Door::Ports::kOne);
    if (!opened) {
      guard_.outgoing().watch(false);
      return opened;
    }
    transparent_exchanges_ = 0;
    std::lock_guard lock(state_);
    transparent_bound_ = transparent_door_.bound();
    last_transparent_port_ = transparent_bound_.front().port;
    return {};
  }

  Status stop(Milliseconds drain) override {
    std::lock_guard serial(control_);
    if (!explicit_door_.is_open()) return fail(Code::kConflict, "Proxy is not running.");
    close_doors();
    end_all(drain);
    return {};
  }

  Status stop_transparent(Milliseconds drain) override {
    std::lock_guard serial(control_);
    if (!transparent_door_.is_open()) return fail(Code::kConflict, "Transparent proxy is not running.");
    close_transparent();
    constexpr flow::Source kDoor = flow::Source::kTransparent;
    for (const auto& worker : workers_) worker->drain(kDoor);
    const auto left = [this] { return population_.of_transparent.load(); };
    if (!wait_empty(left, drain)) {
      for (const auto& worker : workers_) worker->abort(kDoor);
      wait_empty(left, kLastFarewell);
    }
    return {};
  }

  EngineStatus status() const override {
    std::lock_guard lock(state_);
    EngineStatus status;
    status.running = !explicit_bound_.empty();
    status.listeners = explicit_bound_;
    status.last_port = last_port_;
    status.connections = population_.served.load();
    status.connections_refused = refused_.load();
    status.unrecorded = unrecorded_.load();
    status.transparent = {!transparent_bound_.empty(), transparent_bound_, last_transparent_port_,
                          transparent_exchanges_.load()};
    return status;
  }

  HostOptionsStore& host_options() override { return hosts_; }

  std::vector<LearnedPassthrough> learned_passthrough() const override {
    std::vector<LearnedPassthrough> list;
    const MonoTime now = deps_.clock.mono();
    const WallTime wall = deps_.clock.wall();
    for (LearnedHost& one : passthrough_.learned(now)) {
      list.push_back(
          {std::move(one.host), std::move(one.client.address), std::move(one.client.ja4), wall + (one.until - now)});
    }
    return list;
  }

  std::size_t forget_passthrough(std::string_view host) override { return passthrough_.forget(host); }

  std::vector<Held> held() const override { return holds_.list(); }
  Status resume(ExchangeSeq seq, HoldAction action, HoldEdits edits) override {
    return holds_.resume(seq, action, std::move(edits));
  }
  void send(SendRequest request, SendDone done) override {
    const std::size_t next = next_sender_.fetch_add(1, std::memory_order_relaxed);
    start_sending(*workers_[next % workers_.size()], std::move(request), std::move(done));
  }
  void add_own_listener(const ListenAddress& address) override { guard_.add(address); }
  void permit_script(const std::string& pac_url) override { pac_->permit(pac_url); }
  bool is_own_listener(const std::string& host, std::uint16_t port) override {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    return !error && guard_.is_own(address, port);
  }

 private:
  std::function<void(std::string_view)> bugs() const {
    return deps_.on_bug ? deps_.on_bug : [](std::string_view) {};
  }
  ConnectionWatch connection_watch() const {
    return deps_.on_connection ? deps_.on_connection : [](const flow::ConnectionPtr&, const auto&, const auto&) {};
  }
  Door::Accepted receive_at(flow::Source source) {
    return [this, source](Tcp::socket socket, const ListenAddress& listener) {
      receive(std::move(socket), {listener, source});
    };
  }

  Status open_door(Door& door, const std::vector<ListenAddress>& addresses, flow::Source source, Door::Ports ports) {
    for (const ListenAddress& address : addresses) SLUICE_CHECK(admission_.may_listen(address, source));
    SLUICE_CHECK(door.open(addresses, ports));
    for (const auto& worker : workers_) worker->resume();
    for (const ListenAddress& address : door.bound()) guard_.add(address);
    door.begin();
    return {};
  }

  void close_explicit() {
    for (const auto& address : explicit_door_.bound()) guard_.remove(address);
    explicit_door_.close();
    std::lock_guard lock(state_);
    explicit_bound_.clear();
  }
  void close_transparent() {
    for (const auto& address : transparent_door_.bound()) guard_.remove(address);
    transparent_door_.close();
    guard_.outgoing().watch(false);
    std::lock_guard lock(state_);
    transparent_bound_.clear();
  }
  void close_doors() {
    if (transparent_door_.is_open()) close_transparent();
    if (explicit_door_.is_open()) close_explicit();
  }

  void end_all(Milliseconds drain) {
    for (const auto& worker : workers_) worker->drain();
    const auto left = [this] { return population_.all(); };
    if (wait_empty(left, drain)) return;
    for (const auto& worker : workers_) worker->abort();
    wait_empty(left, kLastFarewell);
  }

  // True if the count came to zero in time.
  static bool wait_empty(const std::function<std::size_t()>& count, Milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (count() > 0) {
      if (std::chrono::steady_clock::now() >= until) return false;
      std::this_thread::sleep_for(Milliseconds(1));
    }
    return true;
  }

  // On the accept thread.
  void receive(Tcp::socket socket, Arrival arrival) {
    boost::system::error_code gone;
    const auto peer = socket.remote_endpoint(gone);
    if (gone) return;
    arrival.header_first = admission_.sends_header(peer.address(), arrival.source);
    if (!arrival.header_first && !admission_.allows(peer.address(), arrival.source)) {
      arrival.verdict = Verdict::kNotAllowed;
    } else if (population_.served.load() >= options_.limits.max_connections) {
      arrival.verdict = Verdict::kTooMany;
    }
    if (arrival.verdict != Verdict::kWelcome) {
      refused_.fetch_add(1);
      if (!may_explain()) return;  // closes
    }
    Worker* idlest = workers_.front().get();
    for (const auto& worker : workers_) {
      if (worker->load() < idlest->load()) idlest = worker.get();
    }
    const Tcp protocol = peer.protocol();
    const int fd = socket.release(gone);
    if (gone) return;
    population_.enter(arrival);
    idlest->submit(fd, protocol, std::move(arrival));
  }

  bool may_explain() {
    const MonoTime now = deps_.clock.mono();
    if (now - second_began_ >= std::chrono::seconds(1)) {
      second_began_ = now;
      explained_ = 0;
    }
    return population_.turned_away.load() < kMostTurnedAway && explained_++ < kMostTurnedAwayPerSecond;
  }

  const EngineOptions options_;
  const EngineDeps deps_;
  Admission admission_;
  const FileRoots host_files_{options_.allow_roots, tls::kMostPem, options_.home, options_.sessions,
                              options_.policy_folder};
  HostOptionsStore hosts_;
  Passthrough passthrough_;
  Population population_;
  BodyBudget bodies_{options_.limits.bodies_held};
  Holds holds_;
  const FileRoots files_{options_.allow_roots, options_.limits.rule_body, options_.home, options_.sessions,
                         options_.policy_folder};
  net::Resolver resolver_;
  UpstreamStore no_upstreams_;
  OwnListeners guard_;
  RemoteGuard remote_guard_{guard_};
  std::optional<Pac> pac_;
  std::atomic<std::uint64_t> next_connection_{1}, next_upstream_{1}, refused_{0}, unrecorded_{0},
      transparent_exchanges_{0};
  std::atomic<std::size_t> next_sender_{0};
  MonoTime second_began_{};  // accept thread only
  int explained_ = 0;        // ... too
  std::vector<std::unique_ptr<Worker>> workers_;
  asio::io_context accept_io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> accept_work_{accept_io_.get_executor()};
  std::thread accept_thread_;
  std::mutex control_;  // one start or stop at a time; guards the doors
  Door explicit_door_, transparent_door_;
  mutable std::mutex state_;  // guards what status() shows
  std::vector<ListenAddress> explicit_bound_, transparent_bound_;
  std::uint16_t last_port_ = 0, last_transparent_port_ = 0;
};

// Better said at the start than by every connection.
Status try_mark(std::uint32_t mark) {
  if (mark == 0) return {};
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int marked = ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  ::close(fd);
  if (marked == 0) return {};
  return fail(Code::kRefused, "--mark needs the capability CAP_NET_ADMIN");
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options, EngineDeps deps) {
  SLUICE_TRY(ClientList clients, ClientList::parse(options.allow_clients, "--allow-client"));
  SLUICE_TRY(ClientList header_senders, ClientList::parse(options.proxy_protocol_from, "--proxy-protocol"));
  SLUICE_CHECK(try_mark(options.outgoing_mark));
  SLUICE_TRY(auto server, tls::ServerContext::create(options.key_log_file, options.min_client_tls));
  SLUICE_TRY(auto client, tls::ClientContext::create({true, options.upstream_ca_files}, options.key_log_file));
  auto engine = std::make_unique<EngineImpl>(std::move(options), std::move(deps), std::move(clients),
                                             std::move(header_senders), client);
  SLUICE_CHECK(start_host_options(engine->host_options(), engine->options()));
  SLUICE_CHECK(engine->open(std::move(server), std::move(client)));
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace sluice::proxy
