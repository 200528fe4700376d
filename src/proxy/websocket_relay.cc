#include "proxy/websocket_relay.h"

#include <array>
#include <optional>
#include <utility>

#include "net/signal.h"
#include "proxy/relay.h"

namespace sluice::proxy {
namespace {

// One coroutine for both directions, which waits for whatever moves first: most WebSockets idle, and this is what each
// of them holds.
class Relay {
 public:
  Relay(net::Stream& client, net::Stream& upstream, WebSocketWatcher& watcher, const WebSocketRelayOptions& options)
      : options_(options),
        client_(client),
        upstream_(upstream),
        watcher_(watcher),
        idle_(options.timeouts.websocket_idle),
        up_(*this, flow::Direction::kRequest),
        down_(*this, flow::Direction::kResponse) {}
  ~Relay() {
    for (Wait& wait : waits_) wait.forget();
  }

  // All that can be done without waiting. False: both directions are over.
  bool advance() {
    up_.advance();
    down_.advance();
    return !up_.is_over() || !down_.is_over();
  }
  bool has_moved() { return std::exchange(moved_, false); }
  net::Task<void> sleep() { return sleeper_.sleep(); }

  WebSocketEnd finish() {
    // RFC 6455 §7.1.1: after a Close nothing more is owed, so that cutting the connection harms nobody.
    if (watcher_.has_closed(flow::Direction::kRequest) || watcher_.has_closed(flow::Direction::kResponse)) {
      end_.status = {};
    }
    return std::move(end_);
  }
  bool has_failed() const { return !end_.status; }

 private:
  // For one side of one stream. Both directions may need the same: TLS may have to write before it can read.
  class Wait final : public net::Watcher {
   public:
    void arm(Relay& relay, net::Stream& stream, tls::WaitFor side) {
      if (armed_) return;
      relay_ = &relay;
      stream_ = &stream;
      side_ = side;
      armed_ = true;
      watch(this);
    }
    void forget() {
      if (armed_) watch(nullptr);
    }
    std::uint32_t times_over() const { return times_over_; }
    std::optional<Code> failure() const { return failure_; }  // of the last time

   private:
    void watch(net::Watcher* who) {
      if (side_ == tls::WaitFor::kRead)
        stream_->watch_readable(who);
      else
        stream_->watch_writable(who);
    }
    void on_wait_over(Status how) override {
      armed_ = false;
      ++times_over_;
      failure_ = how ? std::nullopt : std::optional(how.error().code);
      relay_->moved_ = true;
      relay_->sleeper_.wake();
    }
    Relay* relay_ = nullptr;
    net::Stream* stream_ = nullptr;
    tls::WaitFor side_ = tls::WaitFor::kRead;
    bool armed_ = false;
    std::optional<Code> failure_;
    std::uint32_t times_over_ = 0;
  };

  class Way {
   public:
    Way(Relay& relay, flow::Direction direction)
        : relay_(relay),
          direction_(direction),
          from_(is_clients() ? relay.client_ : relay.upstream_),
          to_(is_clients() ? relay.upstream_ : relay.client_),
          out_(relay.options_.sink, to_) {}

    bool is_over() const { return over_; }
    void advance() {
      if (over_ || (wait_ && wait_->times_over() == times_over_)) return;
      if (wait_ && !resume(wait_->failure())) return;
      wait_ = nullptr;
      while (!over_) {
        if (relay_.stopping_) {
          over_ = true;
        } else if (sending_) {
          if (!send_rest()) return;
        } else if (!read()) {
          return;
        }
      }
    }

