// Hosts whose certificate a client pins, as learned from its refusals (--learn-passthrough; engine.md 3): its TLS to
// there is relayed instead of intercepted. What people and tools say about a host (host_options.h) comes first.
//
// Learning takes 3 refusals within 10 minutes by one client (address and JA4) of one host, from a client that has
// shaken hands with us for another host: it trusts the CA, so it refuses this certificate for what it is. It holds for
// that client and host, for an hour. An alert unknown_ca never counts: there the CA is not installed. A request that
// the client sends to the host ends the count: it does not pin.
//
// Thread-safe: one table for all workers, asked for each ClientHello about which nothing is said, and told once for
// each handshake; without learning no lock is taken. Bounded; where it is full, what is oldest is forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "tls/session.h"

namespace sluice::proxy {

// Who a TLS client is, as far as its connections tell.
struct TlsClient {
  std::string address, ja4;
  friend auto operator<=>(const TlsClient&, const TlsClient&) = default;
};

struct LearnedHost {
  TlsClient client;
  std::string host;
  MonoTime until;
};

class Passthrough {
 public:
  static constexpr int kRefusals = 3;
  static constexpr std::chrono::minutes kWindow{10};
  static constexpr std::chrono::hours kHolds{1};
  static constexpr std::size_t kMostEntries = 4096;  // of each kind; some 1 MB in all

  explicit Passthrough(bool learns) : learns_(learns) {}

  bool has_learned(const TlsClient& client, const std::string& host, MonoTime now) const;

  // --- what came of interceptions; `host` is the name on our certificate ---
  void shook_hands(const TlsClient& client, const std::string& host, MonoTime now);
  void served(const TlsClient& client, const std::string& host);  // a request came
  // Ended by the client before a request came; is_refusal() says whether that counts. True: just learned.
  bool refused(const TlsClient& client, const std::string& host, MonoTime now);

  std::vector<LearnedHost> learned(MonoTime now) const;
  // For every client. How many there were.
  std::size_t forget(std::string_view host);

 private:
  struct Key {
    TlsClient client;
    std::string host;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  bool knows_the_ca(const TlsClient& client, const std::string& host) const;

  struct Trust {
    std::vector<std::string> hosts;  // the first two: enough to know "another"
    MonoTime seen;
  };

  const bool learns_;
  mutable std::mutex mutex_;
  std::map<TlsClient, Trust> trusting_;
  std::map<Key, std::vector<MonoTime>> refusals_;  // in order
  std::map<Key, MonoTime> learned_;                // until when
};

// Whether this end of a handshake means that the client refused our certificate itself.
bool is_refusal(const tls::HandshakeFailure& failure);

}  // namespace sluice::proxy
