#include "proxy/websocket_relay.h"

#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>

#include "proxy/duplex.h"
#include "proxy/relay.h"

namespace sluice::proxy {
namespace {

// What both directions share. An idle WebSocket holds this, one coroutine for each direction and one wait for each.
struct Shared {
  Shared(net::Stream& client_, net::Stream& upstream_, WebSocketWatcher& watcher_,
         const WebSocketRelayOptions& options_)
      : options(options_),
        timeouts(options_.timeouts),
        client(client_),
        upstream(upstream_),
        watcher(watcher_),
        duplex(options_.deadlines, timeouts, client_, upstream_) {
    timeouts.idle = options.timeouts.websocket_idle;
    duplex.answering = true;
  }
  bool said_close() const {
    return watcher.has_closed(flow::Direction::kRequest) || watcher.has_closed(flow::Direction::kResponse);
  }

  const WebSocketRelayOptions& options;
  Timeouts timeouts;  // as they are now
  net::Stream& client;
  net::Stream& upstream;
  WebSocketWatcher& watcher;
  Duplex duplex;
  WebSocketEnd end;
};

// One direction.
class Way {
 public:
  Way(Shared& shared, flow::Direction direction)
      : shared_(shared),
        direction_(direction),
        from_client_(direction == flow::Direction::kRequest),
        from_(from_client_ ? shared.client : shared.upstream),
        to_(from_client_ ? shared.upstream : shared.client) {}

  net::Stream& from() { return from_; }

  enum class Step { kWait, kRest, kOver };
  // All that can be done without waiting. kWait: for more to read; kRest: for `out` to be sent.
  Step advance(Outbox& out) {
    if (ended_) {
      end_in_order();
      return Step::kOver;
    }
    while (!shared_.duplex.stopping()) {
      const MutableBytes space = shared_.options.sink.read_space(shared_.options.read_size);
      const tls::IoResult got = from_.read(space);
      switch (got.status) {
        case tls::IoStatus::kOk:
          if (!send(space.first(got.count), out)) return Step::kRest;
          break;
        case tls::IoStatus::kWouldBlock:
          shared_.duplex.arm();
          return Step::kWait;
        case tls::IoStatus::kTruncated:
          if (!shared_.watcher.has_closed(direction_)) shared_.end.truncated = true;
          [[fallthrough]];
        case tls::IoStatus::kEof:
          ended_ = true;
          if (shared_.options.edits) out.add_made(shared_.options.edits->finish(direction_, shared_.watcher));
          if (!out.empty() && !out.try_send()) return Step::kRest;
          end_in_order();
          return Step::kOver;
        case tls::IoStatus::kError:
          fail_with({Code::kClosed, from_.error_text()}, from_client_);
          return Step::kOver;
      }
    }
    return Step::kOver;
  }
  // After kWait and kRest. True: go on.
  bool resume(const Status& ready) {
    if (ready || (ready.error().code == Code::kTimeout && shared_.duplex.still_active())) return true;
    fail_with(ready.error(), from_client_);
    return false;
  }
  bool sent(const Status& sent) {
    if (!sent) fail_with(sent.error(), !from_client_);
    return sent.has_value();
  }

 private:
  // True: all of it is gone, so that it can be unmasked where it stood.
  bool send(MutableBytes octets, Outbox& out) {
    const Bytes view(octets.data(), octets.size());
    bool sent;
    if (shared_.options.edits) {
      out.add_made(shared_.options.edits->pass(direction_, view, shared_.watcher));
      sent = out.try_send();
    } else {
      out.add_view(view);
      sent = out.try_send();
      if (sent)
        shared_.watcher.see_sent(direction_, octets);
      else
        shared_.watcher.see(direction_, view);
    }
    if (shared_.watcher.has_closed_both()) expect_end();  // only the end of TCP is to come
    if (!sent) shared_.duplex.arm();
    return sent;
  }
  void end_in_order() {
    to_.close_write();
    expect_end();  // a WebSocket with one direction has nothing to wait for
    shared_.duplex.arm();
  }
  void expect_end() { shared_.timeouts.idle = shared_.options.timeouts.idle; }
  void fail_with(Error error, bool client) {
    if (shared_.end.status) {  // the first failure; what it ends is no cause
      shared_.end.status = fail(std::move(error));
      shared_.end.client_failed = client;
    }
    shared_.duplex.stop();
  }

  Shared& shared_;
  const flow::Direction direction_;
  const bool from_client_;
  net::Stream& from_;
  net::Stream& to_;
  bool ended_ = false;  // the last octets are on their way
};

net::Task<void> relay_way(Shared& shared, flow::Direction direction) {
  Way way(shared, direction);
  Outbox out(shared.options.sink, direction == flow::Direction::kRequest ? shared.upstream : shared.client);
  for (;;) {
    const Way::Step step = way.advance(out);
    if (step == Way::Step::kOver) co_return;
    if (step == Way::Step::kWait) {
      const Status ready = co_await wait_for_more(way.from());
      if (!way.resume(ready)) co_return;
    } else {
      const Status sent = co_await out.send_rest(&shared.duplex);
      if (!way.sent(sent)) co_return;
    }
  }
}

}  // namespace

net::Task<WebSocketEnd> relay_websocket(net::Stream& client, net::Stream& upstream, WebSocketWatcher& watcher,
                                        const WebSocketRelayOptions& options) {
  client.expect_silence();
  upstream.expect_silence();
  Shared shared(client, upstream, watcher, options);
  shared.duplex.spawn(co_await net::asio::this_coro::executor, relay_way(shared, flow::Direction::kRequest),
                      options.on_bug);
  std::exception_ptr bug;
  try {
    co_await relay_way(shared, flow::Direction::kResponse);
  } catch (...) {
    bug = std::current_exception();
    shared.duplex.stop();
  }
  co_await shared.duplex.join();
  if (!shared.end.status || bug || shared.duplex.send_failed) {
    client.reset();
    upstream.reset();
  }
  if (bug) std::rethrow_exception(bug);
  // RFC 6455 §7.1.1: after a Close nothing more is owed, so that cutting the connection harms nobody.
  if (shared.said_close()) shared.end.status = {};
  co_return std::move(shared.end);
}

}  // namespace sluice::proxy
