// The pump's side: records become octets in chunks.
#include "capture/spool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "capture/octets.h"

namespace sluice::capture {
namespace {

constexpr ByteCount kMostSegment = 64 * kMiB;
constexpr ByteCount kLeastSegment = 256 * kKiB;
constexpr std::chrono::seconds kRetry{1};
constexpr const char* kLockName = "lock";

}  // namespace

Spool::Spool(FileSystem& files, Entropy& entropy, ChunkPool& pool, std::string directory, ByteCount budget)
    : files_(files),
      entropy_(entropy),
      pool_(pool),
      directory_(std::move(directory)),
      budget_(budget),
      segment_size_(std::clamp(budget / 16, kLeastSegment, kMostSegment)) {}

Spool::~Spool() {
  leave_segment();
  for (const Job& job : jobs_) {
    if (job.chunk) give_back(job.chunk);
  }
  for (flow::Chunk* const chunk : spare_) give_back(chunk);
  file_.reset();
  if (lock_) (void)files_.remove_tree(directory_);
}

Status Spool::open() {
  const std::size_t slash = directory_.rfind('/');
  if (slash == std::string::npos) return fail(Code::kInvalid, "the spool's directory is not an absolute path");
  const std::string nascent = directory_.substr(0, slash + 1) + "." + directory_.substr(slash + 1) + ".new";
  SLUICE_CHECK(files_.make_directories(nascent));
  auto lock = files_.open(nascent + "/" + kLockName, OpenMode::kAppend);
  if (!lock) return fail(std::move(lock.error()).with_context("making the spool"));
  SLUICE_CHECK((*lock)->lock());
  SLUICE_CHECK(files_.rename(nascent, directory_));
  lock_ = *std::move(lock);
  return {};
}

// ---- chunks ----

// Workers get on with a quarter of the chunks however long the disk does not answer.
flow::Chunk* Spool::take_chunk() {
  if (chunks_held() >= pool_.size() - pool_.size() / 4) return nullptr;
  flow::Chunk* const chunk = pool_.take();
  if (chunk) held_.fetch_add(1, std::memory_order_relaxed);
  return chunk;
}

void Spool::give_back(flow::Chunk* chunk) {
  held_.fetch_sub(1, std::memory_order_relaxed);
  flow::release(chunk);
}

// Takes chunks until there is that much room, or no more; returns how much there is.
std::size_t Spool::make_room(std::size_t octets) {
  std::size_t room = building_.chunk->capacity * (1 + spare_.size()) - building_.used;
  while (room < octets) {
    flow::Chunk* const chunk = take_chunk();
    if (!chunk) break;
    spare_.push_back(chunk);
    room += chunk->capacity;
  }
  return room;
}

// ---- segments ----

bool Spool::ready(MonoTime now, WallTime wall) {
  if (!lock_ || lost_.load(std::memory_order_relaxed) || (retry_at_ && now < *retry_at_)) return false;
  retry_at_.reset();
  const bool full = building_.chunk && building_.offset + building_.used >= segment_size_;
  if (rotate_.exchange(false, std::memory_order_relaxed) || full) finish_segment();
  return building_.chunk || begin_segment(wall);
}

bool Spool::begin_segment(WallTime wall) {
  if (spare_.empty()) {
    flow::Chunk* const chunk = take_chunk();
    if (!chunk) return false;
    spare_.push_back(chunk);
  }
  const SegmentHeader header{next_number_++, random_number(entropy_), wall};
  const auto number = static_cast<std::uint32_t>(header.number);
  {
    const std::lock_guard guard(mutex_);
    building_ = {number, checksum_seed(header.salt), 0, spare_.back(), 0};
    segments_.push_back({number, building_.seed, 0, UINT64_MAX, std::make_shared<Reading>()});
  }
  spare_.pop_back();
  const auto octets = format_segment_header(header);
  append(Bytes(octets.data(), octets.size()));
  return true;
}

void Spool::finish_segment() {
  if (building_.chunk) submit(Task::kWriteLast);
}

void Spool::leave_segment() {
  const std::lock_guard guard(mutex_);
  if (flow::Chunk* const chunk = std::exchange(building_.chunk, nullptr)) give_back(chunk);
}

// ---- records ----

std::size_t Spool::room(std::size_t wanted) {
  if (!building_.chunk) return 0;
  const std::size_t room = make_room(kFrameHeaderSize + wanted);
  return room < kFrameHeaderSize ? 0 : std::min(wanted, room - kFrameHeaderSize);
}

std::optional<Extent> Spool::add(RecordType type, std::uint64_t subject, std::span<const Bytes> pieces) {
  if (!building_.chunk) return std::nullopt;
  std::size_t length = 0;
  for (const Bytes piece : pieces) length += piece.size();
  const std::size_t span = kFrameHeaderSize + length;
  // The size of a segment stays far below 4 GiB.
  const Extent extent{building_.number, static_cast<std::uint32_t>(building_.offset + building_.used),
                      static_cast<std::uint32_t>(span), static_cast<std::uint32_t>(length)};
  if (span <= building_.chunk->capacity - building_.used) {
    char* const frame = building_.chunk->data + building_.used;
    OctetWriter out(frame + kFrameHeaderSize);
    for (const Bytes piece : pieces) out.octets(piece);
    write_frame(frame, type, subject, extent.content, building_.seed);
    building_.used += span;
    return extent;
  }
  if (make_room(span) < span) return std::nullopt;
  const auto frame = format_frame(type, subject, pieces, building_.seed);
  append(Bytes(frame.data(), frame.size()));
  for (const Bytes piece : pieces) append(piece);
  return extent;
}

// After make_room().
void Spool::append(Bytes octets) {
  while (!octets.empty()) {
    const Bytes now = octets.substr(0, building_.chunk->capacity - building_.used);
    std::memcpy(building_.chunk->data + building_.used, now.data(), now.size());
    building_.used += now.size();
    octets.remove_prefix(now.size());
    if (!octets.empty()) submit(Task::kWrite);
  }
}

// The chunk goes to the disk; the next one takes its place.
void Spool::submit(Task task) {
  {
    const std::lock_guard guard(mutex_);
    jobs_.push_back({task, building_.number, building_.offset, building_.chunk, building_.used});
    building_.offset += building_.used;
    building_.used = 0;
    building_.chunk = nullptr;
    if (task == Task::kWrite) {
      building_.chunk = spare_.back();
      spare_.pop_back();
    }
    Segment& segment = segments_.back();
    bytes_ += building_.offset - segment.size;
    segment.size = building_.offset;
    if (threaded_) work_.notify_one();
  }
  write_if_alone();
}

void Spool::drop_old(std::uint32_t first_wanted) {
  if (rotate_.exchange(false, std::memory_order_relaxed)) leave_segment();
  {
    const std::lock_guard guard(mutex_);
    while (!segments_.empty()) {
      const Segment& oldest = segments_.front();
      const bool written = building_.chunk && building_.number == oldest.number;
      if (written || (bytes_ <= budget_ && oldest.number >= first_wanted)) break;
      jobs_.push_back({Task::kRemove, oldest.number, 0, nullptr, 0});
      if (threaded_) work_.notify_one();
      bytes_ -= oldest.size;
      segments_.pop_front();
    }
  }
  write_if_alone();
}

std::optional<Spool::Loss> Spool::take_loss(MonoTime now) {
  if (!lost_.load(std::memory_order_relaxed)) return std::nullopt;
  Loss loss;
  {
    const std::lock_guard guard(mutex_);
    if (losses_.empty()) {
      lost_.store(false, std::memory_order_relaxed);
      return std::nullopt;
    }
    loss = losses_.back();
    losses_.pop_back();
  }
  if (building_.number == loss.segment) leave_segment();
  retry_at_ = now + kRetry;
  return loss;
}

}  // namespace sluice::capture
