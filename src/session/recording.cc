// The pump's side of a recording, and its beginning and end.
#include "session/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "capture/records.h"

namespace sluice::session {
namespace {

using capture::RecordType;

constexpr ByteCount kLeastSegment = 256 * kKiB;

}  // namespace

Recording::Recording(RecordingOptions options, FileSystem& files, const Clock& clock, Entropy& entropy)
    : options_(std::move(options)),
      files_(files),
      clock_(clock),
      entropy_(entropy),
      cap_(options_.manifest.max_disk_mb * kMiB),
      segment_size_(std::clamp(cap_ / 16, kLeastSegment, options_.limits.most_segment)),
      manifest_(options_.manifest) {
  synced_at_ = indexed_at_ = clock_.mono();
}

Recording::~Recording() = default;

Result<std::unique_ptr<Recording>> Recording::begin(RecordingOptions options, FileSystem& files, const Clock& clock,
                                                    Entropy& entropy) {
  if (files.exists(options.directory)) return fail(Code::kConflict, "there is a session of that id");
  const std::string directory = options.directory;
  std::unique_ptr<Recording> recording(new Recording(std::move(options), files, clock, entropy));
  const Status made = recording->make();
  if (made) return recording;
  recording.reset();
  (void)files.remove_tree(directory);
  return fail(made.error());
}

Status Recording::make() {
  SLUICE_CHECK(files_.make_directories(segments_path(options_.directory)));
  SLUICE_TRY(lock_, files_.open(lock_path(options_.directory), OpenMode::kAppend));
  SLUICE_CHECK(lock_->lock());
  manifest_.active = true;
  manifest_.created_ms = manifest_.started_ms = unix_ms(clock_.wall());
  SLUICE_CHECK(begin_segment());
  manifest_.segments = 1;
  manifest_.bytes_written = file_size_;
  SLUICE_CHECK(save_manifest(files_, options_.directory, manifest_));
  index_ = std::make_unique<Index>(options_.index, options_.key);
  return index_->create();
}

// ---- the pump ----

// Copies the pieces into the batch, unless so much waits already that it shall not.
bool Recording::push(RecordType type, std::uint64_t seq, std::span<const Bytes> pieces, Gap gap,
                     std::shared_ptr<const void> attached, ByteCount most_queued) {
  std::size_t length = 0;
  for (const Bytes piece : pieces) length += piece.size();
  const ByteCount cost = length + sizeof(Item);
  if (queued_.load(std::memory_order_relaxed) + cost > most_queued) return false;
  queued_.fetch_add(cost, std::memory_order_relaxed);
  for (const Bytes piece : pieces) batch_.octets.append(piece);
  batch_.items.push_back({type, seq, static_cast<std::uint32_t>(length), gap, std::move(attached)});
  return true;
}

void Recording::on_opened(std::uint64_t seq, Bytes uuid, Bytes payload, const flow::ConnectionPtr& connection) {
  const Bytes pieces[] = {uuid, payload};
  const bool taken = !full_.load(std::memory_order_relaxed) &&
                     push(RecordType::kOpened, seq, pieces, {}, connection, options_.limits.in_flight);
  if (taken) {
    taken_.emplace(seq, Taken{});
  } else {
    drop_write();
  }
}

void Recording::on_record(RecordType type, std::uint64_t seq, Bytes payload, const flow::UpstreamPtr& upstream) {
  const auto found = taken_.find(seq);
  if (found == taken_.end()) return;
  if (type == RecordType::kMessage && !payload.empty()) {
    // What comes behind it has a place of its own, so that it can be kept again.
    const bool request = payload[0] == static_cast<char>(flow::Direction::kRequest);
    (request ? found->second.request_cut : found->second.response_cut) = false;
  }
  const Gap gap{0, lost_before(type, payload, found->second)};
  if (type == RecordType::kEnded) taken_.erase(found);
  // Heads and ends are small, and no more of them than exchanges that were let in: twice the room.
  if (!push(type, seq, std::span(&payload, 1), gap, upstream, 2 * options_.limits.in_flight)) drop_write();
}

// What was cut before it came here, for want of memory that capture has: the record says how much.
ByteCount Recording::lost_before(RecordType type, Bytes payload, const Taken& taken) const {
  if (!options_.counts_cuts) return 0;
  const ByteCount most = options_.manifest.profile == Profile::kPreview ? kPreviewBody : UINT64_MAX;
  const auto lost = [&](ByteCount cut, ByteCount kept) { return std::min(cut, most - std::min(most, kept)); };
  if (type == RecordType::kEnded) {
    const capture::Cuts cuts = capture::parse_ended_brief(payload).cuts;
    return lost(cuts.request, taken.request) + lost(cuts.response, taken.response);
  }
  if (type != RecordType::kMessage) return 0;
  const auto message = capture::parse_message(payload);
  if (!message) return 0;
  const bool request = message->seen.direction == flow::Direction::kRequest;
  return lost(message->missing, request ? taken.request : taken.response);
}

void Recording::on_body(RecordType type, std::uint64_t seq, std::span<const Bytes> pieces) {
  const auto found = taken_.find(seq);
  if (found == taken_.end()) return;
  const bool request = type == RecordType::kRequestBody;
  ByteCount& taken = request ? found->second.request : found->second.response;
  bool& was_cut = request ? found->second.request_cut : found->second.response_cut;
  ByteCount total = 0;
  for (const Bytes piece : pieces) total += piece.size();
  const ByteCount most = options_.manifest.profile == Profile::kPreview ? kPreviewBody : UINT64_MAX;
  const bool wanted = !was_cut && taken < most && !full_.load(std::memory_order_relaxed);
  ByteCount kept = wanted ? std::min(total, most - taken) : 0;
  std::vector<Bytes> some;
  for (ByteCount left = kept; const Bytes piece : pieces) {
    if (left == 0) break;
    some.push_back(piece.substr(0, static_cast<std::size_t>(std::min<ByteCount>(piece.size(), left))));
    left -= some.back().size();
  }
  const ByteCount room = options_.limits.in_flight / 4 * 3;
  // What is behind the profile's part is not lost.
  const auto gap = [&] { return Gap{total - kept, taken + kept < most ? total - kept : 0}; };
  if (kept == 0 || !push(type, seq, some, gap(), nullptr, room)) {
    kept = 0;
    (void)push(type, seq, {}, gap(), nullptr, 2 * options_.limits.in_flight);
  }
  taken += kept;
  was_cut = was_cut || kept < total;
}

void Recording::on_round_done() {
  if (batch_.items.empty()) return;
  const std::lock_guard guard(mutex_);
  waiting_.push_back(std::exchange(batch_, {}));
  if (!spare_.empty()) {
    batch_ = std::move(spare_.back());
    spare_.pop_back();
  }
  work_wanted_.notify_all();
}

// ---- any thread ----

void Recording::wait(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  work_wanted_.wait_for(lock, at_most, [this] { return !waiting_.empty() || syncs_wanted_ > syncs_done_; });
}

bool Recording::sync(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++syncs_wanted_;
  work_wanted_.notify_all();
  return work_done_.wait_for(lock, at_most, [&] { return syncs_done_ >= mine; });
}

bool Recording::checkpoint(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = checkpoints_wanted_ = ++syncs_wanted_;
  work_wanted_.notify_all();
  if (!work_done_.wait_for(lock, at_most, [&] { return syncs_done_ >= mine; })) return false;
  return checkpoints_done_ >= mine;
}

Manifest Recording::manifest() const {
  const std::lock_guard guard(mutex_);
  return manifest_;
}

void Recording::drop_write() {
  const std::lock_guard guard(mutex_);
  ++manifest_.dropped_writes;
  manifest_.recovery = Recovery::kError;
  if (!manifest_.last_error) {
    manifest_.last_error = "Too much waited for the disk: records were dropped.";
  }
  manifest_changed_ = true;
}

// Said once, and how many there are: a disk that is too slow cuts body after body.
void Recording::count_lost(ByteCount octets, bool body_begins) {
  const std::lock_guard guard(mutex_);
  manifest_.bytes_cut += octets;
  manifest_changed_ = true;
  if (body_begins) ++bodies_lost_;
  constexpr std::string_view kSaid = "not stored whole: the disk, or what waits for it, had no room.";
  if (manifest_.last_error && !manifest_.last_error->ends_with(kSaid)) return;
  manifest_.last_error = fmt::format("{} {} {}", bodies_lost_, bodies_lost_ == 1 ? "body was" : "bodies were", kSaid);
}

void Recording::fail_with(const Error& error) {
  const std::lock_guard guard(mutex_);
  manifest_.recovery = Recovery::kError;
  manifest_.last_error = error.message;
  manifest_changed_ = true;
}

// ---- the end ----

Status Recording::finish() {
  on_round_done();
  while (work()) {
  }
  flush();
  sync_file();
  for (Row& row : builder_.give_up_all()) keep(std::move(row));
  commit_rows();
  if (!index_failed_) {
    if (const Status sealed = index_->seal(); !sealed) fail_with(sealed.error());
  }
  index_.reset();
  file_.reset();
  Manifest last;
  {
    const std::lock_guard guard(mutex_);
    manifest_.active = false;
    manifest_.ended_ms = unix_ms(clock_.wall());
    last = manifest_;
  }
  const Status saved = save_manifest(files_, options_.directory, last);
  lock_.reset();
  return saved;
}

}  // namespace sluice::session
