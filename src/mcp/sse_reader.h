// Server-sent events as MCP's HTTP transports carry messages: octets in, events out, each as soon as its empty line has
// come. Lines end with LF, CR or CRLF; a byte order mark at the start is skipped; comments are skipped whatever their
// length. Bounded: an event, its lines and fields together, may have `max_event` octets. Octets are given as they came:
// whoever parses the data refuses what is no UTF-8. Pure; not thread-safe. WHATWG HTML §9.2.5, §9.2.6; A27.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::mcp {

struct SseEvent {
  std::string type;  // empty: "message"
  std::string data;  // never empty; lines joined with LF
};

class SseReader {
 public:
  static constexpr std::size_t kMaxId = 1'024;  // a longer id is not taken: it would have to be sent back in a field

  explicit SseReader(ByteCount max_event) : max_event_(max_event) {}

  // Takes octets off the front of `input` up to the end of an event; nullopt: all are taken and there is none yet.
  // kTooLarge: an event is longer than it may be, and the reader is of no more use.
  Result<std::optional<SseEvent>> next(Bytes& input);

  // The id that the last finished event left, also one without data; empty: none.
  const std::string& last_event_id() const { return last_id_; }
  // How long the server wants to be left alone before the next connection.
  std::optional<std::chrono::milliseconds> retry() const { return retry_; }

 private:
  // True at an empty line.
  bool take_line();
  void take_field(Bytes name, Bytes value);
  std::optional<SseEvent> finish();

  const ByteCount max_event_;
  std::string line_, data_, type_, id_, last_id_;
  std::optional<std::chrono::milliseconds> retry_;
  bool first_line_ = true, has_data_ = false;
  bool comment_ = false;   // the rest of this line is
  bool after_cr_ = false;  // an LF that comes now belongs to it
};

}  // namespace sluice::mcp
