#include "capture/ring_index.h"

#include <algorithm>
#include <cstring>

namespace sluice::capture {
namespace {

// Places in tables and the allocator's own octets, for each exchange.
constexpr ByteCount kOverhead = 96;
// A run this long is read in one go; pieces of a body that trickles in are gathered into runs, so that a million of
// them do not take a million entries of memory.
constexpr std::uint32_t kMostRun = 256 * 1024;
// Free entries that keep their memory for the next exchange.
constexpr std::size_t kMostReady = 256;

ByteCount cost_of(const std::string& text) { return text.capacity() > 15 ? text.capacity() + 16 : 0; }

ByteCount cost_of_connection(const flow::Connection& connection) {
  ByteCount cost = sizeof(connection) + kOverhead;
  if (!connection.tls) return cost;
  const flow::ClientTls& tls = *connection.tls;  // counted in full, though others may share it
  cost += sizeof(tls);
  for (const std::string* text : {&tls.sni, &tls.ja3, &tls.ja3_text, &tls.ja4, &tls.ja4_raw}) cost += cost_of(*text);
  return cost + tls.alpn_offered.size() * sizeof(std::string);
}

ByteCount cost_of_upstream(const flow::Upstream& upstream) {
  ByteCount cost = sizeof(upstream) + kOverhead + cost_of(upstream.proxy);
  if (!upstream.tls) return cost;
  cost += sizeof(*upstream.tls);
  for (const auto& certificate : upstream.tls->chain) {
    cost += sizeof(certificate) + cost_of(certificate.subject) + cost_of(certificate.issuer) + 128;
    for (const std::string& name : certificate.sans) cost += sizeof(name) + cost_of(name);
  }
  return cost + cost_of(upstream.tls->ja3s_text);
}

// No table leads from ids to entries: the last four octets, masked with the first four, are the entry's slot.
std::uint32_t mask_of(const Uuid& uuid) {
  std::uint32_t mask;
  std::memcpy(&mask, uuid.data(), sizeof(mask));
  return mask;
}
std::uint32_t slot_of(const Uuid& uuid) {
  std::uint32_t masked;
  std::memcpy(&masked, uuid.data() + uuid.size() - sizeof(masked), sizeof(masked));
  return masked ^ mask_of(uuid);
}
Uuid make_uuid(const Uuid& random, std::uint32_t slot, bool own) {
  Uuid uuid = random;
  // RFC 9562 §5.4, §5.8: version 4, or 8 for what says that it is our own; variant 10.
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | (own ? 0x80 : 0x40));
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  const std::uint32_t masked = slot ^ mask_of(uuid);
  std::memcpy(uuid.data() + uuid.size() - sizeof(masked), &masked, sizeof(masked));
  return uuid;
}

template <class List, class SegmentOf, class Visit>
void for_each_segment(const List& list, SegmentOf segment_of, Visit visit) {
  std::uint32_t before = 0;
  for (const auto& item : list) {
    const std::uint32_t segment = segment_of(item);
    if (segment == 0) continue;  // a gap
    if (segment != before) visit(segment);
    before = segment;
  }
}
std::uint32_t segment_of_run(const MessageRun& run) { return run.extent.segment; }
std::uint32_t segment_of_extent(const Extent& extent) { return extent.segment; }

}  // namespace

// ---- entries ----

Entry& RingIndex::insert(std::uint64_t seq, const Uuid& random, bool own) {
  if (free_.empty()) {
    auto& block = *blocks_.emplace_back(std::make_unique<std::array<Entry, kBlock>>());
    for (std::size_t i = kBlock; i-- > 0;) {
      block[i].slot = static_cast<std::uint32_t>((blocks_.size() - 1) * kBlock + i);
      free_.push_back(&block[i]);
    }
  }
  Entry& entry = *free_.back();
  free_.pop_back();
  entry.seq = seq;
  entry.uuid = make_uuid(random, entry.slot, own);
  by_seq_.insert(seq, &entry);
  return entry;
}

Entry* RingIndex::find_open(std::uint64_t seq) {
  Entry** const found = by_seq_.find(seq);
  return found ? *found : nullptr;
}

const Entry* RingIndex::find(const Uuid& uuid) const {
  const std::size_t slot = slot_of(uuid);
  if (slot >= blocks_.size() * kBlock) return nullptr;
  const Entry& entry = (*blocks_[slot / kBlock])[slot % kBlock];
  return entry.rev != 0 && entry.uuid == uuid ? &entry : nullptr;
}

