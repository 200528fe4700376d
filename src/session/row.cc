#include "session/row.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "capture/records.h"

namespace sluice::session {
namespace {

using capture::RecordType;

constexpr std::size_t kMostRuns = 4'096;
// Records of others in between cost less to pass over than a run of their own does.
constexpr std::uint32_t kSmallHole = 16 * 1024;
constexpr std::size_t kMostSpare = 4'096;
constexpr std::size_t kMostKept = 512;  // octets of each of a spare row's texts and lists

bool can_join(const Place& last, const Place& next, std::uint32_t hole) {
  return last.segment == next.segment && next.offset >= last.offset + last.length &&
         next.offset - (last.offset + last.length) <= hole;
}

void join(Place& last, const Place& next) { last.length = next.offset + next.length - last.offset; }

void add_run(std::vector<Place>& runs, const Place& place) {
  if (!runs.empty() && can_join(runs.back(), place, kSmallHole)) return join(runs.back(), place);
  runs.push_back(place);
  if (runs.size() <= kMostRuns) return;
  std::vector<Place> fewer;  // one for each segment
  for (const Place& run : runs) {
    if (!fewer.empty() && can_join(fewer.back(), run, UINT32_MAX)) {
      join(fewer.back(), run);
    } else {
      fewer.push_back(run);
    }
  }
  runs = std::move(fewer);
}

void add_content(flow::BodyInfo& body, ByteCount octets) {
  body.size += octets;
  body.stored += octets;
}

std::string content_type_of(Bytes head) {
  const std::string value = flow::find_field(head, "content-type").value_or("");
  return to_lower(trim(std::string_view(value).substr(0, value.find(';'))));
}

void finish(Row& row) {
  row.request.complete = row.request.stored == row.request.size;
  row.response.complete = row.response.stored == row.response.size;
}

}  // namespace

void RowBuilder::begin_segment() {
  connections_.clear();
  upstreams_.clear();
}

std::optional<Row> RowBuilder::take(RecordType type, std::uint64_t subject, const Place& place, Bytes payload) {
  if (type == RecordType::kConnection) {
    const auto connection = capture::parse_connection(payload);
    if (!connection) return std::nullopt;
    Fact& fact = connections_[subject] = {place, connection->source, connection->tls != nullptr, "", "", ""};
    if (connection->tls) {
      fact.ja3 = connection->tls->ja3;
      fact.ja4 = connection->tls->ja4;
    }
    return std::nullopt;
  }
  if (type == RecordType::kUpstream) {
    const auto upstream = capture::parse_upstream(payload);
    if (!upstream) return std::nullopt;
    Fact& fact = upstreams_[subject] = {place, {}, upstream->tls != nullptr, "", "", ""};
    if (upstream->tls) fact.ja3s = upstream->tls->ja3s;
    return std::nullopt;
  }
  if (type == RecordType::kOpened) {
    take_opened(subject, place, payload);
    return std::nullopt;
  }
  const auto found = open_.find(subject);
  if (found == open_.end()) return std::nullopt;
  Row& row = found->second;
  add_run(row.runs, place);
  switch (type) {
    case RecordType::kResponded:
      take_responded(row, payload);
      break;
    case RecordType::kRequestBody:
      add_content(row.request, payload.size());
      break;
    case RecordType::kResponseBody:
      add_content(row.response, payload.size());
      break;
    case RecordType::kMessage:
      take_message(row, payload);
      break;
    case RecordType::kEnded: {
      take_ended(row, payload);
      finish(row);
      std::optional<Row> done(std::move(row));
      open_.erase(found);
      return done;
    }
    default:
      break;
  }
  return std::nullopt;
}

void RowBuilder::give_back(std::vector<Row>& rows) {
  const std::size_t room = kMostSpare - std::min(spare_.size(), kMostSpare);
  const auto some = rows.begin() + static_cast<std::ptrdiff_t>(std::min(room, rows.size()));
  std::move(rows.begin(), some, std::back_inserter(spare_));
  rows.clear();
}

Row RowBuilder::fresh_row() {
  Row row;
  if (spare_.empty()) return row;
  Row& old = spare_.back();
  for (std::string Row::*text : {&Row::host, &Row::target, &Row::url, &Row::ja3, &Row::ja4, &Row::ja3s}) {
    if ((old.*text).capacity() > kMostKept) continue;
    row.*text = std::move(old.*text);
    (row.*text).clear();
  }
  if (old.runs.capacity() * sizeof(Place) <= kMostKept) {
    row.runs = std::move(old.runs);
    row.runs.clear();
  }
  spare_.pop_back();
  return row;
}

void RowBuilder::take_opened(std::uint64_t seq, const Place& place, Bytes payload) {
  capture::Uuid uuid{};
  const auto parts = payload.size() < uuid.size() ? std::nullopt : capture::parse_opened(payload.substr(uuid.size()));
  if (!parts) return;
  payload.copy(uuid.data(), uuid.size());
  Row row = fresh_row();
  row.seq = seq;
  row.id = capture::id_text(uuid);
  row.timestamp_ms = unix_ms(WallTime(Duration(parts->started_ns)));
  row.method = parts->method;
  row.host = parts->host;
  row.target = parts->target;
  flow::append_url(row.url, parts->scheme, parts->host, parts->port, parts->target);
  row.protocol = parts->protocol;
  row.opened = place;
  row.runs.push_back(place);
  if (const auto fact = connections_.find(parts->connection); fact != connections_.end()) {
    row.connection = fact->second.place;
    row.source = fact->second.source;
    row.has_tls = fact->second.has_tls;
    row.ja3 = fact->second.ja3;
    row.ja4 = fact->second.ja4;
  }
  last_seq_ = std::max(last_seq_, seq);
  open_.insert_or_assign(seq, std::move(row));
}

void RowBuilder::take_responded(Row& row, Bytes payload) {
  const auto parts = capture::parse_responded(payload);
  if (!parts) return;
  row.status = parts->status;
  row.protocol = parts->protocol;
  row.content_type = content_type_of(parts->effective.empty() ? parts->head : parts->effective);
  const auto fact = upstreams_.find(parts->upstream);
  if (parts->upstream == 0 || fact == upstreams_.end()) return;
  row.upstream = fact->second.place;
  row.ja3s = fact->second.ja3s;
}

void RowBuilder::take_message(Row& row, Bytes payload) {
  const auto parts = capture::parse_message(payload);
  if (!parts) return;
  (parts->seen.direction == flow::Direction::kRequest ? row.request : row.response).size += parts->missing;
}

void RowBuilder::take_ended(Row& row, Bytes payload) {
  const auto parts = capture::parse_ended(payload);
  row.state = parts && parts->state != flow::State::kOpen ? parts->state : flow::State::kDone;
  if (!parts) return;
  row.protocol = parts->protocol;
  row.request.size += parts->cuts.request;
  row.response.size += parts->cuts.response;
  row.request.ended = parts->request_ended;
  row.response.ended = parts->response_ended;
  row.matched_rule = parts->matched_rule;
  row.timestamp_ms += std::max<std::int64_t>(parts->timings.request_end, 0) / 1000;
  const bool raw = row.protocol == flow::Protocol::kTcp || row.protocol == flow::Protocol::kTls;
  row.has_response = row.status != 0 || (raw && row.upstream.segment != 0);
  if (row.has_response && parts->timings.end >= 0) {
    row.duration_ms = std::llround(static_cast<double>(parts->timings.end) / 1000.0);
  }
}

std::optional<Row> RowBuilder::give_up(std::uint64_t seq) {
  const auto found = open_.find(seq);
  if (found == open_.end()) return std::nullopt;
  Row row = std::move(found->second);
  open_.erase(found);
  finish(row);
  row.state = flow::State::kAborted;
  row.has_response = row.status != 0;
  return row;
}

std::vector<Row> RowBuilder::give_up_all() {
  std::vector<std::uint64_t> seqs;
  for (const auto& [seq, row] : open_) seqs.push_back(seq);
  std::sort(seqs.begin(), seqs.end());
  std::vector<Row> rows;
  for (const std::uint64_t seq : seqs) rows.push_back(*give_up(seq));
  return rows;
}

std::size_t RowBuilder::forget_segment(std::uint32_t segment) {
  return std::erase_if(open_, [&](const auto& one) { return one.second.opened.segment == segment; });
}

}  // namespace sluice::session
