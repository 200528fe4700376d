#include "session/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "capture/records.h"
#include "session/segments.h"

namespace sluice::session {
namespace {

using capture::RecordType;

// Visits the records of an exchange, run by run. Stops where something is damaged: what stands behind is not shown as
// if it followed.
Status visit_records(FileSystem& files, const std::string& directory, const Row& row, const SegmentFile::Wanted& wanted,
                     const SegmentFile::Visit& visit) {
  std::optional<SegmentFile> segment;
  std::uint32_t open = 0;
  for (const Place& run : row.runs) {
    if (run.segment != open) {
      SLUICE_TRY(segment, SegmentFile::open(files, directory, run.segment));
      open = run.segment;
    }
    SLUICE_TRY(const bool on, segment->visit(run, row.seq, wanted, visit));
    if (!on) break;
  }
  return {};
}

bool is_body(RecordType type) { return type == RecordType::kRequestBody || type == RecordType::kResponseBody; }

void take_opened(flow::Exchange& exchange, Bytes payload) {
  const auto parts = capture::parse_opened(payload.substr(std::min(payload.size(), sizeof(capture::Uuid))));
  if (!parts) return;
  exchange.started = WallTime(Duration(parts->started_ns));
  exchange.method = parts->method;
  exchange.scheme = parts->scheme;
  exchange.host = parts->host;
  exchange.target = parts->target;
  exchange.port = parts->port;
  exchange.request.head = parts->head;
}

void take_responded(flow::Exchange& exchange, Bytes payload) {
  const auto parts = capture::parse_responded(payload);
  if (!parts) return;
  exchange.response.head = parts->head;
  exchange.response.effective = parts->effective;
  exchange.upstream_reused = parts->upstream_reused;
}

void take_ended(flow::Exchange& exchange, Bytes payload) {
  auto parts = capture::parse_ended(payload);
  if (!parts) return;
  exchange.timings = parts->timings;
  exchange.failure = std::move(parts->failure);
  exchange.anomalies = parts->anomalies;
  exchange.rule_ids = std::move(parts->rule_ids);
  exchange.matched_rule = parts->matched_rule;
}

void take(flow::Exchange& exchange, RecordType type, Bytes payload, bool& ended) {
  switch (type) {
    case RecordType::kOpened:
      return take_opened(exchange, payload);
    case RecordType::kRequestSent:
      exchange.request.effective = payload;
      return;
    case RecordType::kResponded:
      return take_responded(exchange, payload);
    case RecordType::kRequestTrailers:
      exchange.request.trailers += payload;
      return;
    case RecordType::kResponseTrailers:
      exchange.response.trailers += payload;
      return;
    case RecordType::kEnded:
      ended = true;
      return take_ended(exchange, payload);
    default:
      return;
  }
}

}  // namespace

Reader::Reader(std::shared_ptr<FileSystem> files, std::string directory, std::string index, Manifest manifest)
    : files_(std::move(files)),
      directory_(std::move(directory)),
      manifest_(std::move(manifest)),
      index_(std::move(index)) {}

Result<std::unique_ptr<Reader>> Reader::open(std::shared_ptr<FileSystem> files, std::string directory,
                                             std::string index, Manifest manifest) {
  std::unique_ptr<Reader> reader(
      new Reader(std::move(files), std::move(directory), std::move(index), std::move(manifest)));
  SLUICE_CHECK(reader->index_.open_to_read());
  return reader;
}

// ---- rows ----

Result<std::uint64_t> Reader::count(const Query& query) const {
  const std::lock_guard guard(mutex_);
  return index_.count(query);
}

Result<std::uint64_t> Reader::count_with_tls(const Query& query) const {
  const std::lock_guard guard(mutex_);
  return index_.count_with_tls(query);
}

Status Reader::visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
                     const std::function<bool(const Row&)>& visit) const {
  const std::lock_guard guard(mutex_);
  return index_.visit(query, offset, limit, [&](const Row& row) {
    {
      const std::lock_guard remember(last_mutex_);
      last_ = row;
    }
    return visit(row);
  });
}

Result<Row> Reader::found(Result<std::optional<Row>> row) const {
  if (!row) return fail(row.error());
  if (!*row) return fail(Code::kNotFound, fmt::format("Exchange not found in session '{}'.", manifest_.id));
  const std::lock_guard remember(last_mutex_);
  last_ = **row;
  return **std::move(row);
}

Result<Row> Reader::find(std::uint64_t seq) const {
  const std::lock_guard guard(mutex_);
  return found(index_.find(seq));
}

Result<Row> Reader::find(const std::string& id) const {
  const std::lock_guard guard(mutex_);
  return found(index_.find(id));
}

Result<Row> Reader::remembered(std::string_view id) const {
  {
    const std::lock_guard guard(last_mutex_);
    if (last_ && last_->id == id) return *last_;
  }
  return find(std::string(id));
}

// ---- exchanges ----

