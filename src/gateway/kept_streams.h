// The streams of events of one legacy session, each with ids, so that a client whose connection broke takes one up
// where it stopped (Last-Event-ID). A disconnection cancels nothing: what is said meanwhile is kept, up to a bound.
// Stream 0 is the session's own. Control thread only. gate.md 9; MCP 2025-11-25 "Resumability and Redelivery".
#pragma once

#include <boost/container/deque.hpp>  // that of the standard library takes 576 octets while it is empty
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http_reply.h"

namespace sluice::gateway {

class KeptStreams {
 public:
  using ReplyPtr = std::shared_ptr<HttpReply>;
  using Number = std::uint64_t;
  static constexpr Number kOwn = 0;
  static constexpr ByteCount kMaxKept = 1 * kMiB;  // of all streams; the oldest goes first
  static constexpr std::size_t kMaxEnded = 16;     // streams whose answer was given
  static constexpr std::size_t kMaxEvents = 1'000;

  KeptStreams() { streams_[kOwn]; }

  // The stream of one POST; it becomes one of events by begin() or at the first message that is not the last.
  Number open(const ReplyPtr& reply);
  // `primed`: the client is told an id at once, with which it can come back.
  void begin(Number stream, bool primed);
  // A message that is not the answer. False: there is no such stream.
  bool say(Number stream, const std::string& message);
  // The answer; empty: there is none. `fields` go with one that is a whole answer by itself.
  void answer(Number stream, const std::string& message,
              const std::vector<std::pair<std::string, std::string>>& fields = {});
  bool is_heard(Number stream) const;  // somebody reads it now

  // A GET: the session's own stream, or the one that the id names from there on. False: nobody can say what came behind
  // that id.
  bool listen(const ReplyPtr& reply, const std::optional<std::string>& last_event_id);
  // Everything ends; what has no answer yet gets this one.
  void close(const HttpAnswer& why);

 private:
  struct Event {
    std::uint64_t number = 0;
    std::string message;
  };
  struct Stream {
    std::weak_ptr<HttpReply> reply;
    std::vector<Event> events;
    std::uint64_t last = 0, written = 0;  // numbers of events
    std::uint64_t dropped = 0;            // what came up to it is kept no more
    bool begun = false, ended = false;
  };
  void put(Number number, Stream& stream, std::string message, HttpReply::Weight weight);
  void forget_oldest();

  std::map<Number, Stream> streams_;
  boost::container::deque<std::pair<Number, std::uint64_t>> order_;  // of what is kept
  std::vector<Number> ended_;
  ByteCount kept_ = 0;
  Number last_ = 0;
};

}  // namespace sluice::gateway
