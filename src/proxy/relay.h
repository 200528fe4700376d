// Moves one message body from one stream to another, piece by piece: reads into the sink's read space, hands octets to
// the codec, reports content, writes what stood on the wire in as few writes as possible. A slow receiver pauses the
// reading (the only place where that happens): at most one read's octets wait. engine.md 5, DESIGN "Backpressure".
#pragma once

#include <string>
#include <variant>

#include "flow/sink.h"
#include "net/stream.h"
#include "proxy/exchange.h"

namespace sluice::proxy {

// Octets on their way out: made ones (`made`, a head) and then a run of ones that stand in the read space.
class Outbox {
 public:
  Outbox(flow::Sink& sink, net::Stream& to) : sink_(sink), to_(to) {}

  void add_made(Bytes octets);  // copied
  void add_view(Bytes octets);  // stays in view; joined with the run if adjacent, else copied
  bool empty() const { return made_.empty() && run_.empty(); }
  std::size_t size() const { return made_.size() + run_.size(); }
  // Without waiting: true if all went out. On kError false with failed() set.
  bool try_send();
  bool failed() const { return failed_; }
  // Makes what is left survive a suspension point. Before any wait after try_send() said false.
  void hold();
  // Sends the rest, waiting as needed.
  net::Task<Status> send_rest();

 private:
  void settle();  // run_ becomes part of made_

  flow::Sink& sink_;
  net::Stream& to_;
  std::string made_;
  std::size_t made_sent_ = 0;
  Bytes run_;
  flow::Held held_;
  bool failed_ = false;
};

}  // namespace sluice::proxy
