#include "capture/ring_index.h"

#include <algorithm>
#include <cstring>

namespace sluice::capture {
namespace {

// Containers' nodes and the allocator's own octets, for each exchange.
constexpr ByteCount kOverhead = 160;
// A run this long is read in one go; pieces of a body that trickles in are gathered into runs, so that a million of
// them do not take a million entries of memory.
constexpr std::uint32_t kMostRun = 256 * 1024;

ByteCount cost_of(const std::string& text) { return text.capacity() > 15 ? text.capacity() + 16 : 0; }

ByteCount cost_of(const flow::Connection& connection) {
  ByteCount cost = sizeof(connection) + kOverhead;
  if (!connection.tls) return cost;
  const flow::ClientTls& tls = *connection.tls;
  for (const std::string* text : {&tls.sni, &tls.ja3, &tls.ja3_text, &tls.ja4, &tls.ja4_raw}) cost += cost_of(*text);
  return cost + tls.alpn_offered.size() * sizeof(std::string);
}

ByteCount cost_of(const flow::Upstream& upstream) {
  ByteCount cost = sizeof(upstream) + kOverhead;
  if (!upstream.tls) return cost;
  for (const auto& certificate : upstream.tls->chain) {
    cost += sizeof(certificate) + cost_of(certificate.subject) + cost_of(certificate.issuer) + 128;
    for (const std::string& name : certificate.sans) cost += sizeof(name) + cost_of(name);
  }
  return cost + cost_of(upstream.tls->ja3s_text);
}

ByteCount cost_of(const Entry& entry) {
  ByteCount cost = sizeof(entry) + kOverhead;
  for (const std::string* text :
       {&entry.opened, &entry.responded, &entry.request_effective, &entry.request_trailers, &entry.response_trailers}) {
    cost += cost_of(*text);
  }
  cost += (entry.request.extents.capacity() + entry.response.extents.capacity()) * sizeof(Extent);
  if (entry.messages) cost += sizeof(MessageRuns) + entry.messages->runs.capacity() * sizeof(MessageRun);
  cost += entry.rule_ids.capacity() * sizeof(std::uint32_t);
  if (entry.failure) cost += sizeof(*entry.failure) + cost_of(entry.failure->message);
  return cost;
}

}  // namespace

std::size_t RingIndex::UuidHash::operator()(const Uuid& uuid) const noexcept {
  std::size_t hash;
  static_assert(sizeof(hash) <= sizeof(uuid));
  std::memcpy(&hash, uuid.data(), sizeof(hash));  // random octets already
  return hash;
}

Entry& RingIndex::insert(std::unique_ptr<Entry> entry) {
  Entry& inserted = *entry;
  by_id_[entry->uuid] = std::move(entry);
  return inserted;
}

// True: `extent` became part of the run that ends with `last`.
bool RingIndex::join(Extent& last, const Extent& extent) {
  const std::uint32_t run = extent.offset + extent.span - last.offset;
  if (last.segment != extent.segment || run > kMostRun) return false;
  last.span = run;
  last.content += extent.content;
  return true;
}

void RingIndex::append(StoredBody& body, const Extent& extent) {
  body.stored += extent.content;
  if (!body.extents.empty() && join(body.extents.back(), extent)) return;
  if (body.extents.empty() || body.extents.back().segment != extent.segment) spool_.want(extent.segment);
  body.extents.push_back(extent);
}

void RingIndex::append_message(Entry& entry, const std::optional<Extent>& extent) {
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
    spool_.want(extent->segment);
    const std::uint32_t first = spool_.first_segment();
    std::erase_if(runs, [&](const MessageRun& run) { return run.extent.segment < first; });
  }
  runs.push_back({*extent, number, 1});
}

void RingIndex::charge_shared(const void*& charged, const void* object, ByteCount cost) {
  charged = object;
  Shared& shared = shared_[object];
  if (shared.users++ > 0) return;
  shared.cost = cost;
  memory_ += cost;
}

