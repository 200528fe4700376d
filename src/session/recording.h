// A recording that is being made. The capture thread hands over what it takes in (capture::Tap): it is copied into a
// batch in memory and nothing more, so that no disk holds up traffic; once too much waits, bodies are cut and counted,
// then whole exchanges are. A writer's thread forms records, appends them to segments with one write for each batch,
// syncs them together every `fsync_every`, and keeps index and manifest. After an error the segment is left and another
// tried a second later. docs/formats/session.md.
//
//   auto recording = Recording::begin(options, …);     // directory, lock, manifest, first segment
//   ring.hand_to(recording->get());
//   recording->work(now)                               // on the writer's thread, again and again
//   ring.hand_to(nullptr);  recording->finish();       // no more comes; all is written, sealed and unlocked
//
// Threads: Tap's methods belong to the pump; work() and finish() to one thread at a time; the rest to any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "capture/record_seal.h"
#include "capture/tap.h"
#include "session/index.h"
#include "session/manifest.h"
#include "session/row.h"

namespace sluice::session {

struct RecordingLimits {
  ByteCount in_flight = 16 * kMiB;               // memory that waits for the disk; bodies get three quarters of it
  std::chrono::milliseconds fsync_every{1'000};  // what a loss of power may cost
  std::chrono::milliseconds index_every{500};    // rows are added together, and the last block written again
  ByteCount most_segment = 64 * kMiB;
};

struct RecordingOptions {
  Manifest manifest;      // id, name, profile, cap; the rest is filled in
  std::string directory;  // that of the session, to be made
  std::string index;      // where index.db is to be
  SessionKeyPtr key;      // null: not encrypted; else that of manifest.encryption
  RecordingLimits limits;
  bool counts_cuts = true;  // false: what exchanges say is missing was never there (import)
};

class Recording final : public capture::Tap {
 public:
  // kConflict: there is one of that id; kIo, kRefused: what the disk said. Leaves nothing behind then.
  static Result<std::unique_ptr<Recording>> begin(RecordingOptions options, FileSystem& files, const Clock& clock,
                                                  Entropy& entropy);
  ~Recording() override;

  void on_opened(std::uint64_t seq, Bytes uuid, Bytes payload, const flow::ConnectionPtr& connection) override;
  void on_record(capture::RecordType type, std::uint64_t seq, Bytes payload,
                 const flow::UpstreamPtr& upstream) override;
  void on_body(capture::RecordType type, std::uint64_t seq, std::span<const Bytes> pieces) override;
  void on_round_done() override;

  // Writes what waits; syncs, indexes and notes what is due. False: nothing was to be done.
  bool work();
  // Returns when there is work, or after `at_most`.
  void wait(std::chrono::milliseconds at_most);
  // Everything handed over before is written and in the index when this returns true; bounded. Another thread works.
  bool sync(std::chrono::milliseconds at_most);
  // ... and on the disk, whatever loses its power afterwards.
  bool checkpoint(std::chrono::milliseconds at_most);
  // Exchanges that are open still are rows that were cut. Index sealed, manifest stopped, lock released.
  Status finish();

  Manifest manifest() const;  // as of now
  ByteCount unwritten() const { return queued_.load(std::memory_order_relaxed); }

 private:
  struct Gap {
    ByteCount cut = 0;   // octets of content that were not kept, behind those that were
    ByteCount lost = 0;  // of those, or before they came here, what the profile would have kept
  };
  struct Item {
    capture::RecordType type = capture::RecordType::kOpened;
    std::uint64_t seq = 0;
    std::uint32_t length = 0;
    Gap gap;
    std::shared_ptr<const void> attached;
  };
  struct Batch {
    std::vector<Item> items;
    std::string octets;
  };
  // The pump's view of an exchange whose records it hands over.
  struct Taken {
    ByteCount request = 0, response = 0;
    bool request_cut = false, response_cut = false;
  };
  // The writer's.
  struct Live {
    std::uint64_t seq = 0;  // in the recording
    ByteCount request_missing = 0, response_missing = 0;
    bool counted = false;  // among the bodies that are not whole; an exchange counts once
  };
  struct Formed {  // a record in out_
    capture::RecordType type = capture::RecordType::kOpened;
    std::uint64_t subject = 0, process_seq = 0;
    std::size_t at = 0;  // of its frame
    std::uint32_t length = 0;
    std::size_t payload = 0;  // octets of it, in clear
  };

