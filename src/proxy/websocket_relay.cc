#include "proxy/websocket_relay.h"

#include <boost/asio/this_coro.hpp>
#include <exception>

#include "proxy/duplex.h"
#include "proxy/relay.h"

namespace sluice::proxy {
namespace {

class Relay {
 public:
  Relay(const net::asio::any_io_executor& executor, net::Stream& client, net::Stream& upstream,
        WebSocketWatcher& watcher, const WebSocketRelayOptions& options)
      : options_(options),
        timeouts_(options.timeouts),
        client_(client),
        upstream_(upstream),
        watcher_(watcher),
        duplex_(executor, options.clock, timeouts_, client, upstream) {
    timeouts_.idle = options.timeouts.websocket_idle;
    duplex_.answering = true;
  }

  net::Task<WebSocketEnd> run() {
    duplex_.spawn(one(flow::Direction::kRequest), options_.on_bug);
    std::exception_ptr bug;
    try {
      co_await one(flow::Direction::kResponse);
    } catch (...) {
      bug = std::current_exception();
      duplex_.stop();
    }
    co_await duplex_.join();
    if (!end_.status || bug || duplex_.send_failed) {
      client_.reset();
      upstream_.reset();
    }
    if (bug) std::rethrow_exception(bug);
    // RFC 6455 §7.1.1: after a Close nothing more is owed, so that cutting the connection harms nobody.
    if (said_close()) end_ = {};
    end_.truncated = truncated_;
    co_return std::move(end_);
  }

 private:
  bool said_close() const {
    return watcher_.has_closed(flow::Direction::kRequest) || watcher_.has_closed(flow::Direction::kResponse);
  }
  net::Task<void> one(flow::Direction direction) {
    const bool from_client = direction == flow::Direction::kRequest;
    net::Stream& from = from_client ? client_ : upstream_;
    net::Stream& to = from_client ? upstream_ : client_;
    bool source_failed = false;
    const Status moved = co_await move(direction, from, to, source_failed);
    if (moved) {
      timeouts_.idle = options_.timeouts.idle;  // a WebSocket with one direction has nothing to wait for
      duplex_.arm();
      co_return;
    }
    if (end_.status)
      end_ = {moved, source_failed == from_client, false};  // the first failure; what it ends is no cause
    duplex_.stop();
  }

  // Until the source has ended.
  net::Task<Status> move(flow::Direction direction, net::Stream& from, net::Stream& to, bool& source_failed) {
    Outbox out(options_.sink, to);
    while (!duplex_.stopping()) {
      const MutableBytes space = options_.sink.read_space(options_.read_size);
      const tls::IoResult got = from.read(space);
      if (got.status == tls::IoStatus::kEof || got.status == tls::IoStatus::kTruncated) {
        if (got.status == tls::IoStatus::kTruncated && !watcher_.has_closed(direction)) truncated_ = true;
        to.close_write();
        co_return Status{};
      }
      if (got.status == tls::IoStatus::kError) {
        source_failed = true;
        co_return fail(Code::kClosed, from.error_text());
      }
      if (got.status == tls::IoStatus::kOk) {
        if (!send(direction, space.first(got.count), out)) {
          duplex_.arm();
          if (Status sent = co_await out.send_rest(); !sent) co_return sent;
        }
        continue;
      }
      duplex_.arm();
      const Status ready =
          from.read_waits_for() == tls::WaitFor::kRead ? co_await from.wait_readable() : co_await from.wait_writable();
      if (!ready && ready.error().code == Code::kTimeout && duplex_.still_active()) continue;
      if (!ready) {
        source_failed = true;
        co_return ready;
      }
    }
    co_return Status{};
  }

  // True: all of it is gone, and could be unmasked where it stood.
  bool send(flow::Direction direction, MutableBytes octets, Outbox& out) {
    const Bytes view(octets.data(), octets.size());
    out.add_view(view);
    const bool sent = out.try_send();
    if (sent)
      watcher_.see_sent(direction, octets);
    else
      watcher_.see(direction, view);
    if (watcher_.has_closed_both()) timeouts_.idle = options_.timeouts.idle;  // only the end of TCP is to come
    return sent;
  }

  const WebSocketRelayOptions& options_;
  Timeouts timeouts_;  // as they are now
  net::Stream& client_;
  net::Stream& upstream_;
  WebSocketWatcher& watcher_;
  Duplex duplex_;
  WebSocketEnd end_;
  bool truncated_ = false;
};

}  // namespace

net::Task<WebSocketEnd> relay_websocket(net::Stream& client, net::Stream& upstream, WebSocketWatcher& watcher,
                                        const WebSocketRelayOptions& options) {
  client.expect_silence();
  upstream.expect_silence();
  Relay relay(co_await net::asio::this_coro::executor, client, upstream, watcher, options);
  co_return co_await relay.run();
}

}  // namespace sluice::proxy
