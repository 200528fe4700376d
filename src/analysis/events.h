// Server-sent events out of a decoded body, as a browser would see them: WHATWG HTML §9.2.5 and §9.2.6.
//
//   EventParser parser(keep);
//   parser.feed(octets);  while (auto event = parser.next()) …;     // again and again, cut anywhere
//   if (auto event = parser.finish()) …;                            // what the end of the body left unfinished
//
// Any octets are a stream of events, so nothing fails. Of each event at most `keep` octets of each field are kept.
// Blocks that are never dispatched because they hold no data are told too: they set ids and times of reconnection.
// Comments and unknown fields are passed over. Octets are not repaired: UTF-8 is for whoever shows them. Pure; not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sluice::analysis {

struct ServerEvent {
  std::string type;                       // of the field `event`; empty: dispatched as "message"
  std::optional<std::string> data;        // the lines of `data`, joined with LF; nullopt: none, so not dispatched
  std::optional<std::string> id;          // of this block; an event without one has that of the last before it
  std::optional<std::uint64_t> retry_ms;  // time to wait before reconnecting
  ByteCount data_size = 0;                // of the whole data
  bool complete = true;  // false: the body ended before the blank line; a browser forgets such an event
};

class EventParser {
 public:
  explicit EventParser(ByteCount keep) : keep_(keep) {}

  // Only when next() has nothing more. The octets must live until then.
  void feed(Bytes octets) { fed_ = octets; }
  std::optional<ServerEvent> next();
  // After the last octets.
  std::optional<ServerEvent> finish();

 private:
  // Takes octets up to the end of a line; false: they end before it does.
  bool take_line();
  bool end_line();  // true: a blank line ended a block that is worth telling
  void add_field(std::string_view name, std::string_view value, ByteCount value_size);
  ServerEvent take_event();

  ByteCount keep_;
  Bytes fed_;
  std::string line_;         // what is kept of the line under way
  ByteCount line_size_ = 0;  // of all of it
  bool after_cr_ = false;    // a LF now belongs to the line before
  bool first_line_ = true;   // a byte order mark may stand before it
  ServerEvent event_;
  bool any_ = false;  // the block has had a known field
};

}  // namespace sluice::analysis