void RingIndex::uncharge_shared(const void* object) {
  if (!object) return;
  const auto found = shared_.find(object);
  if (found == shared_.end() || --found->second.users > 0) return;
  memory_ -= found->second.cost;
  shared_.erase(found);
}

void RingIndex::charge(Entry& entry) {
  const ByteCount cost = cost_of(entry);
  memory_ += cost - entry.charged;
  entry.charged = cost;
}

void RingIndex::publish(Entry& entry) {
  const bool first = entry.rev == 0;
  entry.rev = ++last_rev_;
  if (first && entry.connection) {
    charge_shared(entry.charged_connection, entry.connection.get(), cost_of(*entry.connection));
  }
  if (entry.state != flow::State::kOpen) {
    if (!first) open_.erase(entry.seq);
    ended_.push_back(&entry);
    if (entry.upstream) charge_shared(entry.charged_upstream, entry.upstream.get(), cost_of(*entry.upstream));
    entry.request.extents.shrink_to_fit();
    entry.response.extents.shrink_to_fit();
  } else if (first) {
    open_.emplace(entry.seq, &entry);
  }
  charge(entry);
}

void RingIndex::remove(Entry& entry) {
  for (const StoredBody* body : {&entry.request, &entry.response}) {
    std::uint32_t before = 0;
    for (const Extent& extent : body->extents) {
      if (extent.segment != before) spool_.unwant(extent.segment);
      before = extent.segment;
    }
  }
  std::uint32_t before = 0;
  if (entry.messages) {
    for (const MessageRun& run : entry.messages->runs) {
      if (run.extent.segment != before) spool_.unwant(run.extent.segment);
      before = run.extent.segment;
    }
  }
  memory_ -= entry.charged;
  uncharge_shared(entry.charged_connection);
  uncharge_shared(entry.charged_upstream);
  by_id_.erase(Uuid(entry.uuid));
}

std::size_t RingIndex::evict(std::size_t most_exchanges, ByteCount most_memory,
                             const std::function<void(Entry&)>& on_open) {
  std::size_t evicted = 0;
  while (!ended_.empty() && (ended_.size() > most_exchanges || memory_ > most_memory)) {
    Entry* const oldest = ended_.front();
    ended_.pop_front();
    remove(*oldest);
    ++evicted;
  }
  while (!open_.empty() && memory_ > most_memory) {
    Entry* const oldest = open_.begin()->second;
    on_open(*oldest);
    open_.erase(open_.begin());
    remove(*oldest);
    ++evicted;
  }
  return evicted;
}

std::size_t RingIndex::clear() {
  const std::size_t count = ended_.size();
  for (Entry* const entry : ended_) remove(*entry);
  ended_.clear();
  return count;
}

const Entry* RingIndex::find(const Uuid& uuid) const {
  const auto found = by_id_.find(uuid);
  return found == by_id_.end() || found->second->rev == 0 ? nullptr : found->second.get();
}

std::vector<const Entry*> RingIndex::select(const Filter& filter) const {
  std::vector<const Entry*> selected;
  FilterMatcher matcher(filter);
  const auto take = [&](const Entry* entry) {
    if (matcher.passes(*entry)) selected.push_back(entry);
  };
  auto begin = ended_.begin();
  if (filter.after_rev) {
    begin = std::upper_bound(ended_.begin(), ended_.end(), *filter.after_rev,
                             [](std::uint64_t rev, const Entry* entry) { return rev < entry->rev; });
  }
  selected.reserve(static_cast<std::size_t>(ended_.end() - begin));
  for (auto at = begin; at != ended_.end(); ++at) take(*at);
  for (const auto& [seq, entry] : open_) {
    if (!filter.after_rev || entry->rev > *filter.after_rev) take(entry);
  }
  if (filter.after_rev) {
    std::sort(selected.begin(), selected.end(), [](const Entry* a, const Entry* b) { return a->rev < b->rev; });
  }
  return selected;
}

}  // namespace sluice::capture
