// The pump's work on one batch: records from a queue find their exchanges, are written to the spool in one go, and only
// then, under the index's lock, become visible. Belongs to the pump. Private to this folder.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "capture/ring_index.h"
#include "capture/worker_sink.h"

namespace sluice::capture {

class Intake {
 public:
  Intake(const CaptureLimits& limits, const Clock& clock, Entropy& entropy, Spool& spool, RingIndex& index,
         std::mutex& index_mutex);

  // Takes the records of one worker, as far as they were there when it was called.
  std::size_t drain(WorkerSink& sink);
  // Gives new revisions: ended exchanges with a ticket below `tickets` in that order, then open ones by seq. The
  // others wait for the next time, when those that ended before them are surely here. How many were published.
  std::size_t publish(std::uint64_t tickets);

  std::uint64_t bodies_cut() const { return bodies_cut_; }  // these three with the index's lock held
  ByteCount bytes_cut() const { return bytes_cut_; }
  std::uint64_t evicted() const { return evicted_; }

 private:
  struct Item {
    QueuedRecord record;
    Entry* entry = nullptr;          // of which exchange; nullptr: of none that is known
    std::unique_ptr<Entry> created;  // kOpened
    ByteCount passed = 0;            // bodies: octets that the item stands for; later pieces of a run have none
    std::optional<Extent> extent;    // where they went; absent: cut
  };

  void process();
  void find_entry(Item& item);
  void write_all();
  std::size_t write_body_run(std::size_t first);
  void write_head(Item& item);
  void apply(Item& item);
  void apply_opened(Item& item);
  void apply_body(Item& item);
  void apply_ending(Entry& entry);
  void note_cut(Entry& entry, Entry::Intake& intake, ByteCount octets);
  void mark_dirty(Entry& entry);
  void free_payloads(WorkerSink& sink);
  Uuid make_uuid();

  const CaptureLimits& limits_;
  const Clock& clock_;
  Entropy& entropy_;
  Spool& spool_;
  RingIndex& index_;
  std::mutex& index_mutex_;

  std::unordered_map<std::uint64_t, Entry*> open_;  // by seq
  std::vector<Item> batch_;
  std::vector<QueuedRecord> late_;
  std::vector<Bytes> pieces_;
  std::vector<Entry*> dirty_;
  std::vector<Uuid> uuids_;  // random octets in stock
  std::uint64_t bodies_cut_ = 0, evicted_ = 0;
  ByteCount bytes_cut_ = 0;
};

}  // namespace sluice::capture