const Entry* RingIndex::find_ended(std::uint64_t seq) const {
  const auto found =
      std::find_if(ended_.rbegin(), ended_.rend(), [seq](const Entry* entry) { return entry->seq == seq; });
  return found == ended_.rend() ? nullptr : *found;
}

void RingIndex::set_connection(Entry& entry, flow::ConnectionPtr connection) {
  entry.connection = connections_.join(std::move(connection), cost_of_connection);
}

void RingIndex::set_upstream(Entry& entry, flow::UpstreamPtr upstream) {
  Upstreams::Use* const before = entry.upstream;
  entry.upstream = upstream ? upstreams_.join(std::move(upstream), cost_of_upstream) : nullptr;
  upstreams_.leave(before);
}

void RingIndex::remove(Entry& entry) {
  for (const StoredBody* body : {&entry.request, &entry.response}) {
    for_each_segment(body->extents.view(), segment_of_extent, [this](std::uint32_t segment) { unwant(segment); });
  }
  if (entry.messages) {
    for_each_segment(entry.messages->runs, segment_of_run, [this](std::uint32_t segment) { unwant(segment); });
  }
  memory_ -= entry.charged;
  connections_.leave(entry.connection);
  upstreams_.leave(entry.upstream);
  const std::uint32_t slot = entry.slot;
  KeptRecords records = std::move(entry.records);
  std::destroy_at(&entry);
  std::construct_at(&entry)->slot = slot;
  if (free_.size() < kMostReady) {
    records.clear();
    entry.records = std::move(records);
  }
  free_.push_back(&entry);
}

// ---- bodies and messages ----

void RingIndex::want(std::uint32_t segment) {
  for (; segment < first_want_; --first_want_) wants_.insert(wants_.begin(), 0);
  const std::size_t place = segment - first_want_;
  if (place >= wants_.size()) wants_.resize(place + 1);
  ++wants_[place];
}

std::uint32_t RingIndex::first_wanted_segment() {
  const auto first = std::find_if(wants_.begin(), wants_.end(), [](std::uint32_t wants) { return wants > 0; });
  first_want_ += static_cast<std::uint32_t>(first - wants_.begin());
  wants_.erase(wants_.begin(), first);
  return wants_.empty() ? UINT32_MAX : first_want_;
}

// True: `extent` became part of the run that ends with `last`.
bool RingIndex::join(Extent& last, const Extent& extent) {
  const std::uint32_t run = extent.offset + extent.span - last.offset;
  if (last.segment != extent.segment || run > kMostRun) return false;
  last.span = run;
  last.content += extent.content;
  return true;
}

// 0: in none.
std::uint32_t RingIndex::last_segment(const StoredBody& body) {
  const auto extents = body.extents.view();
  const auto last =
      std::find_if(extents.rbegin(), extents.rend(), [](const Extent& extent) { return !extent.is_gap(); });
  return last == extents.rend() ? 0 : last->segment;
}

void RingIndex::append(StoredBody& body, const Extent& extent) {
  body.stored += extent.content;
  const bool first = body.extents.empty();
  if (!first && join(body.extents.back(), extent)) return;
  if (last_segment(body) != extent.segment) want(extent.segment);
  body.extents.push_back(extent);
}

ByteCount RingIndex::end_cut(StoredBody& body, std::uint32_t first_segment) {
  body.cut = false;
  const ByteCount gap = body.size - (body.begin + body.stored + body.gaps);
  body.gaps += gap;
  for (ByteCount left = gap; left > 0;) {
    const bool joins =
        !body.extents.empty() && body.extents.back().is_gap() && body.extents.back().content < UINT32_MAX;
    const ByteCount most = UINT32_MAX - (joins ? body.extents.back().content : 0);
    const auto octets = static_cast<std::uint32_t>(std::min(left, most));
    if (joins)
      body.extents.back().content += octets;
    else
      body.extents.push_back({0, 0, 0, octets});
    left -= octets;
  }
  forget_old(body, first_segment);
  return gap;
}

