// What the index holds of one exchange, and how it is made: RowBuilder folds the records of segments, in their order,
// into rows. The recording that is being written and the rebuilding of an index use the same, so that they agree.
// Bounded: of an exchange at most kMostRuns runs are kept. Pure. Private to this folder, but for Row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture/segment.h"
#include "flow/exchange.h"

namespace sluice::session {

// A record, or a run of records of which some belong to the exchange, frames included.
struct Place {
  std::uint32_t segment = 0, offset = 0, length = 0;
};

struct Row {
  std::uint64_t seq = 0;          // from 1, in the order of birth
  std::string id;                 // UUID
  std::int64_t timestamp_ms = 0;  // when the whole request had been read
  std::string method, host, target, url;
  int status = 0;
  std::optional<std::int64_t> duration_ms;
  flow::State state = flow::State::kOpen;  // kAborted also: the recording ended first
  flow::Protocol protocol = flow::Protocol::kHttp1;
  flow::Source source = flow::Source::kExplicit;
  flow::BodyInfo request, response;
  bool has_response = false;
  std::uint32_t matched_rule = 0;
  bool has_tls = false;
  std::string ja3, ja4, ja3s;
  std::string content_type;            // of the response: lower case, without parameters
  Place opened, connection, upstream;  // segment 0: none
  std::vector<Place> runs;             // all its records but connection and upstream; ascending
};

class RowBuilder {
 public:
  // Records of connections and upstreams hold for the segment they stand in.
  void begin_segment();
  // Rows that nobody needs any more: what comes next is written into their memory.
  void give_back(std::vector<Row>& rows);
  // A row, once its exchange has ended. What belongs to no exchange that was opened is passed over.
  std::optional<Row> take(capture::RecordType type, std::uint64_t subject, const Place& place, Bytes payload);
  // Its end will never come; nullopt: it is not open.
  std::optional<Row> give_up(std::uint64_t seq);
  std::vector<Row> give_up_all();  // by seq
  // Exchanges that were opened in that segment are forgotten; how many.
  std::size_t forget_segment(std::uint32_t segment);
  std::uint64_t last_seq() const { return last_seq_; }

 private:
  struct Fact {
    Place place;
    flow::Source source = flow::Source::kExplicit;
    bool has_tls = false;
    std::string ja3, ja4, ja3s;
  };

  Row fresh_row();
  void take_opened(std::uint64_t seq, const Place& place, Bytes payload);
  void take_responded(Row& row, Bytes payload);
  void take_message(Row& row, Bytes payload);
  void take_ended(Row& row, Bytes payload);

  std::unordered_map<std::uint64_t, Fact> connections_, upstreams_;
  std::unordered_map<std::uint64_t, Row> open_;
  std::vector<Row> spare_;
  std::uint64_t last_seq_ = 0;
};

}  // namespace sluice::session
