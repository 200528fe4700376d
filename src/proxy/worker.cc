#include "proxy/worker.h"

#include <pthread.h>

#include <boost/asio/post.hpp>

#include "base/allocate.h"
#include "net/spawn.h"
#include "proxy/client_connection.h"

namespace sluice::proxy {
namespace {

constexpr std::chrono::minutes kRouteMemory{10};  // engine.md 2
constexpr int kMostFarewells = 1000;              // turns of the loop that ends what still runs
constexpr std::size_t kMaxRoutes = 4096;          // forgotten all at once beyond: a client that walks the web

}  // namespace

Worker::Worker(Shared shared, std::size_t index, flow::Sink& sink)
    : shared_(std::move(shared)),
      index_(index),
      sink_(sink),
      io_(std::make_unique<net::asio::io_context>(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO)),
      work_(net::asio::make_work_guard(*io_)),
      ticker_(*io_),
      readiness_(*io_),
      pool_(shared_.options.limits.upstream_idle_per_worker, shared_.options.limits.timeouts.upstream_idle),
      leaves_(*shared_.authority, shared_.clock),
      settings_{true, shared_.options.limits.rule_body, &shared_.files, index, &shared_.transparent_exchanges},
      keeping_alt_svc_(settings_) {
  keeping_alt_svc_.strip_alt_svc = false;
  deadlines_.tick(clock().mono());
}

Worker::~Worker() {
  io_->stop();
  if (thread_.joinable()) thread_.join();
  // A coroutine that waits for a socket is owned by that socket, which it owns: it is woken, and ends by itself. One
  // that waits for a timer or for a connect is destroyed with the io_context.
  io_->restart();
  const auto all_left = [this] { return connections_.empty() && http2_upstreams_.empty() && sendings_ == 0; };
  for (int round = 0; round < kMostFarewells && !all_left(); ++round) {
    abort_all();
    if (io_->poll() == 0) break;
  }
  pool_.clear();
  readiness_.stop();
  ticker_.reset();
  work_.reset();
  io_.reset();
}

void Worker::start() {
  arm_tick();
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), ("worker-" + std::to_string(index_)).c_str());
    const KeepsFreeBlocks kept;
    io_->run();
  });
}

void Worker::submit(int fd, net::asio::ip::tcp protocol, Arrival arrival) {
  load_.fetch_add(1, std::memory_order_relaxed);
  net::asio::post(*io_, [this, fd, protocol, arrival = std::move(arrival)] {
    net::asio::ip::tcp::socket socket(*io_, protocol, fd);
    net::prepare_socket(socket);
    net::spawn(io_->get_executor(), ClientConnection::serve(*this, std::move(socket), arrival), shared_.on_bug);
  });
}

void Worker::drain() {
  net::asio::post(*io_, [this] {
    draining_ = true;
    pool_.clear();
    for (ClientConnection* connection : connections_) connection->drain();
    http2_upstreams_.expire(MonoTime::max());
  });
}

void Worker::resume() {
  net::asio::post(*io_, [this] { draining_ = false; });
}

void Worker::abort() {
  net::asio::post(*io_, [this] { abort_all(); });
}

// A connection that ends leaves the set, but none does before this returns: waits end later, from the loop.
void Worker::drain(flow::Source door) {
  net::asio::post(*io_, [this, door] {
    for (ClientConnection* connection : connections_) {
      if (connection->source() == door) connection->drain();
    }
  });
}

void Worker::abort(flow::Source door) {
  net::asio::post(*io_, [this, door] {
    for (ClientConnection* connection : connections_) {
      if (connection->source() == door) connection->abort();
    }
  });
}

void Worker::abort_all() {
  for (ClientConnection* connection : connections_) connection->abort();
  http2_upstreams_.stop();
  // Also what belongs to no client yet, or where nobody waits right now: no wait outlives this.
  deadlines_.tick(MonoTime::max());
}

const rules::RuleBookPtr& Worker::book() {
  return book_.of(shared_.rules.generation(), [this] { return shared_.rules.book(); });
}

const UpstreamTable& Worker::upstreams() const {
  return *upstreams_.of(shared_.upstreams.generation(), [this] { return shared_.upstreams.table(); });
}

const HostBookPtr& Worker::hosts() const {
  return hosts_.of(shared_.hosts.generation(), [this] { return shared_.hosts.book(); });
}

Worker::Handling Worker::handling(const std::string& host, std::uint16_t port, const std::string& other) {
  const HostBook& book = hosts()->at(port);
  if (book.empty()) return {sink_, settings_};
  const ExchangeSettings& settings = book.find(host).alt_svc == AltSvc::kStrip ? settings_ : keeping_alt_svc_;
  if (book.records(host, other)) return {sink_, settings};
  shared_.unrecorded.fetch_add(1, std::memory_order_relaxed);
  return {no_record_, settings};
}

const RouteMemory* Worker::find_route(const std::string& key) const {
  const auto found = routes_.find(key);
  if (found == routes_.end() || clock().mono() - found->second.learned > kRouteMemory) return nullptr;
  return &found->second;
}

void Worker::remember_route(const std::string& key, RouteMemory memory) {
  if (routes_.size() >= kMaxRoutes) routes_.clear();
  routes_[key] = std::move(memory);
}

void Worker::remember_extended_connect(const std::string& key, bool taken) {
  const auto found = routes_.find(key);
  if (found != routes_.end()) found->second.extended_connect = taken;
}

tls::ResumptionPtr Worker::find_resumption(const std::string& key) const {
  const auto found = resumptions_.find(key);
  return found == resumptions_.end() ? nullptr : found->second;
}

void Worker::remember_resumption(const std::string& key, tls::ResumptionPtr resumption) {
  if (resumptions_.size() >= kMaxRoutes) resumptions_.clear();
  resumptions_[key] = std::move(resumption);
}

void Worker::arm_tick() {
  ticker_->expires_after(net::kDeadlineTick);
  ticker_->async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    arm_tick();
  });
}

void Worker::tick() {
  const MonoTime now = clock().mono();
  deadlines_.tick(now);
  pool_.expire(now);
  http2_upstreams_.expire(now - limits().timeouts.upstream_idle);
  give_back_unused_blocks();
}

}  // namespace sluice::proxy
