// The ring's segments. The pump forms records into chunks, in memory alone; a thread of the disk's own writes a chunk
// when it is full, so that a disk that does not answer holds up nothing: once too many chunks wait for it, records
// find no room, which costs bodies and never traffic. What is not written yet is read from memory. The oldest segments
// go at the budget or when nothing in them is wanted any more. After an error the segment is left and another tried a
// second later. Private to this folder.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/entropy.h"
#include "capture/chunk_pool.h"
#include "capture/segment.h"

namespace sluice::capture {

// A run of records of which some belong to one body: all the octets [offset, offset + span) of a segment. Or a gap:
// octets of the body that are nowhere.
struct Extent {
  std::uint32_t segment = 0, offset = 0, span = 0;
  std::uint32_t content = 0;  // octets of that body in it
  bool is_gap() const { return segment == 0; }
};

class Spool {
 public:
  Spool(FileSystem& files, Entropy& entropy, ChunkPool& pool, std::string directory, ByteCount budget);
  ~Spool();  // removes the directory
  // Makes the directory, under a name that only appears with its lock held (see remove_stale_spools).
  Status open();

  // --- the pump ---
  // There is a segment to add to. False after an error, until a second has passed.
  bool ready(MonoTime now, WallTime wall);
  // How long a payload may be, up to `wanted`, that add() would take now.
  std::size_t room(std::size_t wanted);
  // nullopt: no room, or no segment. The pieces are copied.
  std::optional<Extent> add(RecordType type, std::uint64_t subject, std::span<const Bytes> pieces);
  std::uint32_t segment() const { return building_.number; }  // that records are added to
  // Segments below `first_wanted` go, and the oldest as long as there are too many octets.
  void drop_old(std::uint32_t first_wanted);
  // What the disk refused: the octets of a segment from `offset` on will never be there. Once for each loss.
  struct Loss {
    std::uint32_t segment = 0;
    ByteCount offset = 0;
  };
  std::optional<Loss> take_loss(MonoTime now);

  // --- the disk's thread ---
  void write_until_stopped();  // by set_threaded(false)

  // --- any thread ---
  // False: the pump's thread does the disk's work, at once.
  void set_threaded(bool threaded);
  // What was cleared shall not stay in the open segment.
  void rotate_soon() { rotate_.store(true, std::memory_order_relaxed); }
  // Segments below are gone.
  std::uint32_t first_segment() const;
  // The payloads of the run that are of this type and subject, in order. kNotFound: the segment is gone; kIo: it
  // cannot be read or is damaged, which may show after some were visited.
  Status read(const Extent& extent, RecordType type, std::uint64_t subject,
              const std::function<void(Bytes payload)>& visit) const;
  ByteCount bytes() const;                                                           // on disk and on the way to it
  std::size_t chunks_held() const { return held_.load(std::memory_order_relaxed); }  // on the way
  std::uint64_t write_errors() const;
  std::string last_error() const;

 private:
  struct Reading {  // its own handle: a File belongs to one thread at a time
    std::mutex mutex;
    std::unique_ptr<File> file;
  };
  struct Segment {
    std::uint32_t number = 0, seed = 0;
    ByteCount size = 0;  // in full chunks, or all of it when it is finished
    ByteCount lost_from = UINT64_MAX;
    std::shared_ptr<Reading> reading;
  };
  enum class Task { kWrite, kWriteLast, kRemove };
  struct Job {
    Task task = Task::kWrite;
    std::uint32_t segment = 0;
    ByteCount offset = 0;  // of the chunk in the segment
    flow::Chunk* chunk = nullptr;
    std::size_t length = 0;
  };
  struct Building {  // the segment that records are added to
    std::uint32_t number = 0, seed = 0;
    ByteCount offset = 0;  // of `chunk`
    flow::Chunk* chunk = nullptr;
    std::size_t used = 0;
  };

  // The pump's.
  bool begin_segment(WallTime wall);
  void finish_segment();
  void leave_segment();
  std::size_t make_room(std::size_t octets);
  flow::Chunk* take_chunk();
  void give_back(flow::Chunk* chunk);
  void append(Bytes octets);
  void submit(Task task);
  void write_if_alone();
  // The disk's.
  bool do_next_job();
  void write(const Job& job);
  Status write_out(const Job& job);
  void note_loss(const Job& job, const Error& error);
  // Anybody's.
  std::string path_of(std::uint32_t number) const;
  Segment* find(std::uint32_t number);
  std::size_t copy_unwritten(const Extent& extent, MutableBytes out) const;
  Status read_file(Reading& reading, const Extent& extent, MutableBytes out) const;

  FileSystem& files_;
  Entropy& entropy_;
  ChunkPool& pool_;
  const std::string directory_;
  const ByteCount budget_, segment_size_;
  std::unique_ptr<File> lock_;

  std::uint32_t next_number_ = 1;
  std::optional<MonoTime> retry_at_;
  std::vector<flow::Chunk*> spare_;  // taken, to be filled next
  std::atomic<std::size_t> held_{0};
  std::atomic<bool> rotate_{false}, lost_{false};

  std::mutex disk_mutex_;  // one that writes at a time
  std::unique_ptr<File> file_;

  mutable std::mutex mutex_;  // all below
  std::condition_variable work_;
  bool threaded_ = false;
  Building building_;  // changed with the lock; the pump reads it, and fills its chunk, without
  std::deque<Job> jobs_;
  std::deque<Segment> segments_;
  std::vector<Loss> losses_;
  ByteCount bytes_ = 0;
  std::uint64_t write_errors_ = 0;
  std::string last_error_;
};

}  // namespace sluice::capture
