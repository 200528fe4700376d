// The two directions of one exchange on the wire: the answer is relayed by the connection's own coroutine, a request
// body that is not yet here by a second one. Keeps their deadlines and joins them. One worker thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "base/clock.h"
#include "base/limits.h"
#include "net/stream.h"

namespace sluice::proxy {

class Duplex {
 public:
  Duplex(const net::asio::any_io_executor& executor, const Clock& clock, const Timeouts& timeouts, net::Stream& client,
         net::Stream& upstream)
      : executor_(executor),
        joined_(executor),
        clock_(clock),
        timeouts_(timeouts),
        client_(client),
        upstream_(upstream) {}

  bool send_failed = false;  // the origin no longer takes the request
  bool bad_request = false;  // the request's body could not be read
  bool answering = false;    // the first octet of the answer has come

  // Before each wait: notes that something moved and sets both ends' deadlines.
  void arm() {
    if (stopping_) return;
    activity_ = clock_.mono();
    client_.set_deadline(activity_ + timeouts_.idle);
    upstream_.set_deadline(request_over_ && !answering ? sent_at_ + timeouts_.first_byte : activity_ + timeouts_.idle);
  }
  // After a time-out: true if the other direction moved meanwhile, so that this one may go on waiting.
  bool still_active() const {
    const bool first_byte = request_over_ && !answering;
    return !first_byte && clock_.mono() < activity_ + timeouts_.idle;
  }
  void request_sent(bool over) {
    sent_at_ = clock_.mono();
    request_over_ = over;
    if (over && !answering && !stopping_) upstream_.set_deadline(sent_at_ + timeouts_.first_byte);
  }

  void spawn(net::Task<void> pump, const std::function<void(std::string_view)>& on_bug);
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
  net::asio::any_io_executor executor_;
  net::asio::steady_timer joined_;
  const Clock& clock_;
  const Timeouts& timeouts_;
  net::Stream& client_;
  net::Stream& upstream_;
  MonoTime activity_{}, sent_at_{};
  bool request_over_ = false, pumping_ = false, stopping_ = false, client_failed_ = false;
};

}  // namespace sluice::proxy