void RingIndex::forget_old(StoredBody& body, std::uint32_t first_segment) {
  const auto extents = body.extents.view();
  const auto kept = std::find_if(extents.begin(), extents.end(), [&](const Extent& extent) {
    return !extent.is_gap() && extent.segment >= first_segment;
  });
  if (kept == extents.begin() || kept == extents.end()) return;
  const std::span forgotten(extents.begin(), kept);
  for_each_segment(forgotten, segment_of_extent, [this](std::uint32_t segment) { unwant(segment); });
  for (const Extent& extent : forgotten) {
    body.begin += extent.content;
    (extent.is_gap() ? body.gaps : body.stored) -= extent.content;
  }
  body.extents.drop_first(forgotten.size());
}

void RingIndex::append_message(Entry& entry, const std::optional<Extent>& extent, std::uint32_t first_segment) {
  if (!entry.messages) entry.messages = std::make_unique<MessageRuns>();
  MessageRuns& messages = *entry.messages;
  const std::uint64_t number = messages.total++;
  if (!extent) return;
  std::vector<MessageRun>& runs = messages.runs;
  if (!runs.empty() && runs.back().first + runs.back().count == number && join(runs.back().extent, *extent)) {
    ++runs.back().count;
    return;
  }
  if (runs.empty() || runs.back().extent.segment != extent->segment) {
    want(extent->segment);
    const auto kept = std::find_if(runs.begin(), runs.end(),
                                   [&](const MessageRun& run) { return run.extent.segment >= first_segment; });
    for_each_segment(std::span(runs.begin(), kept), segment_of_run, [this](std::uint32_t segment) { unwant(segment); });
    runs.erase(runs.begin(), kept);
  }
  runs.push_back({*extent, number, 1});
}

// All that follows goes too: what is kept of a body is a beginning of it.
ByteCount RingIndex::forget(StoredBody& body, std::uint32_t segment, ByteCount offset) {
  const auto extents = body.extents.view();
  const auto lost = std::find_if(extents.begin(), extents.end(), [&](const Extent& extent) {
    return extent.segment == segment && extent.offset + extent.span > offset;
  });
  if (lost == extents.end()) return 0;
  const std::size_t kept = static_cast<std::size_t>(lost - extents.begin());
  for_each_segment(extents, segment_of_extent, [this](std::uint32_t wanted) { unwant(wanted); });
  ByteCount octets = 0;
  for (const Extent& extent : extents.subspan(kept)) {
    (extent.is_gap() ? body.gaps : body.stored) -= extent.content;
    if (!extent.is_gap()) octets += extent.content;
  }
  body.extents.truncate(kept);
  for_each_segment(body.extents.view(), segment_of_extent, [this](std::uint32_t wanted) { want(wanted); });
  return octets;
}

void RingIndex::forget(std::vector<MessageRun>& runs, std::uint32_t segment, ByteCount offset) {
  const auto lost = std::find_if(runs.begin(), runs.end(), [&](const MessageRun& run) {
    return run.extent.segment == segment && run.extent.offset + run.extent.span > offset;
  });
  if (lost == runs.end()) return;
  if (lost == runs.begin() || std::prev(lost)->extent.segment != segment) unwant(segment);
  const auto behind =
      std::find_if(lost, runs.end(), [&](const MessageRun& run) { return run.extent.segment != segment; });
  runs.erase(lost, behind);
}

void RingIndex::forget(std::uint32_t segment, ByteCount offset, const OnCut& on_cut) {
  for (const auto& block : blocks_) {
    for (Entry& entry : *block) {
      for (StoredBody* const body : {&entry.request, &entry.response}) {
        if (const ByteCount octets = forget(*body, segment, offset)) on_cut(entry, *body, octets);
      }
      if (entry.messages) forget(entry.messages->runs, segment, offset);
    }
  }
}

// ---- lists ----

void RingIndex::charge(Entry& entry) {
  ByteCount cost = sizeof(entry) + kOverhead + entry.records.memory() + entry.request.extents.memory() +
                   entry.response.extents.memory();
  if (entry.messages) cost += sizeof(MessageRuns) + entry.messages->runs.capacity() * sizeof(MessageRun);
  memory_ += cost - entry.charged;
  entry.charged = static_cast<std::uint32_t>(cost);
}

void RingIndex::publish(Entry& entry) {
  const bool first = entry.rev == 0;
  entry.rev = ++last_rev_;
  if (entry.state != flow::State::kOpen) {
    if (!first) remove_from_open(entry);
    ended_.push_back(&entry);
    entry.request.extents.trim();
    entry.response.extents.trim();
  } else if (first) {
    entry.place_in_open = static_cast<std::uint32_t>(open_.size());
    open_.push_back(&entry);
  }
  charge(entry);
}

