// Capture watches and never delays: it implements flow::Sink for each worker, moves records over bounded queues to its
// own thread of work, and keeps the ring, an unnamed session: heads and index in memory, bodies in append-only
// segments under `<home>/spool/<pid>-<id>/`, oldest segment dropped at the budget. engine.md 5;
// docs/formats/segment.md.
//
//   Ring ring(options, files, clock, entropy);  ring.open();
//   flow::Sink& sink = ring.sink(worker);        // one per worker, made before traffic starts
//   ring.pump();                                 // on the capture thread, every CaptureLimits::flush
//   ring.write_until_stopped();                  // on the disk's thread
//   ring.sync();                                 // readers: what was emitted before this call is visible after it
//
// Thread-safety: a Sink belongs to its worker; all else may be called from any thread (pumps wait for each other). What
// is stored is what was on the wire; decoding and masking happen at reading. Held octets (flow::Held) must be gone
// before the Ring is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/result.h"
#include "flow/sink.h"

namespace sluice::capture {

// What proxy_list_traffic filters by; empty members do not filter. AND-combined.
struct Filter {
  std::string method;         // any case
  std::string url_contains;   // any case
  std::string host_contains;  // any case
  std::optional<int> status;
  std::optional<flow::Source> source;
  std::vector<flow::State> states;          // empty: ended ones (done, failed, aborted, dropped)
  std::optional<std::uint64_t> after_rev;   // records of every state (unless `states` narrows) with a greater rev
  std::optional<std::uint64_t> before_rev;  // records with a smaller rev: for pages from the newest back
  // Asked of each record's host; empty: all pass. Called with the ring locked: be quick, call nothing of it.
  std::function<bool(std::string_view host, std::uint16_t port)> host_passes;
  // Changes a URL that holds `url_contains` to what is shown of it, which must hold it too: who is not shown a secret
  // shall not find it by asking for one letter more. Called with the ring locked: be quick, call nothing of it. Empty:
  // the URL as it was.
  std::function<void(std::string& url)> mask_url;
};

struct Page {
  std::size_t total = 0;                  // after filters
  std::size_t offset = 0;                 // as clamped
  std::uint64_t last_rev = 0;             // the process-wide rev when the page was made: the next after_rev
  std::vector<flow::Exchange> exchanges;  // completion order; with after_rev: rev order
};

struct BodySlice {
  std::string octets;
  ByteCount offset = 0;
  ByteCount stored = 0;  // readable in all
  ByteCount size = 0;    // that passed
  bool complete = true;  // stored == size
};

// One WebSocket message or control frame (flow::MessageSeen).
struct Message {
  std::uint64_t number = 0;  // from 0, both directions together, in the order of their ends
  flow::Direction direction = flow::Direction::kRequest;
  std::uint8_t opcode = 0;                   // RFC 6455 §11.8
  bool compressed = false, complete = true;  // RSV1; it came to its end
  ByteCount offset = 0, length = 0;          // of a data message's payload in the body of its direction
  ByteCount stored = 0;                      // octets of the payload that can be read
  WallTime at;                               // of its end
  std::string octets;                        // a beginning of the payload, as compressed as it was
};

struct MessagePage {
  std::uint64_t total = 0;        // seen so far
  std::uint64_t offset = 0;       // as clamped
  std::vector<Message> messages;  // those in [offset, offset + limit) that are still in the spool
};

struct Counters {
  std::uint64_t exchanges = 0;   // ever opened
  std::uint64_t bodies_cut = 0;  // bodies not stored whole
  ByteCount bytes_cut = 0;
  std::uint64_t records_lost = 0;  // a queue was full
  std::uint64_t evicted = 0;       // exchanges that left the ring
  ByteCount spool_bytes = 0, memory_bytes = 0;
  ByteCount unwritten_bytes = 0;  // memory that waits for the disk
  std::uint64_t write_errors = 0;
  std::string last_error;
};

// What is cheap to look at without making an Exchange: views that live as long as the visit.
struct Glance {
  Bytes raw_id;
  std::uint64_t rev = 0;
  flow::State state = flow::State::kOpen;
  http::AnomalySet anomalies = 0;
  std::string_view url, host;
  const flow::ClientTls* client_tls = nullptr;  // null: no TLS of the client's is known
  Bytes request_head, response_head;            // as the client sent and got them; raw
  Bytes request_trailers, response_trailers;
  ByteCount request_stored = 0, response_stored = 0;
  std::string id() const;
};

// Removes what processes that are gone left under `spool_root` (`<home>/spool`): directories whose lock nobody holds.
// How many.
std::size_t remove_stale_spools(FileSystem& files, const std::string& spool_root);

// Where bodies and messages of exchanges are read from, by exchange id: the ring, or a recording. Thread-safe.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Content as it was on the wire, [offset, offset + limit). kNotFound: no such exchange, or its segment is gone.
  virtual Result<BodySlice> read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                                      ByteCount limit) const = 0;
  // WebSocket messages, oldest first; a negative offset counts from the end. Of each payload at most `payload` octets;
  // the rest through read_body(). None are held in memory: those whose segment is gone are left out. kNotFound: no such
  // exchange.
  virtual Result<MessagePage> messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                       ByteCount payload) const = 0;
};

