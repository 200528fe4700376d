// The ring's memory: raw heads, small facts and where bodies lie, for each exchange; and the orders in which they are
// listed. Knows no threads: the Ring locks around it. Private to this folder.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture/capture.h"
#include "capture/needle.h"
#include "capture/records.h"
#include "capture/spool.h"

namespace sluice::capture {

struct StoredBody {
  ByteCount size = 0;    // octets that passed, as far as is known
  ByteCount stored = 0;  // octets in the extents
  bool ended = false;
  std::vector<Extent> extents;  // a beginning of the body, in order; segments ascend

  bool gone(std::uint32_t first_segment) const { return !extents.empty() && extents.front().segment < first_segment; }
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

struct Entry {
  Uuid uuid{};
  std::uint64_t seq = 0, rev = 0, ticket = 0;  // rev 0: not published yet
  flow::State state = flow::State::kOpen;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  int status = 0;
  http::AnomalySet anomalies = 0;
  std::uint32_t matched_rule = 0;
  flow::Timings timings;
  std::string opened, responded;  // payloads, parsed when somebody reads
  std::string request_effective, request_trailers, response_trailers;
  flow::ConnectionPtr connection;
  flow::UpstreamPtr upstream;
  std::unique_ptr<flow::Failure> failure;
  std::vector<std::uint32_t> rule_ids;
  StoredBody request, response;
  std::unique_ptr<MessageRuns> messages;  // null as long as there are none
  ByteCount charged = 0;                  // of the budget, with the two below, which several entries may share
  const void* charged_connection = nullptr;
  const void* charged_upstream = nullptr;

  // --- the pump's own ---
  struct Intake {
    ByteCount accepted = 0;
    bool cut = false;  // the rest is counted only
  };
  Intake request_intake, response_intake;
  bool dirty = false;
  std::unique_ptr<EndedParts> ending;  // arrived, becomes visible with its rev
};

class RingIndex {
 public:
  explicit RingIndex(Spool& spool) : spool_(spool) {}

  Entry& insert(std::unique_ptr<Entry> entry);
  void append(StoredBody& body, const Extent& extent);
  // A message: where it was written, if it was.
  void append_message(Entry& entry, const std::optional<Extent>& extent);
  // A new rev; in its place in the lists; memory counted again.
  void publish(Entry& entry);
  // Ended ones, oldest first, until both bounds hold; then open ones, oldest first (`on_open` before each goes).
  std::size_t evict(std::size_t most_exchanges, ByteCount most_memory, const std::function<void(Entry&)>& on_open);
  std::size_t clear();

  const Entry* find(const Uuid& uuid) const;
  // Published entries that pass the filter, in the order of Ring::list.
  std::vector<const Entry*> select(const Filter& filter) const;
  std::size_t ended() const { return ended_.size(); }
  std::uint64_t last_rev() const { return last_rev_; }
  ByteCount memory() const { return memory_; }

 private:
  struct UuidHash {
    std::size_t operator()(const Uuid& uuid) const noexcept;
  };
  struct Shared {
    std::size_t users = 0;
    ByteCount cost = 0;
  };
  static bool join(Extent& last, const Extent& extent);
  void charge(Entry& entry);
  void charge_shared(const void*& charged, const void* object, ByteCount cost);
  void uncharge_shared(const void* object);
  void remove(Entry& entry);

  Spool& spool_;
  std::unordered_map<Uuid, std::unique_ptr<Entry>, UuidHash> by_id_;
  std::deque<Entry*> ended_;              // order of completion = order of rev
  std::map<std::uint64_t, Entry*> open_;  // published, by seq
  std::unordered_map<const void*, Shared> shared_;
  std::uint64_t last_rev_ = 0;
  ByteCount memory_ = 0;
};

// Who passes a Filter. Prepared once, asked often. Not thread-safe.
class FilterMatcher {
 public:
  explicit FilterMatcher(const Filter& filter);
  bool passes(const Entry& entry);

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
