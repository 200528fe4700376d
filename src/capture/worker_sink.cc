#include "capture/worker_sink.h"

#include <algorithm>

namespace sluice::capture {
namespace {

constexpr std::size_t kLeastSpace = 16 * kKiB;  // flow::Sink promises this much
constexpr std::size_t kScratch = 64 * kKiB;
constexpr std::size_t kMostOnHeap = 4 * kMiB;  // heads waiting outside of chunks, for each worker
// Less is copied when held: a slow client must not pin a whole chunk for a few octets.
constexpr std::size_t kLeastHeldInPlace = 8 * kKiB;

bool lies_in(Bytes part, const char* begin, std::size_t size) {
  const std::less<const char*> before;
  return !before(part.data(), begin) && !before(begin + size, part.data() + part.size());
}

}  // namespace

WorkerSink::WorkerSink(ChunkPool& pool, SharedCounters& shared, std::size_t queue_capacity)
    : pool_(pool), shared_(shared), queue_(queue_capacity), read_(pool), copy_(pool) {}

WorkerSink::~WorkerSink() {
  std::vector<QueuedRecord> rest;
  take_late(rest);
  for (std::uint64_t at = queue_.head(); at != queue_.tail(); ++at) rest.push_back(std::move(queue_.at(at)));
  for (const QueuedRecord& left : rest) {
    if (left.chunk) {
      flow::release(left.chunk);
    } else {
      delete[] left.data;
    }
  }
}

MutableBytes WorkerSink::read_space(std::size_t want) {
  want = std::max(want, kLeastSpace);
  if (!read_.make_room(kLeastSpace)) {
    if (!scratch_) scratch_ = std::make_unique_for_overwrite<char[]>(kScratch);
    space_ = {};
    return MutableBytes(scratch_.get(), std::min(want, std::size_t{kScratch}));
  }
  space_ = MutableBytes(read_.at(), std::min(want, read_.room()));
  return space_;
}

bool WorkerSink::in_space(Bytes content) const {
  return !space_.empty() && lies_in(content, space_.data(), space_.size());
}

flow::Held WorkerSink::hold(Bytes octets) {
  if (octets.size() < kLeastHeldInPlace || !in_space(octets) || pool_.scarce()) return flow::Held(octets);
  read_.use_until(octets.data() + octets.size());
  return flow::Held(read_.chunk(), octets);
}

char* WorkerSink::make_payload(QueuedRecord& record, std::size_t size, bool must) {
  record.size = static_cast<std::uint32_t>(size);
  if (copy_.make_room(size)) {
    char* const at = copy_.at();
    copy_.use_until(at + size);
    record.chunk = copy_.lend();
    record.data = at;
    return at;
  }
  if (!must && (size > kMaxPayload || heap_.load(std::memory_order_relaxed) + size > kMostOnHeap)) return nullptr;
  heap_.fetch_add(size, std::memory_order_relaxed);
  char* const at = new char[size];
  record.chunk = nullptr;
  record.data = at;
  return at;
}

QueuedRecord* WorkerSink::begin_record(RecordType type, ExchangeSeq seq, std::size_t size, std::size_t reserve,
                                       char*& at) {
  if (queue_.has_room(reserve)) {
    QueuedRecord& record = queue_.next();
    record.type = type;
    record.seq = seq.value;
    at = make_payload(record, size, false);
    if (at) return &record;
  }
  count_lost();
  return nullptr;
}

ExchangeSeq WorkerSink::opened(const flow::Opened& opened) {
  const ExchangeSeq seq{shared_.opened.fetch_add(1, std::memory_order_relaxed) + 1};
  char* at = nullptr;
  QueuedRecord* const record = begin_record(RecordType::kOpened, seq, opened_size(opened), opened_reserve(), at);
  if (!record) return seq;
  write_opened(OctetWriter(at), opened);
  record->attached = opened.connection;
  queue_.push();
  return seq;
}

void WorkerSink::responded(ExchangeSeq seq, const flow::Responded& responded) {
  char* at = nullptr;
  QueuedRecord* const record = begin_record(RecordType::kResponded, seq, responded_size(responded), head_reserve(), at);
  if (!record) return;
  write_responded(OctetWriter(at), responded);
  record->attached = responded.upstream;
  queue_.push();
}

void WorkerSink::push_octets(RecordType type, ExchangeSeq seq, Bytes octets) {
  char* at = nullptr;
  if (!begin_record(type, seq, octets.size(), head_reserve(), at)) return;
  OctetWriter(at).octets(octets);
  queue_.push();
}

void WorkerSink::request_sent(ExchangeSeq seq, Bytes effective_head) {
  push_octets(RecordType::kRequestSent, seq, effective_head);
}

void WorkerSink::trailers(ExchangeSeq seq, flow::Direction direction, Bytes raw) {
  const bool request = direction == flow::Direction::kRequest;
  push_octets(request ? RecordType::kRequestTrailers : RecordType::kResponseTrailers, seq, raw);
}

void WorkerSink::message(ExchangeSeq seq, const flow::MessageSeen& message) {
  char* at = nullptr;
  if (!begin_record(RecordType::kMessage, seq, message_size(message), message_reserve(), at)) {
    cuts_[seq.value].cuts.a_message = true;
    return;
  }
  // A socket lives long: what was cut is a gap between messages, not the end of what is kept.
  const ByteCount missing = cuts_.empty() ? 0 : end_cut(seq, message.direction);
  write_message(OctetWriter(at), message, missing);
  queue_.push();
}

void WorkerSink::push_body(RecordType type, ExchangeSeq seq, flow::Chunk* chunk, Bytes content) {
  QueuedRecord& record = queue_.next();
  record.type = type;
  record.seq = seq.value;
  record.chunk = chunk;
  record.data = content.data();
  record.size = static_cast<std::uint32_t>(content.size());
  queue_.push();
}

void WorkerSink::body(ExchangeSeq seq, flow::Direction direction, Bytes content) {
  const bool request = direction == flow::Direction::kRequest;
  const RecordType type = request ? RecordType::kRequestBody : RecordType::kResponseBody;
  if (!cuts_.empty() && (is_cut(seq, direction) || !goes_on(seq))) return cut(seq, direction, content.size());
  if (!content.empty() && in_space(content)) {
    if (!queue_.has_room(body_reserve())) return cut(seq, direction, content.size());
    read_.use_until(content.data() + content.size());
    return push_body(type, seq, read_.lend(), content);
  }
  while (!content.empty()) {
    const std::size_t least = std::min<std::size_t>(content.size(), kLeastSpace);
    if (!queue_.has_room(body_reserve()) || !copy_.make_room(least)) return cut(seq, direction, content.size());
    const Bytes now = content.substr(0, copy_.room());
    char* const at = copy_.at();
    OctetWriter(at).octets(now);
    copy_.use_until(at + now.size());
    push_body(type, seq, copy_.lend(), Bytes(at, now.size()));
    content.remove_prefix(now.size());
  }
}

// What is stored of a body is a beginning of it, without holes: once cut, cut to the end.
bool WorkerSink::is_cut(ExchangeSeq seq, flow::Direction direction) const {
  const auto found = cuts_.find(seq.value);
  if (found == cuts_.end()) return false;
  const Cuts& cuts = found->second.cuts;
  return (direction == flow::Direction::kRequest ? cuts.request : cuts.response) > 0;
}

void WorkerSink::cut(ExchangeSeq seq, flow::Direction direction, ByteCount octets) {
  Cuts& cuts = cuts_[seq.value].cuts;
  (direction == flow::Direction::kRequest ? cuts.request : cuts.response) += octets;
}

// A socket's content, after a message that followed a gap.
bool WorkerSink::goes_on(ExchangeSeq seq) {
  const auto found = cuts_.find(seq.value);
  if (found == cuts_.end() || !found->second.after_a_gap) return true;
  if (!queue_.has_room(after_gap_reserve())) return false;
  found->second.after_a_gap = false;
  forget_if_whole(found);
  return true;
}

void WorkerSink::forget_if_whole(LeftOut::iterator of) {
  const auto& [cuts, after_a_gap] = of->second;
  if (cuts.request == 0 && cuts.response == 0 && !cuts.a_message && !after_a_gap) cuts_.erase(of);
}

ByteCount WorkerSink::end_cut(ExchangeSeq seq, flow::Direction direction) {
  const auto found = cuts_.find(seq.value);
  if (found == cuts_.end()) return 0;
  Cuts& cuts = found->second.cuts;
  const ByteCount octets = std::exchange(direction == flow::Direction::kRequest ? cuts.request : cuts.response, 0);
  if (octets > 0) found->second.after_a_gap = true;
  forget_if_whole(found);
  return octets;
}

void WorkerSink::ended(ExchangeSeq seq, const flow::Ended& ended) {
  Cuts cuts;
  if (!cuts_.empty()) {
    if (const auto found = cuts_.find(seq.value); found != cuts_.end()) {
      cuts = found->second.cuts;
      cuts_.erase(found);
    }
  }
  cuts.request += ended.request_counted;
  cuts.response += ended.response_counted;
  const bool room = queue_.has_room(1);
  QueuedRecord late;
  QueuedRecord& record = room ? queue_.next() : late;
  record.type = RecordType::kEnded;
  record.seq = seq.value;
  write_ended(OctetWriter(make_payload(record, ended_size(ended), true)), ended, cuts);
  record.ticket = shared_.tickets.fetch_add(1, std::memory_order_relaxed);
  if (room) return queue_.push();
  const std::lock_guard guard(late_mutex_);
  late_.push_back(std::move(late));
  has_late_.store(true, std::memory_order_relaxed);
}

void WorkerSink::take_late(std::vector<QueuedRecord>& out) {
  if (!has_late_.load(std::memory_order_relaxed)) return;
  const std::lock_guard guard(late_mutex_);
  std::move(late_.begin(), late_.end(), std::back_inserter(out));
  late_.clear();
  has_late_.store(false, std::memory_order_relaxed);
}

}  // namespace sluice::capture