class Tap;  // tap.h

class Ring final : public BodySource {
 public:
  struct Options {
    CaptureLimits limits;
    std::string spool_directory;  // `<home>/spool/<pid>-<id>`; made by open(), removed by the destructor
    std::size_t workers = 1;
    std::size_t queue = 16'384;  // records that wait, for each worker (56 octets each); a small exchange is four
  };
  Ring(Options options, FileSystem& files, const Clock& clock, Entropy& entropy);
  ~Ring() override;
  Status open();  // before it no body is kept

  flow::Sink& sink(std::size_t worker);

  // Drains the queues, writes segments, publishes revisions, evicts. Returns how many records were handled.
  std::size_t pump();
  // How long the capture thread may pause now: CaptureLimits::flush, or less while much is in flight.
  std::chrono::milliseconds pause() const;
  // The capture thread's pause between two pumps: returns after `at_most`, or at once when a reader wants to see the
  // newest. Never woken by traffic.
  void wait(std::chrono::milliseconds at_most);
  // Blocks (bounded, 2 s) until a pump has taken in everything emitted before; pumps itself if no thread does.
  void sync();
  // False while only sync() and tests pump.
  void set_pump_thread(bool running);
  // The disk's thread, so that a disk that does not answer holds up nothing but bodies, which are cut: writes what the
  // pump formed, until set_disk_thread(false). Say true before it starts; without it pump() writes.
  void write_until_stopped();
  void set_disk_thread(bool running);

  Page list(const Filter& filter, std::int64_t offset,
            std::size_t limit) const;  // a negative offset counts from the end
  // At most `limit`, newest first by revision; what is older costs nothing. The filter has after_rev.
  std::vector<flow::Exchange> newest(const Filter& filter, std::size_t limit) const;
  std::optional<flow::Exchange> find(std::string_view id) const;
  // The id of an exchange that has ended; "" if it is not there (any more).
  std::string id_of(ExchangeSeq seq) const;
  Result<BodySlice> read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                              ByteCount limit) const override;
  Result<MessagePage> messages(std::string_view id, std::int64_t offset, std::size_t limit,
                               ByteCount payload) const override;
  // Oldest first; return false to stop. A consistent snapshot of ids; entries evicted meanwhile are skipped.
  void for_each(const Filter& filter, const std::function<bool(const flow::Exchange&)>& visit) const;
  // The same order without copies, for searches. The ring is locked meanwhile: be quick, call nothing of it.
  // `wanted` is asked of each one's revision first, in that order; empty: all are.
  void glance(const Filter& filter, const std::function<bool(const Glance&)>& visit,
              const std::function<bool(std::uint64_t rev)>& wanted = {}) const;

  std::size_t size() const;  // ended exchanges in the ring
  std::size_t clear();       // forgets ended exchanges; open ones stay; how many were forgotten
  std::uint64_t last_rev() const;
  Counters counters() const;

  // From the next pump on `tap` is handed all that is taken in; nullptr: nobody is. The one before is not called any
  // more once this returns.
  void hand_to(Tap* tap);

  // Called from the pump after new revisions were published, at most once for each pump. Set before traffic starts.
  void on_change(std::function<void()> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::capture
