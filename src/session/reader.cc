#include "session/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "capture/records.h"

namespace sluice::session {
namespace {

constexpr ByteCount kNear = 4 * kMiB;
constexpr std::size_t kMostOpen = 4;

using capture::RecordType;

bool is_body(RecordType type) { return type == RecordType::kRequestBody || type == RecordType::kResponseBody; }

// What the records of the exchange say of those that stand apart.
struct Facts {
  std::uint64_t connection = 0, upstream = 0;
  bool ended = false;
};

void take_opened(flow::Exchange& exchange, Bytes payload, Facts& facts) {
  const auto parts = capture::parse_opened(payload.substr(std::min(payload.size(), sizeof(capture::Uuid))));
  if (parts) facts.connection = parts->connection;
  capture::fill(exchange, parts);
}

void take_responded(flow::Exchange& exchange, Bytes payload, Facts& facts) {
  const auto parts = capture::parse_responded(payload);
  if (parts) facts.upstream = parts->upstream;
  capture::fill(exchange, parts);
}

void take(flow::Exchange& exchange, RecordType type, Bytes payload, Facts& facts) {
  switch (type) {
    case RecordType::kOpened:
      return take_opened(exchange, payload, facts);
    case RecordType::kRequestSent:
      exchange.request.effective = payload;
      return;
    case RecordType::kResponded:
      return take_responded(exchange, payload, facts);
    case RecordType::kRequestTrailers:
      exchange.request.trailers += payload;
      return;
    case RecordType::kResponseTrailers:
      exchange.response.trailers += payload;
      return;
    case RecordType::kEnded:
      facts.ended = true;
      return capture::fill(exchange, capture::parse_ended(payload));
    default:
      return;
  }
}

}  // namespace

Reader::Reader(std::shared_ptr<FileSystem> files, std::string directory, std::string index, Manifest manifest,
               SessionKeyPtr key, std::shared_ptr<MatchCache> cache)
    : files_(std::move(files)),
      directory_(std::move(directory)),
      manifest_(std::move(manifest)),
      key_(std::move(key)),
      index_(std::move(index), key_),
      cache_(std::move(cache)),
      texts_(*files_, directory_, key_) {}

Result<std::unique_ptr<Reader>> Reader::open(std::shared_ptr<FileSystem> files, std::string directory,
                                             std::string index, Manifest manifest, SessionKeyPtr key,
                                             std::shared_ptr<MatchCache> cache) {
  std::unique_ptr<Reader> reader(new Reader(std::move(files), std::move(directory), std::move(index),
                                            std::move(manifest), std::move(key), std::move(cache)));
  SLUICE_CHECK(reader->index_.open_to_read());
  return reader;
}

// ---- rows ----

Result<std::shared_ptr<const Matches>> Reader::match(const Query& query, const Sieve* sieve) const {
  const std::lock_guard guard(mutex_);
  std::string key = key_of(query);
  if (sieve) key += "sieved";
  const std::int64_t version = index_.version();
  if (matches_ && matched_query_ == key && matched_version_ == version) return matches_;
  const std::int64_t index = cache_ && index_.is_sealed() ? index_.made() : 0;
  auto matches = index != 0 ? cache_->find(index, key) : nullptr;
  if (!matches) {
    SLUICE_TRY(Matches found, index_.match(query, sieve));
    matches = std::make_shared<const Matches>(std::move(found));
    if (matches->ended_after) return matches;
    std::error_code gone;  // deleted meanwhile: nobody will ask again
    if (index != 0 && std::filesystem::exists(directory_, gone)) cache_->keep(directory_, index, key, matches);
  }
  matches_ = matches;
  matched_query_ = std::move(key);
  matched_version_ = version;
  return matches;
}

Result<std::uint64_t> Reader::count(const Query& query) const {
  SLUICE_TRY(const auto found, match(query));
  return found->rows.size();
}

Status Reader::visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
                     const std::function<bool(const Row&)>& visit) const {
  SLUICE_TRY(const auto found, match(query));
  return this->visit(*found, query.ascending, offset, limit, visit);
}

Status Reader::visit(const Matches& matches, bool ascending, std::uint64_t offset, std::uint64_t limit,
                     const std::function<bool(const Row&)>& visit) const {
  const std::uint64_t size = matches.rows.size(), end = limit > size || offset > size - limit ? size : offset + limit;
  for (std::uint64_t place = offset; place < end; ++place) {
    SLUICE_TRY(const auto row, row_of(matches.at(static_cast<std::size_t>(place), ascending).seq));
    if (row && !visit(*row)) return {};
  }
  return {};
}

Status Reader::visit_some(const Matches& matches, bool ascending, std::uint64_t offset,
                          const std::function<bool(std::uint64_t seq)>& wanted,
                          const std::function<bool(std::uint64_t place, const Row&)>& visit) const {
  for (std::uint64_t place = offset; place < matches.rows.size(); ++place) {
    const std::uint64_t seq = matches.at(static_cast<std::size_t>(place), ascending).seq;
    if (!wanted(seq)) continue;
    SLUICE_TRY(const auto row, row_of(seq));
    if (row && !visit(place, *row)) return {};
  }
  return {};
}

