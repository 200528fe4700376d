#include "capture/intake.h"

#include <algorithm>

namespace sluice::capture {
namespace {

constexpr std::size_t kBatchRecords = 1'024;
constexpr std::size_t kBatchOctets = 2 * kMiB;  // then it is written, so that workers get their chunks back
constexpr ByteCount kMostBodyRecord = 256 * kKiB;
constexpr std::size_t kUuidsAtOnce = 64;

bool is_body(RecordType type) { return type == RecordType::kRequestBody || type == RecordType::kResponseBody; }

StoredBody& body_of(Entry& entry, RecordType type) {
  return type == RecordType::kRequestBody ? entry.request : entry.response;
}
Entry::Intake& intake_of(Entry& entry, RecordType type) {
  return type == RecordType::kRequestBody ? entry.request_intake : entry.response_intake;
}

}  // namespace

Intake::Intake(const CaptureLimits& limits, const Clock& clock, Entropy& entropy, Spool& spool, RingIndex& index,
               std::mutex& index_mutex)
    : limits_(limits), clock_(clock), entropy_(entropy), spool_(spool), index_(index), index_mutex_(index_mutex) {}

std::size_t Intake::drain(WorkerSink& sink) {
  late_.clear();
  sink.take_late(late_);
  const std::uint64_t until = sink.queue().tail();
  std::size_t handled = 0, late = 0;
  for (;;) {
    std::size_t octets = 0;
    QueuedRecord record;
    while (batch_.size() < kBatchRecords && octets < kBatchOctets) {
      if (!sink.queue().pop(until, record)) {
        if (late == late_.size()) break;
        record = std::move(late_[late++]);
      }
      octets += record.size;
      batch_.emplace_back().record = std::move(record);
    }
    sink.queue().commit();
    if (batch_.empty()) return handled;
    handled += batch_.size();
    process();
    free_payloads(sink);
    batch_.clear();
  }
}

void Intake::process() {
  for (Item& item : batch_) find_entry(item);
  write_all();
  const std::lock_guard guard(index_mutex_);
  for (Item& item : batch_) apply(item);
}

Uuid Intake::make_uuid() {
  if (uuids_.empty()) {
    uuids_.resize(kUuidsAtOnce);
    entropy_.fill(MutableBytes(uuids_.front().data(), sizeof(Uuid) * kUuidsAtOnce));
  }
  Uuid uuid = uuids_.back();
  uuids_.pop_back();
  // RFC 9562 §5.4: version 4, variant 10.
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

void Intake::find_entry(Item& item) {
  const std::uint64_t seq = item.record.seq;
  if (item.record.type == RecordType::kOpened) {
    item.created = std::make_unique<Entry>();
    item.entry = item.created.get();
    item.entry->uuid = make_uuid();
    item.entry->seq = seq;
    item.entry->connection = std::static_pointer_cast<const flow::Connection>(item.record.attached);
    open_[seq] = item.entry;
    return;
  }
  const auto found = open_.find(seq);
  if (found == open_.end()) return;  // its beginning was lost, or it was evicted
  item.entry = found->second;
  if (item.record.type == RecordType::kEnded) open_.erase(found);
}

void Intake::write_all() {
  const MonoTime now = clock_.mono();
  const bool ready = spool_.ready(now, clock_.wall());
  for (std::size_t i = 0; i < batch_.size();) {
    Item& item = batch_[i];
    if (item.entry && is_body(item.record.type)) {
      if (ready) {
        i = write_body_run(i);
        continue;
      }
      item.passed = item.record.size;
    } else if (item.entry && ready) {
      write_head(item);
    }
    ++i;
  }
  if (ready && !spool_.flush(now)) {
    for (Item& item : batch_) item.extent.reset();
  }
}

// Pieces of one body that follow each other become one record. Returns where the run ends.
std::size_t Intake::write_body_run(std::size_t first) {
  Item& item = batch_[first];
  const RecordType type = item.record.type;
  Entry::Intake& intake = intake_of(*item.entry, type);
  pieces_.clear();
  ByteCount kept = 0;
  std::size_t end = first;
  for (; end < batch_.size(); ++end) {
    const Item& next = batch_[end];
    if (next.entry != item.entry || next.record.type != type) break;
    if (end != first && item.passed + next.record.size > kMostBodyRecord) break;
    item.passed += next.record.size;
    const ByteCount room = intake.cut ? 0 : limits_.max_body - std::min(limits_.max_body, intake.accepted + kept);
    const Bytes piece =
        next.record.payload().substr(0, static_cast<std::size_t>(std::min<ByteCount>(room, next.record.size)));
    if (piece.empty()) continue;
    pieces_.push_back(piece);
    kept += piece.size();
  }
  intake.accepted += kept;
  if (kept > 0) item.extent = spool_.add(type, item.record.seq, pieces_);
  return end;
}

// What a record refers to stands before it in the same segment, so that each segment can be read alone.
void Intake::write_head(Item& item) {
  const QueuedRecord& record = item.record;
  if (record.type == RecordType::kOpened && item.entry->connection) {
    const flow::Connection& connection = *item.entry->connection;
    if (spool_.first_mention(RecordType::kConnection, connection.id.value)) {
      spool_.add_copied(RecordType::kConnection, connection.id.value, format_connection(connection));
    }
  }
  if (record.type == RecordType::kResponded && record.attached) {
    const auto& upstream = *static_cast<const flow::Upstream*>(record.attached.get());
    if (spool_.first_mention(RecordType::kUpstream, upstream.id)) {
      spool_.add_copied(RecordType::kUpstream, upstream.id, format_upstream(upstream));
    }
  }
  const Uuid& uuid = item.entry->uuid;
  const Bytes pieces[] = {Bytes(uuid.data(), uuid.size()), record.payload()};
  const bool opened = record.type == RecordType::kOpened;
  item.extent = spool_.add(record.type, record.seq, opened ? std::span(pieces) : std::span(pieces).subspan(1));
}

void Intake::mark_dirty(Entry& entry) {
  if (entry.dirty) return;
  entry.dirty = true;
  dirty_.push_back(&entry);
}

void Intake::apply(Item& item) {
  if (!item.entry) return;
  Entry& entry = *item.entry;
  const Bytes payload = item.record.payload();
  switch (item.record.type) {
    case RecordType::kOpened:
      entry.opened = payload;
      if (const auto parts = parse_opened(payload)) entry.protocol = parts->protocol;
      index_.insert(std::move(item.created));
      break;
    case RecordType::kRequestSent:
      entry.request_effective = payload;
      break;
    case RecordType::kResponded:
      entry.responded = payload;
      if (const auto parts = parse_responded(payload)) entry.status = parts->status;
      entry.upstream = std::static_pointer_cast<const flow::Upstream>(item.record.attached);
      break;
    case RecordType::kRequestBody:
    case RecordType::kResponseBody:
      apply_body(item);
      break;
    case RecordType::kRequestTrailers:
      entry.request_trailers += payload;
      break;
    case RecordType::kResponseTrailers:
      entry.response_trailers += payload;
      break;
    case RecordType::kEnded:
      entry.ending = std::make_unique<EndedParts>(parse_ended(payload).value_or(EndedParts()));
      entry.ticket = item.record.ticket;
      break;
    case RecordType::kMessage:
      index_.append_message(entry, item.extent);
      break;
    case RecordType::kConnection:
    case RecordType::kUpstream:
      break;
  }
  mark_dirty(entry);
}

void Intake::apply_body(Item& item) {
  StoredBody& body = body_of(*item.entry, item.record.type);
  body.size += item.passed;
  const ByteCount kept = item.extent ? item.extent->content : 0;
  if (item.extent) index_.append(body, *item.extent);
  if (kept < item.passed) note_cut(*item.entry, intake_of(*item.entry, item.record.type), item.passed - kept);
}

void Intake::note_cut(Entry& entry, Entry::Intake& intake, ByteCount octets) {
  bytes_cut_ += octets;
  if (!intake.cut) ++bodies_cut_;
  intake.cut = true;
  entry.anomalies |= http::bit(http::Anomaly::kCaptureCut);
}

// With the rev, not before: a reader whose cursor is older sees an exchange end once.
void Intake::apply_ending(Entry& entry) {
  EndedParts& parts = *entry.ending;
  entry.state = parts.state == flow::State::kOpen ? flow::State::kDone : parts.state;
  entry.protocol = parts.protocol;
  entry.timings = parts.timings;
  entry.anomalies |= parts.anomalies;
  entry.matched_rule = parts.matched_rule;
  entry.rule_ids = std::move(parts.rule_ids);
  if (parts.failure) entry.failure = std::make_unique<flow::Failure>(std::move(*parts.failure));
  entry.request.ended = parts.request_ended;
  entry.response.ended = parts.response_ended;
  entry.request.size += parts.cuts.request;
  entry.response.size += parts.cuts.response;
  // What was passed through was never to be stored.
  if (entry.protocol != flow::Protocol::kTls) {
    if (parts.cuts.request > 0) note_cut(entry, entry.request_intake, parts.cuts.request);
    if (parts.cuts.response > 0) note_cut(entry, entry.response_intake, parts.cuts.response);
  }
  entry.ending.reset();
}

std::size_t Intake::publish(std::uint64_t tickets) {
  if (dirty_.empty()) return 0;
  const auto ended = [](const Entry* entry) { return entry->ending != nullptr; };
  const auto first_open = std::partition(dirty_.begin(), dirty_.end(), ended);
  std::sort(dirty_.begin(), first_open, [](const Entry* a, const Entry* b) { return a->ticket < b->ticket; });
  std::sort(first_open, dirty_.end(), [](const Entry* a, const Entry* b) { return a->seq < b->seq; });
  std::vector<Entry*> waiting;
  std::size_t published = 0;
  const std::lock_guard guard(index_mutex_);
  for (Entry* const entry : dirty_) {
    if (ended(entry) && entry->ticket >= tickets) {
      waiting.push_back(entry);
      continue;
    }
    if (entry->ending) apply_ending(*entry);
    entry->dirty = false;
    index_.publish(*entry);
    ++published;
  }
  dirty_ = std::move(waiting);
  evicted_ += index_.evict(limits_.ring_exchanges, limits_.ring_memory, [this](Entry& entry) {
    open_.erase(entry.seq);
    std::erase(dirty_, &entry);
  });
  return published;
}

// References to one chunk come in rows: one atomic operation gives a whole row back.
void Intake::free_payloads(WorkerSink& sink) {
  flow::Chunk* chunk = nullptr;
  std::uint32_t references = 0;
  const auto give_back = [&] {
    if (chunk && chunk->references.fetch_sub(references, std::memory_order_acq_rel) == references) {
      chunk->owner->recycle(chunk);
    }
  };
  for (const Item& item : batch_) {
    const QueuedRecord& record = item.record;
    if (!record.chunk) {
      sink.freed_on_heap(record.size);
      delete[] record.data;
      continue;
    }
    if (record.chunk != chunk) {
      give_back();
      chunk = record.chunk;
      references = 0;
    }
    ++references;
  }
  give_back();
}

}  // namespace sluice::capture
