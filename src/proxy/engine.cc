#include "proxy/engine.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "base/url.h"
#include "net/listener.h"
#include "net/spawn.h"
#include "proxy/guard.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;
using Tcp = asio::ip::tcp;

bool is_loopback(const std::string& host) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

// Accepts on a thread of its own and hands each connection to the worker with the fewest.
class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineOptions options, EngineDeps deps, ClientList clients, OriginIdentities identities, HostTable listed)
      : options_(std::move(options)),
        deps_(std::move(deps)),
        clients_(std::move(clients)),
        identities_(std::move(identities)),
        passthrough_(std::move(listed), options_.learn_passthrough) {}

  ~EngineImpl() override {
    if (status().running) (void)stop(std::chrono::milliseconds(0));
    accept_work_.reset();
    accept_io_.stop();
    if (accept_thread_.joinable()) accept_thread_.join();
    workers_.clear();
  }

  Status open(std::shared_ptr<tls::ServerContext> server, std::shared_ptr<tls::ClientContext> client) {
    const std::shared_ptr<tls::ClientContext> client_tls = client;
    Shared shared{options_,
                  deps_.clock,
                  deps_.rules,
                  deps_.authority,
                  std::move(server),
                  std::move(client),
                  identities_,
                  passthrough_,
                  resolver_,
                  guard_,
                  remote_guard_,
                  next_connection_,
                  next_upstream_,
                  connections_,
                  deps_.on_bug ? deps_.on_bug : [](std::string_view) {},
                  deps_.on_connection ? deps_.on_connection : [](const flow::ConnectionPtr&) {}};
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
    if (!acceptors_.empty()) return fail(Code::kConflict, "Proxy is already running. Stop it first.");
    if (addresses.empty()) return fail(Code::kInvalid, "no address to listen on");
    std::vector<std::shared_ptr<Tcp::acceptor>> opened;
    std::vector<ListenAddress> bound;
    for (const ListenAddress& address : addresses) {
      if (!is_loopback(address.host) && clients_.empty()) {
        return fail(Code::kRefused, "listening on " + address.host +
                                        " needs --allow-client CIDR: who, beyond this machine, may use the proxy");
      }
      SLUICE_TRY(Tcp::acceptor acceptor, net::listen_tcp(accept_io_.get_executor(), address.host, address.port));
      boost::system::error_code ignored;
      bound.push_back({address.host, acceptor.local_endpoint(ignored).port()});
      opened.push_back(std::make_shared<Tcp::acceptor>(std::move(acceptor)));
    }
    for (const auto& worker : workers_) worker->resume();
    for (std::size_t i = 0; i < opened.size(); ++i) {
      guard_.add(bound[i]);
      net::spawn(accept_io_.get_executor(), accept(opened[i], bound[i]), [this](std::string_view what) {
        if (deps_.on_bug) deps_.on_bug(what);
      });
    }
    std::lock_guard lock(state_);
    acceptors_ = std::move(opened);
    bound_ = std::move(bound);
    last_port_ = bound_.front().port;
    return {};
  }

  Status stop(std::chrono::milliseconds drain) override {
    std::lock_guard serial(control_);
    if (acceptors_.empty()) return fail(Code::kConflict, "Proxy is not running.");
    std::promise<void> closed;
    asio::post(accept_io_, [&] {
      boost::system::error_code ignored;
      for (const auto& acceptor : acceptors_) acceptor->close(ignored);
      closed.set_value();
    });
    closed.get_future().wait();
    for (const auto& address : bound_) guard_.remove(address);
    for (const auto& worker : workers_) worker->drain();
    const auto until = std::chrono::steady_clock::now() + drain;
    while (connections_.load() > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (connections_.load() > 0) {
      for (const auto& worker : workers_) worker->abort();
      const auto last = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
      while (connections_.load() > 0 && std::chrono::steady_clock::now() < last) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    std::lock_guard lock(state_);
    acceptors_.clear();
    bound_.clear();
    return {};
  }

  EngineStatus status() const override {
    std::lock_guard lock(state_);
    EngineStatus status;
    status.running = !acceptors_.empty();
    status.listeners = bound_;
    status.last_port = last_port_;
    status.connections = connections_.load();
    status.connections_refused = refused_.load();
    return status;
  }

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

  void add_own_listener(const ListenAddress& address) override { guard_.add(address); }

 private:
  net::Task<void> accept(std::shared_ptr<Tcp::acceptor> acceptor, ListenAddress address) {
    asio::steady_timer pause(accept_io_);
    for (;;) {
      auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
      if (!acceptor->is_open()) co_return;
      if (error) {  // out of descriptors, or a client that was gone already: others may do better
        pause.expires_after(std::chrono::milliseconds(20));
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      boost::system::error_code gone;
      const auto peer = socket.remote_endpoint(gone);
      if (gone) continue;
      if (!clients_.allows(peer.address()) || connections_.load() >= options_.limits.max_connections) {
        refused_.fetch_add(1);
        continue;  // closes
      }
      connections_.fetch_add(1);
      Worker* idlest = workers_.front().get();
      for (const auto& worker : workers_) {
        if (worker->load() < idlest->load()) idlest = worker.get();
      }
      const Tcp protocol = peer.protocol();
      const int fd = socket.release(gone);
      if (gone)
        connections_.fetch_sub(1);
      else
        idlest->submit(fd, protocol, address);
    }
  }

  const EngineOptions options_;
  const EngineDeps deps_;
  const ClientList clients_;
  const OriginIdentities identities_;
  Passthrough passthrough_;
  net::Resolver resolver_;
  OwnListeners guard_;
  RemoteGuard remote_guard_{guard_};
  std::atomic<std::uint64_t> next_connection_{1}, next_upstream_{1}, refused_{0};
  std::atomic<std::size_t> connections_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
  asio::io_context accept_io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> accept_work_{accept_io_.get_executor()};
  std::thread accept_thread_;
  std::mutex control_;        // one start or stop at a time
  mutable std::mutex state_;  // guards what status() shows
  std::vector<std::shared_ptr<Tcp::acceptor>> acceptors_;
  std::vector<ListenAddress> bound_;
  std::uint16_t last_port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options, EngineDeps deps) {
  SLUICE_TRY(ClientList clients, ClientList::parse(options.allow_clients));
  SLUICE_TRY(OriginIdentities identities, OriginIdentities::load(options.upstream_client_certs));
  SLUICE_TRY(HostTable listed, parse_passthrough(options.passthrough));
  SLUICE_TRY(auto server, tls::ServerContext::create(options.key_log_file, options.min_client_tls));
  SLUICE_TRY(auto client, tls::ClientContext::create({true, options.upstream_ca_files}, options.key_log_file));
  auto engine = std::make_unique<EngineImpl>(std::move(options), std::move(deps), std::move(clients),
                                             std::move(identities), std::move(listed));
  SLUICE_CHECK(engine->open(std::move(server), std::move(client)));
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace sluice::proxy