Result<std::optional<Row>> Reader::row_of(std::uint64_t seq) const {
  const std::lock_guard guard(mutex_);
  SLUICE_TRY(auto row, index_.find(seq));
  if (!row) return row;
  const std::lock_guard remember(last_mutex_);
  last_ = row;
  return row;
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

// ---- texts ----

WithoutText Reader::without_text(std::string_view text) const {
  std::int64_t index = 0;
  {
    const std::lock_guard guard(mutex_);
    index = index_.made();
  }
  return find_text(files_, directory_, index, key_, text);
}

Reader::Look Reader::look(const Row& row, const capture::Needle& needle, bool request, bool response) const {
  const std::lock_guard guard(texts_mutex_);
  const BodyTexts* const texts = texts_.read(row);
  if (!texts) return {true, true, false};
  Look look;
  const auto take = [&](Bytes text) {
    if (text.empty()) return;
    (is_binary(text) ? look.binary : look.text) = true;
    look.may_hold = look.may_hold || needle.is_in(text);
  };
  if (request) take(texts->request);
  if (response) take(texts->response);
  return look;
}

Result<std::unique_ptr<Reader::Open>> Reader::take_segment(std::uint32_t number) const {
  {
    const std::lock_guard guard(open_mutex_);
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& one) { return one->number == number; });
    if (found != open_.end()) {
      auto taken = std::move(*found);
      open_.erase(found);
      return taken;
    }
  }
  SLUICE_TRY(SegmentFile file, SegmentFile::open(*files_, directory_, number, key_));
  return std::make_unique<Open>(number, std::move(file), SegmentFile::Window());
}

void Reader::leave(std::unique_ptr<Open> segment) const {
  const std::lock_guard guard(open_mutex_);
  open_.push_back(std::move(segment));
  if (open_.size() > kMostOpen) open_.erase(open_.begin());
}

// Visits the records of an exchange, run by run. Stops where something is damaged: what stands behind is not shown as
// if it followed.
Status Reader::visit_records(const Row& row, const SegmentFile::Wanted& wanted, const SegmentFile::Visit& visit) const {
  std::unique_ptr<Open> segment;
  for (const Place& run : row.runs) {
    if (!segment || run.segment != segment->number) {
      if (segment) leave(std::move(segment));
      SLUICE_TRY(segment, take_segment(run.segment));
    }
    SLUICE_TRY(const bool on, segment->file.visit(run, row.seq, wanted, visit, segment->window));
    if (!on) break;
  }
  if (segment) leave(std::move(segment));
  return {};
}

// What stands apart; nullopt: there is none, or it is damaged.
std::optional<std::string> Reader::payload_at(const Place& place) const {
  if (place.segment == 0) return std::nullopt;
  auto segment = take_segment(place.segment);
  if (!segment) return std::nullopt;
  auto payload = (*segment)->file.read(place);
  leave(*std::move(segment));
  return payload ? std::optional(*std::move(payload)) : std::nullopt;
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
  Facts facts;
  SLUICE_CHECK(visit_records(
      row, [](const auto& frame) { return !is_body(frame.type); },
      [&](const auto& frame, Bytes payload) {
        take(exchange, frame.type, payload, facts);
        return true;
      }));
  if (!facts.ended) {
    exchange.failure = flow::Failure{"recording_ended", flow::Phase::kResponseBody,
                                     "The recording ended before this exchange did; what had arrived is here."};
  }
  if (const auto payload = payload_at(row.connection)) {
    if (auto connection = capture::parse_connection(*payload)) {
      connection->id = ConnectionId{facts.connection};
      exchange.connection = std::move(connection);
    }
  }
  if (const auto payload = payload_at(row.upstream)) {
    if (auto upstream = capture::parse_upstream(*payload)) {
      upstream->id = facts.upstream;
      exchange.upstream = std::move(upstream);
    }
  }
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
      row,
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

// Payloads that lie near each other are read in one go, since each reading passes over all that was before.
Status Reader::read_payloads(const Row& row, std::vector<capture::Message>& messages, ByteCount most) const {
  std::array<std::optional<capture::BodySlice>, 2> near;
  for (const flow::Direction direction : {flow::Direction::kRequest, flow::Direction::kResponse}) {
    ByteCount begin = UINT64_MAX, end = 0;
    for (const capture::Message& message : messages) {
      if (message.opcode >= 8 || message.direction != direction) continue;
      begin = std::min(begin, message.offset);
      end = std::max(end, message.offset + message.length);
    }
    if (begin >= end || end - begin > kNear) continue;
    SLUICE_TRY(near[static_cast<std::size_t>(direction)], read_content(row, direction, begin, end - begin));
  }
  for (capture::Message& message : messages) {
    if (message.opcode >= 8) {  // RFC 6455 §5.5: a control frame's payload stands in its record
      message.length = message.stored = message.octets.size();
    } else if (const auto& slice = near[static_cast<std::size_t>(message.direction)];
               slice && message.offset + message.length <= slice->offset + slice->octets.size()) {
      message.stored = message.length;
      message.octets = slice->octets.substr(static_cast<std::size_t>(message.offset - slice->offset),
                                            static_cast<std::size_t>(message.length));
    } else {
      SLUICE_TRY(capture::BodySlice own, read_content(row, message.direction, message.offset, message.length));
      message.stored = own.octets.size();
      message.octets = std::move(own.octets);
    }
    if (message.octets.size() > most) message.octets.resize(static_cast<std::size_t>(most));
  }
  return {};
}

Result<capture::MessagePage> Reader::messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                              ByteCount payload) const {
  SLUICE_TRY(const Row row, remembered(id));
  std::vector<capture::Message> all;
  SLUICE_CHECK(visit_records(
      row, [](const auto& frame) { return frame.type == RecordType::kMessage; },
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
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(page.offset));
  if (all.size() > limit) all.resize(limit);
  page.messages = std::move(all);
  SLUICE_CHECK(read_payloads(row, page.messages, payload));
  return page;
}

}  // namespace sluice::session
