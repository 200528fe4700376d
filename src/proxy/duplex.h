// The two directions of one exchange on the wire: the answer is relayed by the connection's own coroutine, a request
// body that is not yet here by a second one. Keeps their deadlines and joins them. One worker thread.
#pragma once

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>

#include "base/limits.h"
#include "net/deadlines.h"
#include "net/stream.h"

namespace sluice::proxy {

class Duplex {
 public:
  Duplex(const net::Deadlines& deadlines, const Timeouts& timeouts, net::Stream& client, net::Stream& upstream)
      : deadlines_(deadlines), timeouts_(timeouts), client_(client), upstream_(upstream) {}

  bool send_failed = false;  // the origin no longer takes the request
  bool bad_request = false;  // the request's body could not be read
  bool answering = false;    // the first octet of the answer has come

  // Before each wait: notes that something moved and sets both ends' deadlines.
  void arm() {
    if (stopping_) return;
    idle_at_ = deadlines_.in(timeouts_.idle);
    client_.set_deadline(idle_at_);
    upstream_.set_deadline(awaits_first_byte() ? first_byte_at_ : std::min(idle_at_, head_at_));
  }
  // Before a wait for the origin: whether the head of its answer has begun and is not whole. An origin that says it
  // octet by octet has as much time for it as for the first byte.
  void in_head(bool begun) {
    if (!begun)
      head_at_ = MonoTime::max();
    else if (head_at_ == MonoTime::max())
      head_at_ = deadlines_.in(timeouts_.first_byte);
  }
  // After a time-out: true if the other direction moved meanwhile, so that this one may go on waiting.
  bool still_active() const { return !awaits_first_byte() && deadlines_.last_tick() < std::min(idle_at_, head_at_); }
  bool request_over() const { return request_over_; }
  void request_sent(bool over) {
    first_byte_at_ = deadlines_.in(timeouts_.first_byte);
    request_over_ = over;
    if (awaits_first_byte() && !stopping_) upstream_.set_deadline(first_byte_at_);
  }

  void spawn(const net::asio::any_io_executor& executor, net::Task<void> pump,
             const std::function<void(std::string_view)>& on_bug);
  bool pumping() const { return pumping_; }
  bool stopping() const { return stopping_; }
  // Ends both directions. Whoever does not wait just now meets a deadline that is over at the next wait.
  void stop() {
    stopping_ = true;
    client_.set_deadline(MonoTime{});
    upstream_.set_deadline(MonoTime{});
    client_.cancel(Code::kCancelled);
    upstream_.cancel(Code::kCancelled);
  }
  // The client's side is of no more use: the answer's relay stops waiting, or does not begin to.
  void client_failed() {
    client_failed_ = true;
    upstream_.cancel(Code::kCancelled);
  }
  bool has_client_failed() const { return client_failed_; }
  // Until the other coroutine is over. Whoever spawned one must not leave, or throw, before.
  net::Task<void> join();

 private:
  bool awaits_first_byte() const { return request_over_ && !answering; }

  std::optional<net::asio::steady_timer> joined_;  // once there is a pump
  const net::Deadlines& deadlines_;
  const Timeouts& timeouts_;
  net::Stream& client_;
  net::Stream& upstream_;
  MonoTime idle_at_{}, first_byte_at_{}, head_at_ = MonoTime::max();
  bool request_over_ = false, pumping_ = false, stopping_ = false, client_failed_ = false;
};

}  // namespace sluice::proxy
