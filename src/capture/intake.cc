#include "capture/intake.h"

#include <algorithm>

namespace sluice::capture {
namespace {

// Under one lock of the index, so that readers need not wait long; then workers get their chunks back.
constexpr std::size_t kRecordsAtOnce = 1'024;
constexpr ByteCount kOctetsAtOnce = 512 * kKiB;
constexpr ByteCount kMostBodyRecord = 256 * kKiB;

bool is_body(RecordType type) { return type == RecordType::kRequestBody || type == RecordType::kResponseBody; }

StoredBody& body_of(Entry& entry, RecordType type) {
  return type == RecordType::kRequestBody ? entry.request : entry.response;
}

}  // namespace

Intake::Intake(const CaptureLimits& limits, const Clock& clock, Entropy& entropy, Spool& spool, RingIndex& index,
               std::mutex& index_mutex)
    : limits_(limits), clock_(clock), entropy_(entropy), spool_(spool), index_(index), index_mutex_(index_mutex) {}

// ---- taking ----

std::size_t Intake::drain(WorkerSink& sink) {
  late_.clear();
  sink.take_late(late_);
  RecordQueue& queue = sink.queue();
  const std::uint64_t from = queue.head(), until = queue.tail();
  if (from == until && late_.empty()) return 0;
  const MonoTime now = clock_.mono();
  const WallTime wall = clock_.wall();
  for (std::uint64_t at = from; at != until;) {
    ready_ = spool_.ready(now, wall);
    Freer freer(sink);
    const std::lock_guard guard(index_mutex_);
    at = take_some(queue, until, freer);
    queue.free_until(at);
  }
  Freer freer(sink);
  const std::lock_guard guard(index_mutex_);
  for (QueuedRecord& record : late_) {
    take(record);
    freer.free(record);
  }
  return static_cast<std::size_t>(until - from) + late_.size();
}

// Returns where it stopped.
std::uint64_t Intake::take_some(RecordQueue& queue, std::uint64_t until, Freer& freer) {
  std::uint64_t at = queue.head();
  until = std::min<std::uint64_t>(until, at + kRecordsAtOnce);
  ByteCount octets = 0;
  while (at != until && octets < kOctetsAtOnce) {
    QueuedRecord& record = queue.at(at);
    if (is_body(record.type)) {
      const std::uint64_t next = take_body(queue, at, until, freer);
      for (; at != next; ++at) octets += queue.at(at).size;
      continue;
    }
    octets += record.size;
    take(record);
    freer.free(record);
    ++at;
  }
  return at;
}

void Intake::take(QueuedRecord& record) {
  if (record.type == RecordType::kOpened) return take_opened(record);
  if (tap_) hand_on(record);
  Entry* const entry = index_.find_open(record.seq);
  if (!entry) return;  // its beginning was lost, or it was evicted
  switch (record.type) {
    case RecordType::kResponded:
      take_responded(*entry, record);
      break;
    case RecordType::kEnded:
      return take_ended(*entry, record);
    case RecordType::kMessage:
      take_message(*entry, record);
      break;
    default:
      entry->records.append(record.type, record.payload());
      write(record.type, record.seq, record.payload());
  }
  mark_changed(*entry);
}

void Intake::hand_on(const QueuedRecord& record) {
  flow::UpstreamPtr upstream;
  if (record.type == RecordType::kResponded) upstream = std::static_pointer_cast<const flow::Upstream>(record.attached);
  tap_->on_record(record.type, record.seq, record.payload(), upstream);
}

void Intake::take_opened(QueuedRecord& record) {
  const auto connection = std::static_pointer_cast<const flow::Connection>(std::move(record.attached));
  const bool own = connection && connection->source == flow::Source::kInternal;
  Entry& entry = index_.insert(record.seq, random_octets(), own);
  const Bytes payload = record.payload();
  entry.protocol = protocol_of_opened(payload);
  entry.records.append(record.type, payload);
  if (connection) {
    index_.set_connection(entry, connection);
    mention(RecordType::kConnection, entry.connection->fact->id.value, *entry.connection, format_connection);
  }
  const Bytes pieces[] = {Bytes(entry.uuid.data(), entry.uuid.size()), payload};
  if (ready_) spool_.add(record.type, record.seq, pieces);
  if (tap_) tap_->on_opened(record.seq, pieces[0], payload, entry.connection ? entry.connection->fact : nullptr);
  mark_changed(entry);
}

void Intake::take_responded(Entry& entry, QueuedRecord& record) {
  const Bytes payload = record.payload();
  if (entry.status != 0) entry.records.erase(record.type);  // an interim answer's
  entry.records.append(record.type, payload);
  const RespondedBrief brief = parse_responded_brief(payload);
  entry.status = brief.status;
  entry.protocol = brief.protocol;
  index_.set_upstream(entry, std::static_pointer_cast<const flow::Upstream>(std::move(record.attached)));
  if (entry.upstream) {
    mention(RecordType::kUpstream, entry.upstream->fact->id, *entry.upstream, format_upstream);
  }
  write(record.type, record.seq, payload);
}

void Intake::take_message(Entry& entry, const QueuedRecord& record) {
  const auto parts = parse_message(record.payload());
  if (!parts) return;
  StoredBody& body = parts->seen.direction == flow::Direction::kRequest ? entry.request : entry.response;
  body.size += parts->missing;
  if (parts->missing > 0) note_cut(entry, body, parts->missing);
  const std::uint32_t first_segment = spool_.first_segment();
  // On disk stands what is missing there, whoever cut it.
  const ByteCount gap = index_.end_cut(body, first_segment);
  std::string payload(message_size(parts->seen), '\0');
  write_message(OctetWriter(payload.data()), parts->seen, gap);
  index_.append_message(entry, write(record.type, record.seq, payload), first_segment);
}

void Intake::take_ended(Entry& entry, const QueuedRecord& record) {
  index_.close(entry);
  entry.records.append(record.type, record.payload());
  write(record.type, record.seq, record.payload());
  entry.ticket = record.ticket;
  entry.ending = true;
  ended_.push_back(&entry);
}

// ---- bodies ----

// Pieces of one body that follow each other become one record. Returns where they end.
std::uint64_t Intake::take_body(RecordQueue& queue, std::uint64_t at, std::uint64_t until, Freer& freer) {
  const std::uint64_t first = at;
  const RecordType type = queue.at(at).type;
  const std::uint64_t seq = queue.at(at).seq;
  Entry* const entry = index_.find_open(seq);
  const StoredBody* const body = entry ? &body_of(*entry, type) : nullptr;
  const bool wanted = body && !body->cut && ready_ && body->stored < limits_.max_body;
  const ByteCount offered = wanted ? spool_.room(kMostBodyRecord) : 0;
  const ByteCount room = wanted ? std::min(offered, limits_.max_body - body->stored) : 0;
  pieces_.clear();
  handed_.clear();
  ByteCount passed = 0, kept = 0;
  for (; at != until; ++at) {
    const QueuedRecord& record = queue.at(at);
    if (record.seq != seq || record.type != type) break;
    if (at != first && passed + record.size > (wanted ? offered : kMostBodyRecord)) break;
    passed += record.size;
    if (tap_) handed_.push_back(record.payload());
    const Bytes piece = record.payload().substr(0, static_cast<std::size_t>(room - kept));
    if (!piece.empty()) pieces_.push_back(piece);
    kept += piece.size();
  }
  if (entry) store_body(*entry, type, passed, kept);
  if (tap_) tap_->on_body(type, seq, handed_);
  for (std::uint64_t done = first; done != at; ++done) freer.free(queue.at(done));
  return at;
}

// What is kept of them is in pieces_.
void Intake::store_body(Entry& entry, RecordType type, ByteCount passed, ByteCount kept) {
  StoredBody& body = body_of(entry, type);
  body.size += passed;
  if (kept > 0) {
    if (const auto extent = spool_.add(type, entry.seq, pieces_)) {
      index_.append(body, *extent);
    } else {
      kept = 0;
    }
  }
  if (kept < passed) note_cut(entry, body, passed - kept);
  mark_changed(entry);
}

void Intake::note_cut(Entry& entry, StoredBody& body, ByteCount octets) {
  bytes_cut_ += octets;
  if (!body.counted) ++bodies_cut_;
  body.cut = body.counted = true;
  entry.anomalies |= http::bit(http::Anomaly::kCaptureCut);
}

void Intake::handle_loss(MonoTime now) {
  while (const auto loss = spool_.take_loss(now)) {
    const std::lock_guard guard(index_mutex_);
    index_.forget(loss->segment, loss->offset, [this](Entry& entry, StoredBody& body, ByteCount octets) {
      note_cut(entry, body, octets);
      if (entry.state == flow::State::kOpen) mark_changed(entry);
    });
  }
}

void Intake::Freer::free(QueuedRecord& record) {
  record.attached.reset();
  if (!record.chunk) {
    sink_.freed_on_heap(record.size);
    delete[] record.data;
    return;
  }
  if (record.chunk != chunk_) {
    give_back();
    chunk_ = record.chunk;
  }
  ++references_;
}

void Intake::Freer::give_back() {
  if (chunk_ && chunk_->references.fetch_sub(references_, std::memory_order_acq_rel) == references_) {
    chunk_->owner->recycle(chunk_);
  }
  chunk_ = nullptr;
  references_ = 0;
}

// ---- the spool ----

std::optional<Extent> Intake::write(RecordType type, std::uint64_t subject, Bytes payload) {
  if (!ready_) return std::nullopt;
  return spool_.add(type, subject, std::span(&payload, 1));
}

// What a record refers to stands before it in the same segment, so that each segment can be read alone.
template <class Use, class Format>
void Intake::mention(RecordType type, std::uint64_t id, Use& use, Format format) {
  if (!ready_ || use.mentioned_in == spool_.segment()) return;
  if (write(type, id, format(*use.fact))) use.mentioned_in = spool_.segment();
}

const Uuid& Intake::random_octets() {
  if (next_random_ == random_.size()) {
    entropy_.fill(MutableBytes(random_.front().data(), sizeof(random_)));
    next_random_ = 0;
  }
  return random_[next_random_++];
}

// ---- publishing ----

void Intake::mark_changed(Entry& entry) {
  if (entry.dirty || entry.ending) return;
  entry.dirty = true;
  changed_.push_back(&entry);
}

// With the rev, not before: a reader whose cursor is older sees an exchange end once.
void Intake::apply_ending(Entry& entry) {
  const EndedBrief brief = parse_ended_brief(entry.records.find(RecordType::kEnded));
  entry.ending = false;
  entry.state = brief.state == flow::State::kOpen ? flow::State::kDone : brief.state;
  entry.protocol = brief.protocol;
  entry.anomalies |= brief.anomalies;
  entry.request.ended = brief.request_ended;
  entry.response.ended = brief.response_ended;
  entry.request.size += brief.cuts.request;
  entry.response.size += brief.cuts.response;
  if (entry.protocol == flow::Protocol::kTls) return;  // what was passed through was never to be stored
  if (brief.cuts.request > 0) note_cut(entry, entry.request, brief.cuts.request);
  if (brief.cuts.response > 0) note_cut(entry, entry.response, brief.cuts.response);
}

std::size_t Intake::publish(std::uint64_t tickets) {
  if (ended_.empty() && changed_.empty()) return 0;
  // Mostly they are in order: one worker's always are.
  const auto earlier = [](const Entry* a, const Entry* b) { return a->ticket < b->ticket; };
  const auto older = [](const Entry* a, const Entry* b) { return a->seq < b->seq; };
  if (!std::is_sorted(ended_.begin(), ended_.end(), earlier)) std::sort(ended_.begin(), ended_.end(), earlier);
  const auto waiting = std::find_if(ended_.begin(), ended_.end(), [&](const Entry* e) { return e->ticket >= tickets; });
  std::erase_if(changed_, [](Entry* entry) {
    entry->dirty = false;
    return entry->ending;
  });
  if (!std::is_sorted(changed_.begin(), changed_.end(), older)) std::sort(changed_.begin(), changed_.end(), older);

  const std::lock_guard guard(index_mutex_);
  for (auto at = ended_.begin(); at != waiting; ++at) {
    apply_ending(**at);
    index_.publish(**at);
  }
  for (Entry* const entry : changed_) index_.publish(*entry);
  const std::size_t published = static_cast<std::size_t>(waiting - ended_.begin()) + changed_.size();
  ended_.erase(ended_.begin(), waiting);
  changed_.clear();
  evicted_ +=
      index_.evict(limits_.ring_exchanges, limits_.ring_memory, [this](Entry& entry) { std::erase(ended_, &entry); });
  return published;
}

}  // namespace sluice::capture
