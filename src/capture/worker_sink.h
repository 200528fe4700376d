// The Sink of one worker: payloads go into chunks (content that was read into the read space stays where it is), small
// records into the queue. What finds no room is cut and counted; the end of an exchange always arrives.
// The Sink's methods belong to the worker, take_late() and the counters to anyone. Private to this folder.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "capture/chunk_cursor.h"
#include "capture/record_queue.h"
#include "capture/records.h"
#include "flow/sink.h"

namespace sluice::capture {

// What all workers count together.
struct SharedCounters {
  std::atomic<std::uint64_t> opened{0};   // the last seq
  std::atomic<std::uint64_t> tickets{0};  // ended exchanges, in order
};

class WorkerSink final : public flow::Sink {
 public:
  WorkerSink(ChunkPool& pool, SharedCounters& shared, std::size_t queue_capacity);
  ~WorkerSink() override;

  MutableBytes read_space(std::size_t want) override;
  flow::Held hold(Bytes octets) override;
  ExchangeSeq opened(const flow::Opened& opened) override;
  void request_sent(ExchangeSeq seq, Bytes effective_head) override;
  void responded(ExchangeSeq seq, const flow::Responded& responded) override;
  void body(ExchangeSeq seq, flow::Direction direction, Bytes content) override;
  void trailers(ExchangeSeq seq, flow::Direction direction, Bytes raw) override;
  void message(ExchangeSeq seq, const flow::MessageSeen& message) override;
  void ended(ExchangeSeq seq, const flow::Ended& ended) override;

  // --- the capture thread ---
  RecordQueue& queue() { return queue_; }
  // The ends that found no room in the queue. Take them before reading the queue's tail: what precedes them is then
  // before that tail.
  void take_late(std::vector<QueuedRecord>& out);
  // A heap copy was freed.
  void freed_on_heap(std::size_t octets) { heap_.fetch_sub(octets, std::memory_order_relaxed); }
  std::uint64_t records_lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  // How many entries must be left for a record of each kind: bodies give way first, then messages, ends last. A
  // socket's content that was cut goes on once half of the queue is free: gaps are few and long, since each is kept.
  std::size_t after_gap_reserve() const { return queue_.capacity() / 2; }
  std::size_t body_reserve() const { return queue_.capacity() / 4; }
  std::size_t message_reserve() const { return queue_.capacity() / 16 * 3; }
  std::size_t opened_reserve() const { return queue_.capacity() / 8; }
  std::size_t head_reserve() const { return queue_.capacity() / 16; }

  // What the records of open exchanges lack.
  struct Lacks {
    Cuts cuts;
    bool after_a_gap = false;  // of a socket's content: nothing was handed over since
  };
  using LeftOut = std::unordered_map<std::uint64_t, Lacks>;

  // The next slot of the queue, with room for a payload at `at`. nullptr: there is none; counted as lost.
  QueuedRecord* begin_record(RecordType type, ExchangeSeq seq, std::size_t size, std::size_t reserve, char*& at);
  // Room for a payload that is not in the read space: in the copy chunk, else on the heap. nullptr: neither.
  char* make_payload(QueuedRecord& record, std::size_t size, bool must);
  void push_octets(RecordType type, ExchangeSeq seq, Bytes octets);
  bool in_space(Bytes content) const;
  bool is_cut(ExchangeSeq seq, flow::Direction direction) const;
  void cut(ExchangeSeq seq, flow::Direction direction, ByteCount octets);
  ByteCount end_cut(ExchangeSeq seq, flow::Direction direction);
  bool goes_on(ExchangeSeq seq);
  void forget_if_whole(LeftOut::iterator of);
  void push_body(RecordType type, ExchangeSeq seq, flow::Chunk* chunk, Bytes content);
  void count_lost() { lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

  ChunkPool& pool_;
  SharedCounters& shared_;
  RecordQueue queue_;
  ChunkCursor read_, copy_;
  MutableBytes space_;  // handed out last; empty if it was scratch
  std::unique_ptr<char[]> scratch_;
  LeftOut cuts_;                      // empty as long as all is well
  std::atomic<std::size_t> heap_{0};  // octets of heap copies in the queue
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> has_late_{false};
  std::mutex late_mutex_;  // only when even the ends find no room
  std::deque<QueuedRecord> late_;
};

}  // namespace sluice::capture
