// The record of one exchange: one request with its response, and everything that was seen around it. What a reader of
// the ring or of a session gets. Values; free of threads. `engine.md` 5.
//
// Raw heads are kept as they stood on the wire; parse_fields() makes lists of them when somebody reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "http/message.h"
#include "tls/session.h"

namespace sluice::flow {

enum class State : std::uint8_t { kOpen, kDone, kFailed, kAborted, kDropped };
enum class Direction : std::uint8_t { kRequest, kResponse };
enum class Source : std::uint8_t { kExplicit, kTransparent, kInternal };  // kInternal: replays, probes
enum class Protocol : std::uint8_t { kHttp1, kHttp2, kWebSocket, kTcp, kTls };
// Where an exchange was when something went wrong.
enum class Phase : std::uint8_t {
  kClientTls,
  kRequestHead,
  kRequestBody,
  kRule,
  kResolve,
  kConnect,
  kUpstreamTls,
  kSend,
  kFirstByte,
  kResponseHead,
  kResponseBody,
  kTunnel
};
std::string_view to_string(State state);  // "open", "done", …
std::string_view to_string(Direction direction);
std::string_view to_string(Source source);
std::string_view to_string(Protocol protocol);  // "http/1.1", "h2", "websocket", "tcp", "tls"
std::string_view to_string(Phase phase);        // "client_tls", "first_byte", …

// The program at the other end of a local client connection.
struct Process {
  int pid = 0;
  std::string name;
};

// Set once, when it becomes known; copies share it. Thread-safe. No std::atomic<std::shared_ptr>: that of libstdc++ 12
// lets go of a load's lock without release, so that a store on another thread races with it.
class ProcessSlot {
 public:
  // Null: not known (yet). Valid as long as a copy of this slot.
  const Process* load() const { return slot_->process.load(std::memory_order_acquire); }
  // What is known first stays.
  void store(Process process) const {
    auto made = std::make_unique<const Process>(std::move(process));
    const Process* nobody = nullptr;
    if (slot_->process.compare_exchange_strong(nobody, made.get(), std::memory_order_acq_rel)) (void)made.release();
  }

 private:
  struct Slot {
    Slot() = default;
    ~Slot() { delete process.load(std::memory_order_acquire); }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    std::atomic<const Process*> process{nullptr};
  };
  std::shared_ptr<Slot> slot_ = std::make_shared<Slot>();
};

// What a TLS connection was, on the client's side and on the origin's. Equal ones may be one object: a client makes
// many connections that are alike.
struct ClientTls {
  std::string sni;
  std::vector<std::string> alpn_offered;
  std::string protocol, cipher, alpn;  // as negotiated; empty if the handshake failed
  bool resumed = false;
  std::string ja3, ja3_text, ja4, ja4_raw;
  bool operator==(const ClientTls&) const = default;
};

// A client connection. Immutable once published, save `process`, which is set once when it becomes known.
struct Connection {
  ConnectionId id;
  Source source = Source::kExplicit;
  std::string client_address;
  std::uint16_t client_port = 0;
  std::string listener_address;
  std::uint16_t listener_port = 0;
  std::string destination;  // CONNECT, SOCKS or original destination, "host:port"; empty if none
  WallTime accepted;
  std::shared_ptr<const ClientTls> tls;  // null: none
  std::string http2;                     // the client's HTTP/2 print (fingerprint::http2), as text; empty for HTTP/1
  ProcessSlot process;
};
using ConnectionPtr = std::shared_ptr<const Connection>;

struct ServerTls {
  std::string protocol, cipher, alpn, ja3s, ja3s_text, server_name;
  bool resumed = false, verified = false;
  std::string verdict;
  tls::CertificateChain chain;
  bool operator==(const ServerTls&) const = default;
};

// A connection towards an origin. Immutable once published.
struct Upstream {
  std::uint64_t id = 0;
  std::string address;  // the IP address really dialled
  std::uint16_t port = 0;
  std::string proxy;  // the upstream proxy that leads to the origin, redacted; empty: none. The address is its own
  std::shared_ptr<const ServerTls> tls;  // null: none
};
using UpstreamPtr = std::shared_ptr<const Upstream>;

// Microseconds from the start of the exchange (first byte of the request) to the end of each step; -1: did not happen.
struct Timings {
  std::int64_t request_head = -1, request_end = -1;
  std::int64_t resolved = -1, connected = -1, upstream_tls = -1;  // only for the exchange that dialled
  std::int64_t sent = -1, first_byte = -1, response_head = -1, end = -1;
};

struct Failure {
  std::string code;  // "connect_refused", "certificate", "timeout", "client_aborted", …
  Phase phase = Phase::kRequestHead;
  std::string message;  // one sentence
};

// What is known of a body. Sizes are of the content (transfer coding removed, content codings not).
struct BodyInfo {
  ByteCount size = 0;    // octets that passed
  ByteCount stored = 0;  // octets that can be read back
  bool complete = true;  // all that passed is stored
  bool ended = false;    // the message came to its end
};

struct Message {
  std::string head;       // raw, as it came: start line, fields, empty line
  std::string effective;  // raw, as it was sent on; empty if that is the same but for what engine.md 1 names
  std::string trailers;   // raw
  BodyInfo body;
};

struct Exchange {
  std::string id;  // UUID
  ExchangeSeq seq;
  std::uint64_t rev = 0;
  State state = State::kOpen;
  Protocol protocol = Protocol::kHttp1;
  WallTime started;
  std::string method, scheme, host, target;  // of the original request; host without brackets, target = path and query
  std::uint16_t port = 0;
  int status = 0;  // as sent to the client; 0: no answer
  Message request, response;
  ConnectionPtr connection;  // may be null (replays, imports)
  UpstreamPtr upstream;      // null: never left Sluice
  bool upstream_reused = false;
  Timings timings;
  std::optional<Failure> failure;
  http::AnomalySet anomalies = 0;
  std::vector<std::uint32_t> rule_ids;  // all that applied, in order; N of rule_N
  std::uint32_t matched_rule = 0;       // the one that stopped; 0: none
};

std::string url_of(const Exchange& exchange);
// The same from its parts, appended: for those who look at many without making an Exchange of each.
void append_url(std::string& out, std::string_view scheme, std::string_view host, std::uint16_t port,
                std::string_view target);
// The fields of a raw head (or trailer section), forgiving: what cannot be a field is skipped.
http::FieldList parse_fields(Bytes raw_head);
// The value of the first one of that name, without making a list.
std::optional<std::string> find_field(Bytes raw_head, std::string_view name);
// "Not Found" from a raw response head.
std::string_view reason_of(Bytes raw_head);

}  // namespace sluice::flow