   private:
    bool is_clients() const { return direction_ == flow::Direction::kRequest; }
    // False: there is nothing to be done now.
    bool read() {
      const MutableBytes space = relay_.options_.sink.read_space(relay_.options_.read_size);
      const tls::IoResult got = from_.read(space);
      switch (got.status) {
        case tls::IoStatus::kOk:
          send(space.first(got.count));
          return true;
        case tls::IoStatus::kWouldBlock:
          relay_.arm_deadlines();
          wait_for(from_, from_.read_waits_for());
          return false;
        case tls::IoStatus::kTruncated:
          if (!relay_.watcher_.has_closed(direction_)) relay_.end_.truncated = true;
          [[fallthrough]];
        case tls::IoStatus::kEof:
          ended_ = sending_ = true;
          if (relay_.options_.edits) out_.add_made(relay_.options_.edits->finish(direction_, relay_.watcher_));
          return true;
        case tls::IoStatus::kError:
          fail_with({Code::kClosed, from_.error_text()}, is_clients());
          return true;
      }
      return false;
    }
    void send(MutableBytes octets) {
      const Bytes view(octets.data(), octets.size());
      if (relay_.options_.edits) {
        out_.add_made(relay_.options_.edits->pass(direction_, view, relay_.watcher_));
        sending_ = !out_.try_send();
      } else {
        out_.add_view(view);
        sending_ = !out_.try_send();
        if (sending_)
          relay_.watcher_.see(direction_, view);
        else
          relay_.watcher_.see_sent(direction_, octets);  // it is gone, and can be unmasked where it stood
      }
      if (relay_.watcher_.has_closed_both()) relay_.expect_end();  // only the end of TCP is to come
      if (sending_) relay_.arm_deadlines();
    }
    // False: the receiver takes no more now.
    bool send_rest() {
      if (!out_.try_send()) {
        if (out_.failed()) {
          fail_with({Code::kClosed, to_.error_text()}, !is_clients());
          return true;
        }
        out_.hold();
        relay_.arm_deadlines();
        wait_for(to_, to_.write_waits_for());
        return false;
      }
      sending_ = false;
      if (ended_) {
        over_ = true;
        to_.close_write();
        relay_.expect_end();  // a WebSocket with one direction has nothing to wait for
        relay_.arm_deadlines();
      }
      return true;
    }
    // True: go on.
    bool resume(std::optional<Code> failure) {
      if (!failure || (!sending_ && *failure == Code::kTimeout && relay_.is_active())) return true;
      const char* text =
          *failure == Code::kTimeout ? "nothing moved within the time allowed" : "the wait was cancelled";
      fail_with({*failure, text}, is_clients() != sending_);
      return false;
    }
    void wait_for(net::Stream& stream, tls::WaitFor side) {
      const std::size_t index = (&stream == &relay_.client_ ? 0u : 2u) + (side == tls::WaitFor::kRead ? 0u : 1u);
      wait_ = &relay_.waits_[index];
      times_over_ = wait_->times_over();
      wait_->arm(relay_, stream, side);
    }
    void fail_with(Error error, bool client) {
      over_ = true;
      if (relay_.end_.status) {  // the first failure; what it ends is no cause
        relay_.end_.status = fail(std::move(error));
        relay_.end_.client_failed = client;
      }
      relay_.stop();
    }

    Relay& relay_;
    const flow::Direction direction_;
    bool over_ = false;
    bool sending_ = false;  // what is in out_ goes before more is read
    bool ended_ = false;    // ... and it is the last
    net::Stream& from_;
    net::Stream& to_;
    Outbox out_;
    Wait* wait_ = nullptr;          // null: for nothing
    std::uint32_t times_over_ = 0;  // when this began
  };

  // Notes that something moved: who is silent while the other direction moves is not idle.
  void arm_deadlines() {
    if (stopping_) return;
    idle_at_ = options_.deadlines.in(idle_);
    client_.set_deadline(idle_at_);
    upstream_.set_deadline(idle_at_);
  }
  bool is_active() const { return options_.deadlines.last_tick() < idle_at_; }
  void expect_end() { idle_ = options_.timeouts.idle; }
  void stop() {
    stopping_ = true;
    client_.cancel(Code::kCancelled);
    upstream_.cancel(Code::kCancelled);
  }

  const WebSocketRelayOptions& options_;
  net::Stream& client_;
  net::Stream& upstream_;
  WebSocketWatcher& watcher_;
  Duration idle_;
  MonoTime idle_at_{};
  bool moved_ = false, stopping_ = false;
  net::Sleeper sleeper_;
  WebSocketEnd end_;
  std::array<Wait, 4> waits_;
  Way up_, down_;
};

}  // namespace

net::Task<WebSocketEnd> relay_websocket(net::Stream& client, net::Stream& upstream, WebSocketWatcher& watcher,
                                        const WebSocketRelayOptions& options) {
  client.expect_silence();
  upstream.expect_silence();
  Relay relay(client, upstream, watcher, options);
  while (relay.advance()) {
    while (!relay.has_moved()) co_await relay.sleep();
  }
  if (relay.has_failed()) {
    client.reset();
    upstream.reset();
  }
  co_return relay.finish();
}

}  // namespace sluice::proxy
