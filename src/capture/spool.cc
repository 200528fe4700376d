#include "capture/spool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "capture/capture.h"

namespace sluice::capture {
namespace {

constexpr ByteCount kMostSegment = 64 * kMiB;
constexpr ByteCount kLeastSegment = 256 * kKiB;
constexpr std::chrono::seconds kRetry{1};
constexpr const char* kLockName = "lock";

std::uint64_t random_number(Entropy& entropy) {
  char octets[8];
  entropy.fill(octets);
  std::uint64_t number = 0;
  std::memcpy(&number, octets, sizeof(number));
  return number;
}

// "<pid>-<id>": anything else in the spool's root is not ours to remove.
bool is_spool_name(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == 0 || dash == name.npos || dash + 1 == name.size()) return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto letter = [&](char c) { return digit(c) || c == '-' || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z'); };
  return std::all_of(name.begin(), name.begin() + dash, digit) &&
         std::all_of(name.begin() + dash + 1, name.end(), letter);
}

}  // namespace

std::size_t remove_stale_spools(FileSystem& files, const std::string& spool_root) {
  const auto names = files.list(spool_root);
  if (!names) return 0;
  std::size_t removed = 0;
  for (const std::string& name : *names) {
    if (!is_spool_name(name)) continue;
    const std::string directory = spool_root + "/" + name;
    const auto file = files.open(directory + "/" + kLockName, OpenMode::kRead);
    if (!file && file.error().code != Code::kNotFound) continue;
    if (file && !(*file)->lock()) continue;  // its owner lives
    if (files.remove_tree(directory)) ++removed;
  }
  return removed;
}

Spool::Spool(FileSystem& files, Entropy& entropy, std::string directory, ByteCount budget)
    : files_(files),
      entropy_(entropy),
      directory_(std::move(directory)),
      budget_(budget),
      segment_size_(std::clamp(budget / 16, kLeastSegment, kMostSegment)) {}

Spool::~Spool() {
  writer_.reset();
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

std::string Spool::path_of(std::uint32_t number) const { return fmt::format("{}/{:08}.seg", directory_, number); }

void Spool::note_error(const Error& error, MonoTime now) {
  writer_.reset();
  retry_at_ = now + kRetry;
  const std::lock_guard guard(mutex_);
  ++write_errors_;
  last_error_ = error.message;
}

bool Spool::ready(MonoTime now, WallTime wall) {
  if (!lock_ || (retry_at_ && now < *retry_at_)) return false;
  retry_at_.reset();
  {
    const std::lock_guard guard(mutex_);
    if (writer_ && (writer_->size() >= segment_size_ || rotate_)) writer_.reset();
    rotate_ = false;
  }
  if (writer_) return true;
  mentioned_connections_.clear();
  mentioned_upstreams_.clear();
  const std::uint32_t number = next_number_;
  const SegmentHeader header{number, random_number(entropy_), wall};
  auto created = SegmentWriter::create(files_, path_of(number), header);
  if (!created) {
    (void)files_.remove(path_of(number));  // else the next try finds it there
    note_error(created.error(), now);
    return false;
  }
  writer_ = *std::move(created);
  ++next_number_;
  const std::lock_guard guard(mutex_);
  segments_.push_back({number, writer_->seed(), writer_->size(), 0, std::make_shared<Reading>()});
  bytes_ += writer_->size();
  return true;
}

Extent Spool::add(RecordType type, std::uint64_t subject, std::span<const Bytes> pieces) {
  const FramePlace place = writer_->add(type, subject, pieces);
  // writer_ is the newest segment's; its size stays far below 4 GiB.
  return {next_number_ - 1, static_cast<std::uint32_t>(place.offset), place.length,
          static_cast<std::uint32_t>(place.length - kFrameHeaderSize)};
}

void Spool::add_copied(RecordType type, std::uint64_t subject, std::string payload) {
  copied_.push_back(std::move(payload));
  const Bytes piece = copied_.back();
  add(type, subject, std::span(&piece, 1));
}

bool Spool::flush(MonoTime now) {
  if (!writer_) return false;
  const Status written = writer_->flush();
  copied_.clear();
  {
    const std::lock_guard guard(mutex_);
    bytes_ += writer_->size() - segments_.back().size;
    segments_.back().size = writer_->size();
  }
  if (written) return true;
  note_error(written.error(), now);
  return false;
}

bool Spool::first_mention(RecordType type, std::uint64_t id) {
  return (type == RecordType::kConnection ? mentioned_connections_ : mentioned_upstreams_).insert(id).second;
}

void Spool::drop_old() {
  std::vector<std::uint32_t> doomed;
  {
    const std::lock_guard guard(mutex_);
    if (std::exchange(rotate_, false)) writer_.reset();
    while (!segments_.empty()) {
      const Segment& oldest = segments_.front();
      const bool written = writer_ && segments_.size() == 1;
      if (written || (bytes_ <= budget_ && oldest.wanted > 0)) break;
      doomed.push_back(oldest.number);
      bytes_ -= oldest.size;
      segments_.pop_front();
    }
  }
  for (const std::uint32_t number : doomed) (void)files_.remove(path_of(number));
}

Spool::Segment* Spool::find(std::uint32_t number) {
  if (segments_.empty() || number < segments_.front().number) return nullptr;
  // Numbers follow each other, but for those whose creation failed: those were not counted.
  const std::size_t index = number - segments_.front().number;
  return index < segments_.size() ? &segments_[index] : nullptr;
}

void Spool::want(std::uint32_t segment) {
  const std::lock_guard guard(mutex_);
  if (Segment* found = find(segment)) ++found->wanted;
}

void Spool::unwant(std::uint32_t segment) {
  const std::lock_guard guard(mutex_);
  if (Segment* found = find(segment)) --found->wanted;
}

void Spool::rotate_soon() {
  const std::lock_guard guard(mutex_);
  rotate_ = true;
}

std::uint32_t Spool::first_segment() const {
  const std::lock_guard guard(mutex_);
  return segments_.empty() ? UINT32_MAX : segments_.front().number;
}

Status Spool::read(const Extent& extent, RecordType type, std::uint64_t subject,
                   const std::function<void(Bytes payload)>& visit) const {
  std::shared_ptr<Reading> reading;
  std::uint32_t seed = 0;
  {
    const std::lock_guard guard(mutex_);
    const Segment* const segment = const_cast<Spool*>(this)->find(extent.segment);
    if (!segment) return fail(Code::kNotFound, "This body has left the spool, which keeps the newest traffic only.");
    reading = segment->reading;
    seed = segment->seed;
  }
  std::string run(extent.span, '\0');
  {
    const std::lock_guard guard(reading->mutex);
    if (!reading->file) {
      auto opened = files_.open(path_of(extent.segment), OpenMode::kRead);
      if (!opened && opened.error().code == Code::kNotFound) {
        return fail(Code::kNotFound, "This body has left the spool, which keeps the newest traffic only.");
      }
      if (!opened) return fail(std::move(opened.error()).with_context("reading a captured body"));
      reading->file = *std::move(opened);
    }
    SLUICE_TRY(const std::size_t got, reading->file->read_at(extent.offset, run));
    run.resize(got);
  }
  ByteCount content = 0;
  for (Bytes rest = run; rest.size() >= kFrameHeaderSize;) {
    const auto frame = parse_frame_header(rest.substr(0, kFrameHeaderSize), seed);
    rest.remove_prefix(kFrameHeaderSize);
    if (!frame || frame->length > rest.size()) break;
    const Bytes payload = rest.substr(0, frame->length);
    rest.remove_prefix(frame->length);
    if (frame->type != type || frame->subject != subject) continue;
    if (!payload_intact(*frame, payload, seed)) break;
    content += payload.size();
    visit(payload);
  }
  if (content == extent.content) return {};
  return fail(Code::kIo, "A captured body is damaged on disk.");
}

ByteCount Spool::bytes() const {
  const std::lock_guard guard(mutex_);
  return bytes_;
}

std::uint64_t Spool::write_errors() const {
  const std::lock_guard guard(mutex_);
  return write_errors_;
}

std::string Spool::last_error() const {
  const std::lock_guard guard(mutex_);
  return last_error_;
}

}  // namespace sluice::capture
