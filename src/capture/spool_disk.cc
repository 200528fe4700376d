// The disk's side of the spool, and its readers.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "capture/spool.h"

namespace sluice::capture {
namespace {

constexpr const char* kGone = "This body has left the spool, which keeps the newest traffic only.";

}  // namespace

// ---- writing ----

void Spool::set_threaded(bool threaded) {
  const std::lock_guard guard(mutex_);
  threaded_ = threaded;
  work_.notify_one();
}

void Spool::write_until_stopped() {
  for (;;) {
    {
      std::unique_lock guard(mutex_);
      work_.wait(guard, [this] { return !threaded_ || !jobs_.empty(); });
      if (!threaded_) return;
    }
    do_next_job();
  }
}

void Spool::write_if_alone() {
  {
    const std::lock_guard guard(mutex_);
    if (threaded_) return;
  }
  while (do_next_job()) {
  }
}

// The job stays in the list while it is done: readers find the chunk there.
bool Spool::do_next_job() {
  const std::lock_guard one_at_a_time(disk_mutex_);
  Job job;
  {
    const std::lock_guard guard(mutex_);
    if (jobs_.empty()) return false;
    job = jobs_.front();
  }
  if (job.task == Task::kRemove) {
    (void)files_.remove(path_of(job.segment));
  } else {
    write(job);
  }
  {
    const std::lock_guard guard(mutex_);
    jobs_.pop_front();
  }
  if (job.chunk) give_back(job.chunk);
  return true;
}

void Spool::write(const Job& job) {
  bool wanted = false;  // not dropped meanwhile, and nothing lost before
  {
    const std::lock_guard guard(mutex_);
    const Segment* const segment = find(job.segment);
    wanted = segment && segment->lost_from == UINT64_MAX;
  }
  if (wanted) {
    const Status written = write_out(job);
    if (!written) note_loss(job, written.error());
    wanted = written.has_value();
  }
  if (!wanted || job.task == Task::kWriteLast) file_.reset();
}

Status Spool::write_out(const Job& job) {
  if (job.offset == 0) {
    file_.reset();
    SLUICE_TRY(file_, files_.open(path_of(job.segment), OpenMode::kCreateDirect));
  }
  if (!file_) return fail(Code::kIo, "a segment was left");
  return file_->append(Bytes(job.chunk->data, job.length));
}

void Spool::note_loss(const Job& job, const Error& error) {
  const std::lock_guard guard(mutex_);
  ++write_errors_;
  last_error_ = error.message;
  if (Segment* const segment = find(job.segment)) segment->lost_from = job.offset;
  losses_.push_back({job.segment, job.offset});
  lost_.store(true, std::memory_order_relaxed);
}

std::string Spool::path_of(std::uint32_t number) const { return fmt::format("{}/{:08}.seg", directory_, number); }

// ---- any thread ----

Spool::Segment* Spool::find(std::uint32_t number) {
  if (segments_.empty() || number < segments_.front().number) return nullptr;
  const std::size_t index = number - segments_.front().number;  // numbers follow each other
  return index < segments_.size() ? &segments_[index] : nullptr;
}

std::uint32_t Spool::first_segment() const {
  const std::lock_guard guard(mutex_);
  return segments_.empty() ? UINT32_MAX : segments_.front().number;
}

// ---- reading ----

// Chunks that wait for the disk are the end of their segment. Copies what `extent` has in them to its place in `out`;
// returns how many octets before are on disk.
std::size_t Spool::copy_unwritten(const Extent& extent, MutableBytes out) const {
  ByteCount begin = extent.offset + extent.span;  // of what is in memory
  const auto copy = [&](ByteCount offset, const flow::Chunk* chunk) {
    const ByteCount from = std::max<ByteCount>(offset, extent.offset);
    const ByteCount until = std::min<ByteCount>(offset + chunk->capacity, extent.offset + extent.span);
    if (from >= until) return;
    Bytes(chunk->data + (from - offset), until - from).copy(out.data() + (from - extent.offset), until - from);
    begin = std::min(begin, from);
  };
  for (const Job& job : jobs_) {
    if (job.chunk && job.segment == extent.segment) copy(job.offset, job.chunk);
  }
  if (building_.chunk && building_.number == extent.segment) copy(building_.offset, building_.chunk);
  return static_cast<std::size_t>(begin - extent.offset);
}

Status Spool::read_file(Reading& reading, const Extent& extent, MutableBytes out) const {
  const std::lock_guard guard(reading.mutex);
  if (!reading.file) {
    auto opened = files_.open(path_of(extent.segment), OpenMode::kRead);
    if (!opened && opened.error().code == Code::kNotFound) return fail(Code::kNotFound, kGone);
    if (!opened) return fail(std::move(opened.error()).with_context("reading a captured body"));
    reading.file = *std::move(opened);
  }
  SLUICE_TRY(const std::size_t got, reading.file->read_at(extent.offset, out));
  if (got < out.size()) return fail(Code::kIo, "A captured body is damaged on disk.");
  return {};
}

Status Spool::read(const Extent& extent, RecordType type, std::uint64_t subject,
                   const std::function<void(Bytes payload)>& visit) const {
  std::string run(extent.span, '\0');
  std::shared_ptr<Reading> reading;
  std::size_t on_disk = 0;
  std::uint32_t seed = 0;
  {
    const std::lock_guard guard(mutex_);
    const Segment* const segment = const_cast<Spool*>(this)->find(extent.segment);
    if (!segment) return fail(Code::kNotFound, kGone);
    if (extent.offset + extent.span > segment->lost_from) return fail(Code::kIo, "The disk refused to take this body.");
    reading = segment->reading;
    seed = segment->seed;
    on_disk = copy_unwritten(extent, run);
  }
  if (on_disk > 0) SLUICE_CHECK(read_file(*reading, extent, MutableBytes(run).first(on_disk)));
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
