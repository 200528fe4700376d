// Who may come in through which door, and what a request is told that is not served: engine.md 2. Addresses are
// judged when a connection is accepted (again when a PROXY header names another client), requests when their head was
// read. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "flow/exchange.h"
#include "http/message.h"
#include "proxy/credentials.h"
#include "proxy/engine.h"
#include "proxy/error_reply.h"
#include "proxy/guard.h"
#include "proxy/target.h"

namespace sluice::proxy {

enum class Verdict : std::uint8_t { kWelcome, kNotAllowed, kTooMany };

// How one connection came in.
struct Arrival {
  ListenAddress listener;
  flow::Source source = flow::Source::kExplicit;  // which door
  Verdict verdict = Verdict::kWelcome;
  bool header_first = false;  // it must begin with a PROXY protocol header
};

// How many connections there are just now. Kept by the engine (enter) and the connections (leave).
struct Population {
  std::atomic<std::size_t> served{0}, turned_away{0}, of_transparent{0};
  std::size_t all() const { return served.load() + turned_away.load(); }
  void enter(const Arrival& arrival) { add(arrival, 1); }
  void leave(const Arrival& arrival) { add(arrival, static_cast<std::size_t>(-1)); }

 private:
  void add(const Arrival& arrival, std::size_t change) {
    if (arrival.source == flow::Source::kTransparent) of_transparent.fetch_add(change);
    (arrival.verdict == Verdict::kWelcome ? served : turned_away).fetch_add(change);
  }
};

class Admission {
 public:
  // `password`: clients of the explicit door authenticate themselves; then they may come from anywhere, unless
  // `clients` says from where.
  Admission(ClientList clients, ClientList header_senders, bool password)
      : clients_(std::move(clients)), header_senders_(std::move(header_senders)), password_(password) {}

  // kRefused: beyond loopback nobody was said to be allowed. A redirected client cannot authenticate itself.
  Status may_listen(const ListenAddress& address, flow::Source door) const;
  bool allows(const net::asio::ip::address& client, flow::Source door) const;
  // A program of this machine whose connection was redirected keeps the address of an interface.
  static bool is_this_machine(const net::asio::ip::address& client, flow::Source door);
  bool sends_header(const net::asio::ip::address& peer, flow::Source door) const;

  // Null: no password is asked for. Renewed at each start; connections keep what they began with.
  std::shared_ptr<const ProxyCredentials> credentials() const {
    const std::lock_guard lock(mutex_);
    return credentials_;
  }
  void set_credentials(std::shared_ptr<const ProxyCredentials> credentials) {
    const std::lock_guard lock(mutex_);
    credentials_ = std::move(credentials);
  }
  bool asks_for_password() const { return password_; }

 private:
  const ClientList clients_, header_senders_;
  const bool password_;
  mutable std::mutex mutex_;  // std::atomic would race in libstdc++ 12 (flow/exchange.h)
  std::shared_ptr<const ProxyCredentials> credentials_;
};

// Why nothing on a connection is served, whatever it asks.
std::optional<FailureKind> refusal_of(Verdict verdict);
// One sentence for it.
std::string_view sentence_of(FailureKind refusal);

// What a request is told instead of being served; nullopt: it is served. Where a password is asked for, the field that
// holds it leaves the head: it is neither forwarded nor recorded.
std::optional<FailureKind> refuse_request(http::RequestHead& head, TargetKind kind, const ClientFacts& facts);

}  // namespace sluice::proxy
