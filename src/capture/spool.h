// The ring's segments on disk: one is written, the oldest go at the budget or when nothing in them is wanted any more.
// A disk that says no costs bodies, never traffic: the segment is left, another is tried a second later.
// add, flush, ready and drop_old belong to the pump; the rest is for any thread. Private to this folder.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/entropy.h"
#include "capture/segment.h"

namespace sluice::capture {

// A run of records of which some belong to one body: all the octets [offset, offset + span) of a segment.
struct Extent {
  std::uint32_t segment = 0, offset = 0, span = 0;
  std::uint32_t content = 0;  // octets of that body in it
};

class Spool {
 public:
  Spool(FileSystem& files, Entropy& entropy, std::string directory, ByteCount budget);
  ~Spool();  // removes the directory
  // Makes the directory, under a name that only appears with its lock held (see remove_stale_spools).
  Status open();

  // --- the pump ---
  // There is a segment to write to. False after an error, until a second has passed.
  bool ready(MonoTime now, WallTime wall);
  Extent add(RecordType type, std::uint64_t subject, std::span<const Bytes> pieces);
  // The same with a payload of its own, kept until flush().
  void add_copied(RecordType type, std::uint64_t subject, std::string payload);
  // False: nothing that was added since the last flush() is kept.
  bool flush(MonoTime now);
  ByteCount pending() const { return writer_ ? writer_->pending() : 0; }
  // True once for each id and segment: what records refer to stands in the same segment before them.
  bool first_mention(RecordType type, std::uint64_t id);
  void drop_old();

  // --- any thread ---
  // Bodies that have something in a segment keep it from being dropped early.
  void want(std::uint32_t segment);
  void unwant(std::uint32_t segment);
  // What was cleared shall not stay in the open segment.
  void rotate_soon();
  // Segments below are gone.
  std::uint32_t first_segment() const;
  // The payloads of the run that are of this type and subject, in order. kNotFound: the segment is gone; kIo: it
  // cannot be read or is damaged, which may show after some were visited.
  Status read(const Extent& extent, RecordType type, std::uint64_t subject,
              const std::function<void(Bytes payload)>& visit) const;
  ByteCount bytes() const;
  std::uint64_t write_errors() const;
  std::string last_error() const;

 private:
  struct Reading {  // its own handle: a File belongs to one thread at a time
    std::mutex mutex;
    std::unique_ptr<File> file;
  };
  struct Segment {
    std::uint32_t number = 0, seed = 0;
    ByteCount size = 0;
    std::uint64_t wanted = 0;
    std::shared_ptr<Reading> reading;
  };
  std::string path_of(std::uint32_t number) const;
  void note_error(const Error& error, MonoTime now);
  Segment* find(std::uint32_t number);

  FileSystem& files_;
  Entropy& entropy_;
  const std::string directory_;
  const ByteCount budget_, segment_size_;
  std::unique_ptr<File> lock_;
  std::unique_ptr<SegmentWriter> writer_;
  std::uint32_t next_number_ = 1;
  std::optional<MonoTime> retry_at_;
  std::deque<std::string> copied_;
  std::unordered_set<std::uint64_t> mentioned_connections_, mentioned_upstreams_;

  mutable std::mutex mutex_;  // all below
  std::deque<Segment> segments_;
  ByteCount bytes_ = 0;
  bool rotate_ = false;
  std::uint64_t write_errors_ = 0;
  std::string last_error_;
};

}  // namespace sluice::capture
