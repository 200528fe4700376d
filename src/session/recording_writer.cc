// The writer's side of a recording: batches become records in segments.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "capture/records.h"
#include "session/recording.h"
#include "session/segments.h"

namespace sluice::session {
namespace {

using capture::kFrameHeaderSize;
using capture::RecordType;

constexpr std::size_t kOneWrite = 1 * kMiB;
constexpr std::chrono::seconds kRetry{1};
constexpr std::size_t kRowsAtOnce = 4'000;
constexpr std::size_t kSpares = 4;
constexpr std::size_t kMostSpare = 1 * kMiB;  // octets that a spare batch may hold on to

}  // namespace

bool Recording::work() {
  std::deque<Batch> batches;
  std::uint64_t syncs = 0;
  bool asked = false, checkpoint = false;
  {
    const std::lock_guard guard(mutex_);
    batches.swap(waiting_);
    syncs = syncs_wanted_;
    asked = syncs_wanted_ > syncs_done_;
    checkpoint = checkpoints_wanted_ > syncs_done_;
  }
  const bool any = !batches.empty();
  for (Batch& batch : batches) {
    write(batch);
    flush();
    queued_.fetch_sub(batch.octets.size() + batch.items.size() * sizeof(Item), std::memory_order_relaxed);
    give_back(std::move(batch));
  }
  if (asked) commit_rows();
  if (checkpoint) sync_file();
  keep_time();
  if (asked) {
    const std::lock_guard guard(mutex_);
    syncs_done_ = syncs;
    if (checkpoint && !unsynced_) checkpoints_done_ = syncs;
    work_done_.notify_all();
  }
  return any;
}

void Recording::give_back(Batch batch) {
  if (batch.octets.capacity() > kMostSpare) return;
  batch.octets.clear();
  batch.items.clear();
  const std::lock_guard guard(mutex_);
  if (spare_.size() < kSpares) spare_.push_back(std::move(batch));
}

// What is due by the clock.
void Recording::keep_time() {
  const MonoTime now = clock_.mono();
  if (rows_.size() >= kRowsAtOnce || (!rows_.empty() && now - indexed_at_ >= options_.limits.index_every)) {
    commit_rows();
  }
  if (now - synced_at_ < options_.limits.fsync_every) return;
  synced_at_ = now;
  if (unsynced_) sync_file();
  Manifest changed;
  {
    const std::lock_guard guard(mutex_);
    if (!manifest_changed_) return;
    manifest_changed_ = false;
    changed = manifest_;
  }
  if (const Status saved = save_manifest(files_, options_.directory, changed); !saved) fail_with(saved.error());
}

// ---- segments ----

// There is one to add to, after an error again after a second.
bool Recording::has_segment() {
  if (file_ && file_size_ + out_.size() >= segment_size_) {
    flush();
    if (file_) seal_segment();
  }
  if (file_) return true;
  if (retry_at_ && clock_.mono() < *retry_at_) return false;
  const Status begun = begin_segment();
  if (begun) return true;
  retry_at_ = clock_.mono() + kRetry;
  fail_with(begun.error());
  return false;
}

Status Recording::begin_segment() {
  const capture::SegmentHeader header{next_segment_++, random_number(entropy_), clock_.wall(), options_.key != nullptr};
  segment_ = static_cast<std::uint32_t>(header.number);
  const std::string path = segment_path(options_.directory, segment_);
  SLUICE_TRY(auto file, files_.open(path, OpenMode::kCreateDirect));
  seed_ = capture::checksum_seed(header.salt);
  const auto octets = capture::format_segment_header(header);
  // What the manifest says stands in each segment, so that a lost one can be made again.
  const std::string facts = manifest_text(manifest(), JsonStyle::kCompact);
  const Bytes pieces[] = {facts};
  const auto frame = capture::format_frame(RecordType::kSession, 0, pieces, seed_);
  const Bytes all[] = {Bytes(octets.data(), octets.size()), Bytes(frame.data(), frame.size()), facts};
  if (const Status written = file->append(all); !written) {
    (void)files_.remove(path);
    return written;
  }
  file_ = std::move(file);
  if (options_.key) seal_ = std::make_unique<capture::RecordSeal>(seal_key(options_.key), header, Aead::Use::kSeal);
  file_size_ = octets.size() + frame.size() + facts.size();
  mentioned_connections_.clear();
  mentioned_upstreams_.clear();
  builder_.begin_segment();
  unsynced_ = true;
  retry_at_.reset();
  const std::lock_guard guard(mutex_);
  manifest_.segments = sealed_.size() + 1;
  manifest_.bytes_written = sealed_bytes_ + file_size_;
  return {};
}

void Recording::seal_segment() {
  sync_file();
  file_.reset();
  seal_.reset();
  sealed_.emplace_back(segment_, file_size_);
  sealed_bytes_ += file_size_;
  file_size_ = 0;
}

void Recording::drop_oldest() {
  while (sealed_.size() > 0 && sealed_bytes_ + file_size_ > cap_) {
    const auto [number, size] = sealed_.front();
    sealed_.pop_front();
    sealed_bytes_ -= size;
    commit_rows();
    const std::uint64_t open = builder_.forget_segment(number);
    std::uint64_t dropped = 0;
    if (!index_failed_) {
      if (const Status done = index_->drop_segment(number, dropped); !done) {
        fail_with(done.error());
        index_failed_ = true;
      }
    }
    if (const Status removed = files_.remove(segment_path(options_.directory, number)); !removed) {
      fail_with(removed.error());
    }
    const std::lock_guard guard(mutex_);
    manifest_.dropped_exchanges += dropped + open;
    manifest_.exchanges -= std::min(manifest_.exchanges, dropped);
    manifest_changed_ = true;
  }
}

// How many octets may be added before the cap.
ByteCount Recording::room() const {
  if (options_.manifest.on_cap == OnCap::kDropOldest) return UINT64_MAX;
  const ByteCount used = sealed_bytes_ + file_size_ + out_.size();
  return used < cap_ ? cap_ - used : 0;
}

// ---- records ----

void Recording::write(const Batch& batch) {
  Bytes rest = batch.octets;
  for (const Item& item : batch.items) {
    write_item(item, rest.substr(0, item.length));
    rest.remove_prefix(item.length);
    if (out_.size() >= kOneWrite) flush();
  }
}

void Recording::write_item(const Item& item, Bytes payload) {
  (void)has_segment();  // before anything of the item is formed: what it refers to stands in the same one
  if (item.type == RecordType::kOpened) return write_opened(item, payload);
  const auto found = live_.find(item.seq);
  if (found == live_.end()) return;  // its beginning was lost
  Live& live = found->second;
  switch (item.type) {
    case RecordType::kRequestBody:
    case RecordType::kResponseBody:
      return write_body(item, payload, live);
    case RecordType::kMessage: {
      std::string changed(payload);
      const bool request = payload[0] == static_cast<char>(flow::Direction::kRequest);
      capture::add_missing(changed.data(), std::exchange(request ? live.request_missing : live.response_missing, 0));
      if (item.gap.lost > 0) count_lost(item.gap.lost, !std::exchange(live.counted, true));
      if (!add(item.type, live.seq, item.seq, changed, room())) drop_write();
      return;
    }
    case RecordType::kEnded: {
      std::string changed(payload);
      capture::add_cuts(changed.data(), {live.request_missing, live.response_missing});
      if (item.gap.lost > 0) count_lost(item.gap.lost, !std::exchange(live.counted, true));
      const std::uint64_t seq = live.seq;
      live_.erase(found);
      if (add(item.type, seq, item.seq, changed, room())) return;
      drop_write();
      flush();
      if (auto row = builder_.give_up(seq)) keep(*std::move(row));
      return;
    }
    case RecordType::kResponded:
      if (item.attached) {
        const auto& upstream = *static_cast<const flow::Upstream*>(item.attached.get());
        mention(RecordType::kUpstream, upstream.id, item.attached);
      }
      [[fallthrough]];
    default:
      if (!add(item.type, live.seq, item.seq, payload, room())) drop_write();
  }
}

void Recording::reach_cap() {
  fail_with({Code::kTooLarge, fmt::format("Session disk cap reached ({} MB).", options_.manifest.max_disk_mb)});
}

// The last part of the room is kept for the ends of what has begun.
void Recording::write_opened(const Item& item, Bytes payload) {
  const ByteCount reserve = std::min(cap_ / 16, kMiB), left = room();
  if (item.attached && left > reserve) {
    const auto& connection = *static_cast<const flow::Connection*>(item.attached.get());
    mention(RecordType::kConnection, connection.id.value, item.attached);
  }
  if (!add(item.type, next_seq_, item.seq, payload, left > reserve ? left - reserve : 0)) {
    if (file_) {
      full_ = true;
      reach_cap();
    }
    return drop_write();
  }
  live_.insert_or_assign(item.seq, Live{next_seq_++});
}

void Recording::write_body(const Item& item, Bytes payload, Live& live) {
  const bool request = item.type == RecordType::kRequestBody;
  ByteCount& missing = request ? live.request_missing : live.response_missing;
  const ByteCount reserve = std::min(cap_ / 16, kMiB), left = room();
  ByteCount lost = item.gap.lost;
  // Once a part is missing nothing follows it but behind a message that says so.
  if (!payload.empty() &&
      (missing > 0 || !add(item.type, live.seq, item.seq, payload, left > reserve ? left - reserve : 0))) {
    if (file_ && missing == 0) reach_cap();
    lost += payload.size();
    missing += payload.size();
  }
  missing += item.gap.cut;
  if (lost > 0) count_lost(lost, !std::exchange(live.counted, true));
}

// What a record refers to stands before it in the same segment.
void Recording::mention(RecordType type, std::uint64_t id, const std::shared_ptr<const void>& fact) {
  const bool connection = type == RecordType::kConnection;
  auto& mentioned = connection ? mentioned_connections_ : mentioned_upstreams_;
  if (mentioned.contains(id)) return;
  const std::string text = connection ? capture::format_connection(*static_cast<const flow::Connection*>(fact.get()))
                                      : capture::format_upstream(*static_cast<const flow::Upstream*>(fact.get()));
  if (add(type, id, 0, text, room())) mentioned.insert(id);
}

// False: more than `most`, or there is no segment.
bool Recording::add(RecordType type, std::uint64_t subject, std::uint64_t process_seq, Bytes payload, ByteCount most) {
  const std::size_t span = kFrameHeaderSize + payload.size() + capture::seal_overhead(type, seal_ != nullptr);
  if (span > most || !file_) return false;
  const std::size_t at = out_.size();
  out_.resize(at + kFrameHeaderSize);
  out_.append(payload);
  if (seal_) {
    out_.resize(at + span);
  } else {
    capture::write_frame(out_.data() + at, type, subject, static_cast<std::uint32_t>(payload.size()), seed_);
  }
  formed_.push_back({type, subject, process_seq, at, static_cast<std::uint32_t>(span), payload.size()});
  return true;
}

// What stands in out_ as it is to stand on disk.
Result<Bytes> Recording::octets_to_write() {
  if (!seal_) return Bytes(out_);
  sealed_out_.resize(out_.size());
  for (const Formed& record : formed_) {
    const Bytes payload = Bytes(out_).substr(record.at + kFrameHeaderSize, record.payload);
    if (!seal_->write(sealed_out_.data() + record.at, record.type, record.subject, payload, file_size_ + record.at,
                      seed_)) {
      return fail(Code::kInternal, "A record cannot be encrypted: there is no memory.");
    }
  }
  return Bytes(sealed_out_);
}

// One write; what is written goes to the rows.
void Recording::flush() {
  if (formed_.empty()) return;
  const auto octets = octets_to_write();
  if (const Status written = octets ? file_->append(*octets) : fail(octets.error()); !written) {
    fail_with(written.error());
    return lose();
  }
  for (const Formed& record : formed_) {
    const Place place{segment_, static_cast<std::uint32_t>(file_size_ + record.at), record.length};
    const Bytes payload = Bytes(out_).substr(record.at + kFrameHeaderSize, record.payload);
    if (auto row = builder_.take(record.type, record.subject, place, payload)) keep(*std::move(row));
  }
  file_size_ += out_.size();
  out_.clear();
  formed_.clear();
  unsynced_ = true;
  {
    const std::lock_guard guard(mutex_);
    manifest_.bytes_written = sealed_bytes_ + file_size_;
    manifest_.last_sequence = next_seq_ - 1;
    manifest_changed_ = true;
  }
  if (options_.manifest.on_cap == OnCap::kDropOldest) drop_oldest();
}

// The disk refused what stands in out_. The part that it took is taken back, if it lets us; the segment is left.
void Recording::lose() {
  (void)file_->truncate(file_size_);
  for (const Formed& record : formed_) {
    const auto live = live_.find(record.process_seq);
    switch (record.type) {
      case RecordType::kConnection:
      case RecordType::kUpstream:
        continue;
      case RecordType::kOpened:
        if (live != live_.end()) live_.erase(live);
        break;
      case RecordType::kRequestBody:
      case RecordType::kResponseBody: {
        const ByteCount content = record.payload;
        count_lost(content, live == live_.end() || !std::exchange(live->second.counted, true));
        if (live == live_.end()) continue;
        (record.type == RecordType::kRequestBody ? live->second.request_missing : live->second.response_missing) +=
            content;
        continue;
      }
      case RecordType::kEnded:
        if (auto row = builder_.give_up(record.subject)) keep(*std::move(row));
        break;
      default:
        break;
    }
    drop_write();
  }
  out_.clear();
  formed_.clear();
  seal_segment();
  retry_at_ = clock_.mono() + kRetry;
}

// ---- what is due ----

void Recording::sync_file() {
  if (!file_ || !unsynced_) return;
  if (const Status synced = file_->sync(); !synced) return fail_with(synced.error());
  unsynced_ = false;
  const std::lock_guard guard(mutex_);
  manifest_.last_flush_ms = unix_ms(clock_.wall());
  manifest_changed_ = true;
}

void Recording::commit_rows() {
  indexed_at_ = clock_.mono();
  if (rows_.empty()) return;
  if (!index_failed_) {
    if (const Status added = index_->add(rows_); !added) {
      fail_with(added.error());
      index_failed_ = true;  // it is made again from the segments when the session is opened
    }
  }
  builder_.give_back(rows_);
}

// Counted at once, and in the index with the next ones.
void Recording::keep(Row&& row) {
  rows_.push_back(std::move(row));
  const std::lock_guard guard(mutex_);
  ++manifest_.exchanges;
  manifest_changed_ = true;
}

}  // namespace sluice::session