void RingIndex::remove_from_open(Entry& entry) {
  open_.back()->place_in_open = entry.place_in_open;
  open_[entry.place_in_open] = open_.back();
  open_.pop_back();
}

std::size_t RingIndex::evict(std::size_t most_exchanges, ByteCount most_memory,
                             const std::function<void(Entry&)>& on_open) {
  std::size_t evicted = 0;
  for (; !ended_.empty() && (ended_.size() > most_exchanges || memory() > most_memory); ++evicted) {
    remove(*ended_.front());
    ended_.pop_front();
  }
  if (memory() <= most_memory) return evicted;
  std::vector<Entry*> oldest_first = open_;
  std::sort(oldest_first.begin(), oldest_first.end(), [](const Entry* a, const Entry* b) { return a->seq < b->seq; });
  for (Entry* const oldest : oldest_first) {
    if (memory() <= most_memory) break;
    on_open(*oldest);
    if (!oldest->ending) close(*oldest);
    remove_from_open(*oldest);
    remove(*oldest);
    ++evicted;
  }
  return evicted;
}

std::size_t RingIndex::clear() {
  const std::size_t count = ended_.size();
  for (Entry* const entry : ended_) remove(*entry);
  ended_.clear();
  for (Entry* const entry : free_) entry->records.release();
  return count;
}

RingIndex::EndedRange RingIndex::ended_between(const Filter& filter) const {
  auto begin = ended_.begin();
  if (filter.after_rev) {
    begin = std::upper_bound(ended_.begin(), ended_.end(), *filter.after_rev,
                             [](std::uint64_t rev, const Entry* entry) { return rev < entry->rev; });
  }
  auto end = ended_.end();
  if (filter.before_rev) {
    end = std::lower_bound(begin, end, *filter.before_rev,
                           [](const Entry* entry, std::uint64_t rev) { return entry->rev < rev; });
  }
  return {begin, end};
}

std::vector<const Entry*> RingIndex::open_between(const Filter& filter, FilterMatcher& matcher) const {
  std::vector<const Entry*> open;
  for (const Entry* const entry : open_) {
    if (filter.after_rev && entry->rev <= *filter.after_rev) continue;
    if (filter.before_rev && entry->rev >= *filter.before_rev) continue;
    if (matcher.passes(*entry)) open.push_back(entry);
  }
  return open;
}

std::vector<const Entry*> RingIndex::newest(const Filter& filter, std::size_t most) const {
  FilterMatcher matcher(filter);
  const auto [begin, end] = ended_between(filter);
  std::vector<const Entry*> open = open_between(filter, matcher), newest;
  std::sort(open.begin(), open.end(), [](const Entry* a, const Entry* b) { return a->rev < b->rev; });
  for (auto at = end; newest.size() < most;) {
    if (!open.empty() && (at == begin || open.back()->rev > (*std::prev(at))->rev)) {
      newest.push_back(open.back());
      open.pop_back();
    } else if (at == begin) {
      break;
    } else if (matcher.passes(**--at)) {
      newest.push_back(*at);
    }
  }
  return newest;
}

std::vector<const Entry*> RingIndex::select(const Filter& filter) const {
  std::vector<const Entry*> selected;
  FilterMatcher matcher(filter);
  auto [begin, end] = ended_between(filter);
  selected.reserve(static_cast<std::size_t>(end - begin));
  if (matcher.passes_all_ended()) {
    selected.assign(begin, end);
    begin = end;
  }
  for (auto at = begin; at != end; ++at) {
    if (matcher.passes(**at)) selected.push_back(*at);
  }
  const auto first_open = static_cast<std::ptrdiff_t>(selected.size());
  const std::vector<const Entry*> open_ones = open_between(filter, matcher);
  selected.insert(selected.end(), open_ones.begin(), open_ones.end());
  const auto open = selected.begin() + first_open;
  if (!filter.after_rev) {
    std::sort(open, selected.end(), [](const Entry* a, const Entry* b) { return a->seq < b->seq; });
    return selected;
  }
  // The ended ones are in this order already, and most are older than any open one.
  const auto earlier = [](const Entry* a, const Entry* b) { return a->rev < b->rev; };
  std::sort(open, selected.end(), earlier);
  if (open != selected.end()) {
    std::inplace_merge(std::lower_bound(selected.begin(), open, *open, earlier), open, selected.end(), earlier);
  }
  return selected;
}

}  // namespace sluice::capture
