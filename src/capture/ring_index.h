// The ring's memory: raw heads, small facts and where bodies lie, for each exchange; and the orders in which they are
// listed. Knows no threads: the Ring locks around it. Private to this folder.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/capture.h"
#include "capture/extents.h"
#include "capture/kept_records.h"
#include "capture/needle.h"
#include "capture/records.h"
#include "capture/shared_facts.h"

namespace sluice::capture {

// Content stands in the order begin | extents | what was cut. An HTTP body has no gaps and `begin` is 0: kept is a
// beginning of it. Of a socket's messages old ones are forgotten, and some may be missing in between.
struct StoredBody {
  ByteCount size = 0;    // octets that passed, as far as is known
  ByteCount begin = 0;   // octets before the extents, forgotten with their segments
  ByteCount stored = 0;  // octets in the extents
  ByteCount gaps = 0;    // octets missing between them
  ExtentList extents;    // in order; segments ascend
  bool ended = false;
  bool cut = false;      // the rest is counted only
  bool counted = false;  // among the bodies that were cut

  bool gone(std::uint32_t first_segment) const {
    return begin > 0 ||
           (!extents.empty() && !extents.view().front().is_gap() && extents.view().front().segment < first_segment);
  }
};

// WebSocket messages lie in the segments alone; what is here says where.
struct MessageRun {
  Extent extent;
  std::uint64_t first = 0;  // number of its first message
  std::uint32_t count = 0;
};
struct MessageRuns {
  std::uint64_t total = 0;
  std::vector<MessageRun> runs;  // in order; a number that is in none was never written
};

using Connections = SharedFacts<flow::Connection>;
using Upstreams = SharedFacts<flow::Upstream>;

struct Entry {
  Uuid uuid{};
  std::uint64_t seq = 0, rev = 0, ticket = 0;  // rev 0: not published yet
  KeptRecords records;                         // but for bodies and messages; kEnded counts once `state` says so
  Connections::Use* connection = nullptr;
  Upstreams::Use* upstream = nullptr;
  StoredBody request, response;
  std::unique_ptr<MessageRuns> messages;  // null as long as there are none
  http::AnomalySet anomalies = 0;
  std::uint32_t charged = 0;        // of the budget
  std::uint32_t slot = 0;           // in the index's blocks
  std::uint32_t place_in_open = 0;  // published open ones
  std::uint16_t status = 0;
  flow::State state = flow::State::kOpen;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  bool dirty = false;   // the pump's: will be published
  bool ending = false;  // the pump's: its end is here, becomes visible with its rev
};

class FilterMatcher;

class RingIndex {
 public:
  // --- the pump ---
  // `random` becomes the UUID but for a few bits. `own`: Sluice itself is the client.
  Entry& insert(std::uint64_t seq, const Uuid& random, bool own = false);
  Entry* find_open(std::uint64_t seq);  // whose end has not been here; nullptr: unknown
  void close(Entry& entry) { by_seq_.erase(entry.seq); }
  void set_connection(Entry& entry, flow::ConnectionPtr connection);
  void set_upstream(Entry& entry, flow::UpstreamPtr upstream);
  void append(StoredBody& body, const Extent& extent);
  // All that passed so far and is not stored is a gap; what comes is stored again. Extents below `first_segment` are
  // forgotten. How long the gap is.
  ByteCount end_cut(StoredBody& body, std::uint32_t first_segment);
  // A message: where it was written, if it was. Runs below `first_segment` are forgotten.
  void append_message(Entry& entry, const std::optional<Extent>& extent, std::uint32_t first_segment);
  // A new rev; in its place in the lists; memory counted again.
  void publish(Entry& entry);
  // Ended ones, oldest first, until both bounds hold; then open ones, oldest first (`on_open` before each goes).
  std::size_t evict(std::size_t most_exchanges, ByteCount most_memory, const std::function<void(Entry&)>& on_open);
  // What the spool does not have after all: the octets of a segment from `offset` on. `on_cut` for each body that has
  // some there, with how many it loses.
  using OnCut = std::function<void(Entry&, StoredBody&, ByteCount octets)>;
  void forget(std::uint32_t segment, ByteCount offset, const OnCut& on_cut);
  // Nothing in segments below is wanted.
  std::uint32_t first_wanted_segment();

  // --- readers ---
  std::size_t clear();
  const Entry* find(const Uuid& uuid) const;
  const Entry* find_ended(std::uint64_t seq) const;  // newest first
  // Published entries that pass the filter, in the order of Ring::list.
  std::vector<const Entry*> select(const Filter& filter) const;
  // The last `most` of those that a filter with after_rev selects, newest first; older ones are not looked at.
  std::vector<const Entry*> newest(const Filter& filter, std::size_t most) const;
  std::size_t ended() const { return ended_.size(); }
  std::uint64_t last_rev() const { return last_rev_; }
  ByteCount memory() const { return memory_ + connections_.memory() + upstreams_.memory(); }

 private:
  static constexpr std::size_t kBlock = 64;
  struct EndedRange {
    std::deque<Entry*>::const_iterator begin, end;
  };
  EndedRange ended_between(const Filter& filter) const;  // by revision
  std::vector<const Entry*> open_between(const Filter& filter, FilterMatcher& matcher) const;
  static bool join(Extent& last, const Extent& extent);
  static std::uint32_t last_segment(const StoredBody& body);
  void charge(Entry& entry);
  void remove(Entry& entry);
  void remove_from_open(Entry& entry);
  void want(std::uint32_t segment);
  void unwant(std::uint32_t segment) { --wants_[segment - first_want_]; }
  void forget_old(StoredBody& body, std::uint32_t first_segment);
  ByteCount forget(StoredBody& body, std::uint32_t segment, ByteCount offset);
  void forget(std::vector<MessageRun>& runs, std::uint32_t segment, ByteCount offset);

  std::vector<std::unique_ptr<std::array<Entry, kBlock>>> blocks_;
  std::vector<Entry*> free_;
  FlatMap<Entry*> by_seq_;    // whose end has not been here
  std::deque<Entry*> ended_;  // order of completion = order of rev
  std::vector<Entry*> open_;  // published, in no order
  Connections connections_;
  Upstreams upstreams_;
  std::vector<std::uint32_t> wants_;  // bodies and runs of messages in each segment from first_want_ on
  std::uint32_t first_want_ = 1;
  std::uint64_t last_rev_ = 0;
  ByteCount memory_ = 0;
};

// Who passes a Filter. Prepared once, asked often. Not thread-safe.
class FilterMatcher {
 public:
  explicit FilterMatcher(const Filter& filter);
  bool passes(const Entry& entry);
  bool passes_all_ended() const;  // without a look at them

 private:
  const Filter& filter_;
  unsigned states_;  // a bit each
  bool reads_opened_;
  Needle url_needle_, host_needle_;
  std::string url_;
};

flow::Exchange make_exchange(const Entry& entry, std::uint32_t first_segment);
// The head that the client got.
Bytes shown_response_head(const Entry& entry);

}  // namespace sluice::capture
