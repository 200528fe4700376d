// The pump's work: records from a queue find their exchanges, go to the spool and, under the index's lock, into the
// index; publish() gives what changed its place in the lists. Belongs to the pump. Private to this folder.
#pragma once

#include <mutex>
#include <vector>

#include "capture/ring_index.h"
#include "capture/tap.h"
#include "capture/worker_sink.h"

namespace sluice::capture {

class Intake {
 public:
  Intake(const CaptureLimits& limits, const Clock& clock, Entropy& entropy, Spool& spool, RingIndex& index,
         std::mutex& index_mutex);

  // Handed all that is taken from now on; may be null. The caller's until another is set.
  void set_tap(Tap* tap) { tap_ = tap; }
  void end_round() {
    if (tap_) tap_->on_round_done();
  }

  // Takes the records of one worker, as far as they were there when it was called.
  std::size_t drain(WorkerSink& sink);
  // Bodies that the disk refused end where it did.
  void handle_loss(MonoTime now);
  // Gives new revisions: ended exchanges with a ticket below `tickets` in that order, then open ones by seq. The
  // others wait for the next time, when those that ended before them are surely here. How many were published.
  std::size_t publish(std::uint64_t tickets);

  std::uint64_t bodies_cut() const { return bodies_cut_; }  // these three with the index's lock held
  ByteCount bytes_cut() const { return bytes_cut_; }
  std::uint64_t evicted() const { return evicted_; }

 private:
  // Gives references to chunks back. They come in rows: one atomic operation for each row.
  class Freer {
   public:
    explicit Freer(WorkerSink& sink) : sink_(sink) {}
    ~Freer() { give_back(); }
    Freer(const Freer&) = delete;
    Freer& operator=(const Freer&) = delete;
    void free(QueuedRecord& record);

   private:
    void give_back();
    WorkerSink& sink_;
    flow::Chunk* chunk_ = nullptr;
    std::uint32_t references_ = 0;
  };

  std::uint64_t take_some(RecordQueue& queue, std::uint64_t until, Freer& freer);
  void take(QueuedRecord& record);
  void hand_on(const QueuedRecord& record);
  void take_opened(QueuedRecord& record);
  void take_responded(Entry& entry, QueuedRecord& record);
  void take_message(Entry& entry, const QueuedRecord& record);
  void take_ended(Entry& entry, const QueuedRecord& record);
  std::uint64_t take_body(RecordQueue& queue, std::uint64_t at, std::uint64_t until, Freer& freer);
  void store_body(Entry& entry, RecordType type, ByteCount passed, ByteCount kept);
  std::optional<Extent> write(RecordType type, std::uint64_t subject, Bytes payload);
  template <class Use, class Format>
  void mention(RecordType type, std::uint64_t id, Use& use, Format format);
  void apply_ending(Entry& entry);
  void note_cut(Entry& entry, StoredBody& body, ByteCount octets);
  void mark_changed(Entry& entry);
  const Uuid& random_octets();

  const CaptureLimits& limits_;
  const Clock& clock_;
  Entropy& entropy_;
  Spool& spool_;
  RingIndex& index_;
  std::mutex& index_mutex_;

  bool ready_ = false;  // the spool is, for what is being taken
  std::vector<QueuedRecord> late_;
  std::vector<Bytes> pieces_, handed_;
  Tap* tap_ = nullptr;
  std::vector<Entry*> ended_, changed_;  // to be published
  std::array<Uuid, 256> random_;         // in stock
  std::size_t next_random_ = 256;
  std::uint64_t bodies_cut_ = 0, evicted_ = 0;
  ByteCount bytes_cut_ = 0;
};

}  // namespace sluice::capture
