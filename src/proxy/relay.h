// Moves one message body from one stream to another, piece by piece: reads into the sink's read space, hands octets to
// the codec, reports content, writes what stood on the wire in as few writes as possible. A slow receiver pauses the
// reading (the only place where that happens): at most one read's octets wait. engine.md 5, DESIGN "Backpressure".
#pragma once

#include <string>

#include "flow/sink.h"
#include "net/stream.h"
#include "proxy/duplex.h"

namespace sluice::proxy {

// Until another read of `from` may give more.
inline net::Task<Status> wait_for_more(net::Stream& from) {
  return from.read_waits_for() == tls::WaitFor::kRead ? from.wait_readable() : from.wait_writable();
}

// Octets on their way out: made ones (`made`, a head) and then a run of ones that stand in the read space.
class Outbox {
 public:
  Outbox(flow::Sink& sink, net::Stream& to) : sink_(sink), to_(to) {}

  void add_made(Bytes octets);  // copied
  void add_view(Bytes octets);  // stays in view; joined with the run if adjacent, else copied
  // Of what a reader gives: in view if it lies in the octets that were fed, else copied, since a piece of the reader's
  // own memory lives only until its next call.
  void add_wire(Bytes fed, Bytes wire);
  bool empty() const { return made_.empty() && run_.empty(); }
  std::size_t size() const { return made_.size() + run_.size(); }
  // Without waiting: true if all went out. On kError false with failed() set.
  bool try_send();
  bool failed() const { return failed_; }
  // Makes what is left survive a suspension point. Before any wait after try_send() said false.
  void hold();
  // Sends the rest, waiting as needed. With a duplex each step forward moves its deadlines: a slow but steady receiver
  // is not idle.
  net::Task<Status> send_rest(Duplex* duplex = nullptr);

 private:
  void settle();  // run_ becomes part of made_

  flow::Sink& sink_;
  net::Stream& to_;
  std::string made_;
  std::size_t made_sent_ = 0;
  Bytes run_;
  flow::Held held_;  // what run_ lies in, after hold()
  bool failed_ = false;
};

}  // namespace sluice::proxy