Result<flow::Exchange> Reader::exchange(const Row& row) const {
  flow::Exchange exchange;
  exchange.id = row.id;
  exchange.seq = ExchangeSeq{row.seq};
  exchange.state = row.state;
  exchange.protocol = row.protocol;
  exchange.status = row.status;
  exchange.request.body = row.request;
  exchange.response.body = row.response;
  exchange.matched_rule = row.matched_rule;
  bool ended = false;
  SLUICE_CHECK(visit_records(
      *files_, directory_, row, [](const auto& frame) { return !is_body(frame.type); },
      [&](const auto& frame, Bytes payload) {
        take(exchange, frame.type, payload, ended);
        return true;
      }));
  if (!ended) {
    exchange.failure = flow::Failure{"recording_ended", flow::Phase::kResponseBody,
                                     "The recording ended before this exchange did; what had arrived is here."};
  }
  const auto fact = [&](const Place& place) -> std::optional<std::string> {
    if (place.segment == 0) return std::nullopt;
    const auto segment = SegmentFile::open(*files_, directory_, place.segment);
    if (!segment) return std::nullopt;
    auto payload = segment->read(place);
    return payload ? std::optional(*std::move(payload)) : std::nullopt;
  };
  if (const auto payload = fact(row.connection)) exchange.connection = capture::parse_connection(*payload);
  if (const auto payload = fact(row.upstream)) exchange.upstream = capture::parse_upstream(*payload);
  return exchange;
}

Result<capture::BodySlice> Reader::read_content(const Row& row, flow::Direction direction, ByteCount offset,
                                                ByteCount limit) const {
  const bool request = direction == flow::Direction::kRequest;
  const RecordType wanted = request ? RecordType::kRequestBody : RecordType::kResponseBody;
  const flow::BodyInfo& info = request ? row.request : row.response;
  capture::BodySlice slice;
  slice.offset = offset;
  slice.stored = info.stored;
  slice.size = info.size;
  slice.complete = info.complete;
  const ByteCount end = limit > UINT64_MAX - offset ? UINT64_MAX : offset + limit;
  ByteCount at = 0;  // of the next piece, in what passed
  const bool socket = row.protocol == flow::Protocol::kWebSocket;
  SLUICE_CHECK(visit_records(
      *files_, directory_, row,
      [&](const SegmentFile::Frame& frame) {
        if (socket && frame.type == RecordType::kMessage) return true;
        if (frame.type != wanted) return false;
        const bool needed = at + frame.length > offset && at < end;
        if (!needed) at += frame.length;  // passed over without being read
        return needed;
      },
      [&](const SegmentFile::Frame& frame, Bytes payload) {
        if (frame.type == RecordType::kMessage) {
          const auto parts = capture::parse_message(payload);
          if (!parts || parts->seen.direction != direction || parts->missing == 0) return true;
          // A hole: what is behind it does not follow what was read.
          if (at + parts->missing > offset && !slice.octets.empty()) return false;
          at += parts->missing;
          return true;
        }
        const ByteCount from = std::max(at, offset);
        if (from == offset + slice.octets.size()) {
          slice.octets.append(
              payload.substr(static_cast<std::size_t>(from - at),
                             static_cast<std::size_t>(std::min(end - from, at + payload.size() - from))));
        }
        at += payload.size();
        return at < end;
      }));
  return slice;
}

Result<capture::BodySlice> Reader::read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                                             ByteCount limit) const {
  SLUICE_TRY(const Row row, remembered(id));
  return read_content(row, direction, offset, limit);
}

Result<capture::MessagePage> Reader::messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                              ByteCount payload) const {
  SLUICE_TRY(const Row row, remembered(id));
  std::vector<capture::Message> all;
  SLUICE_CHECK(visit_records(
      *files_, directory_, row, [](const auto& frame) { return frame.type == RecordType::kMessage; },
      [&](const auto&, Bytes octets) {
        const auto parts = capture::parse_message(octets);
        if (!parts) return true;
        capture::Message message;
        message.number = all.size();
        message.direction = parts->seen.direction;
        message.opcode = parts->seen.opcode;
        message.compressed = parts->seen.compressed;
        message.complete = parts->seen.complete;
        message.offset = parts->seen.offset;
        message.length = parts->seen.length;
        message.at = parts->seen.at;
        message.octets = parts->seen.control;
        all.push_back(std::move(message));
        return true;
      }));
  capture::MessagePage page;
  page.total = all.size();
  const auto total = static_cast<std::int64_t>(all.size());
  if (offset < 0) offset = std::max<std::int64_t>(offset, -total) + total;
  page.offset = static_cast<std::uint64_t>(std::min(offset, total));
  for (std::size_t i = page.offset; i < all.size() && page.messages.size() < limit; ++i) {
    capture::Message& message = all[i];
    if (message.opcode >= 8) {  // RFC 6455 §5.5: a control frame's payload stands in its record
      message.length = message.stored = message.octets.size();
      if (message.octets.size() > payload) message.octets.resize(static_cast<std::size_t>(payload));
    } else {
      SLUICE_TRY(capture::BodySlice slice, read_content(row, message.direction, message.offset, message.length));
      message.stored = slice.octets.size();
      message.octets = std::move(slice.octets);
      if (message.octets.size() > payload) message.octets.resize(static_cast<std::size_t>(payload));
    }
    page.messages.push_back(std::move(message));
  }
  return page;
}

}  // namespace sluice::session