  Recording(RecordingOptions options, FileSystem& files, const Clock& clock, Entropy& entropy);
  Status make();
  // The pump's.
  bool push(capture::RecordType type, std::uint64_t seq, std::span<const Bytes> pieces, Gap gap,
            std::shared_ptr<const void> attached, ByteCount most_queued);
  ByteCount lost_before(capture::RecordType type, Bytes payload, const Taken& taken) const;
  // The writer's.
  void write(const Batch& batch);
  void give_back(Batch batch);
  void write_item(const Item& item, Bytes payload);
  void write_opened(const Item& item, Bytes payload);
  void write_body(const Item& item, Bytes payload, Live& live);
  bool add(capture::RecordType type, std::uint64_t subject, std::uint64_t process_seq, Bytes payload, ByteCount most);
  void mention(capture::RecordType type, std::uint64_t id, const std::shared_ptr<const void>& fact);
  ByteCount room() const;
  bool has_segment();
  Status begin_segment();
  void flush();
  Result<Bytes> octets_to_write();
  void lose();
  void seal_segment();
  void drop_oldest();
  void keep_time();
  void sync_file();
  void commit_rows();
  void keep(Row&& row);
  void fail_with(const Error& error);
  void drop_write();
  void count_lost(ByteCount octets, bool body_begins);
  void reach_cap();

  const RecordingOptions options_;
  FileSystem& files_;
  const Clock& clock_;
  Entropy& entropy_;
  const ByteCount cap_, segment_size_;
  std::unique_ptr<File> lock_;

  // --- the pump's ---
  std::unordered_map<std::uint64_t, Taken> taken_;
  Batch batch_;
  std::atomic<ByteCount> queued_{0};
  std::atomic<bool> full_{false};  // the cap was reached: nothing new begins

  // --- the writer's ---
  std::unique_ptr<File> file_;
  std::unique_ptr<Index> index_;
  RowBuilder builder_;
  std::unordered_map<std::uint64_t, Live> live_;  // by the process's seq
  std::unordered_set<std::uint64_t> mentioned_connections_, mentioned_upstreams_;
  std::string out_;  // records; of an encrypted recording their payloads in clear, and frames that are to be made
  std::string sealed_out_;
  std::unique_ptr<capture::RecordSeal> seal_;  // of the segment that is written
  std::vector<Formed> formed_;
  std::vector<Row> rows_;
  std::deque<std::pair<std::uint32_t, ByteCount>> sealed_;  // older segments: number, size
  std::uint32_t segment_ = 0, next_segment_ = 1, seed_ = 0;
  ByteCount file_size_ = 0, sealed_bytes_ = 0;
  std::uint64_t next_seq_ = 1;
  bool unsynced_ = false, index_failed_ = false;
  std::optional<MonoTime> retry_at_;
  MonoTime synced_at_, indexed_at_;

  mutable std::mutex mutex_;  // all below
  std::condition_variable work_wanted_, work_done_;
  std::deque<Batch> waiting_;
  std::vector<Batch> spare_;  // empty ones that keep their memory: the pump fills them again
  Manifest manifest_;
  std::uint64_t bodies_lost_ = 0;  // of which a part is missing
  bool manifest_changed_ = false;
  std::uint64_t syncs_wanted_ = 0, syncs_done_ = 0;
  std::uint64_t checkpoints_wanted_ = 0, checkpoints_done_ = 0;  // by the number of their sync
};

}  // namespace sluice::session
