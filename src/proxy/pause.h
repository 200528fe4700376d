// Waits that rules ask for (delays, throttles), of one connection: they end early when the connection does.
// One worker thread.
#pragma once

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <unordered_set>

#include "base/clock.h"
#include "net/stream.h"

namespace sluice::proxy {

class Pauses {
 public:
  // False: end() was called, before or meanwhile.
  net::Task<bool> wait(std::chrono::microseconds time) {
    if (ended_) co_return false;
    net::asio::steady_timer timer(co_await net::asio::this_coro::executor, time);
    timers_.insert(&timer);
    struct Leave {
      Pauses& pauses;
      net::asio::steady_timer* timer;
      ~Leave() { pauses.timers_.erase(timer); }
    } leave{*this, &timer};
    boost::system::error_code error;
    co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, error));
    co_return !ended_;
  }
  void end() {
    ended_ = true;
    for (net::asio::steady_timer* timer : timers_) timer->cancel();
  }

 private:
  std::unordered_set<net::asio::steady_timer*> timers_;
  bool ended_ = false;
};

// Keeps a flow of octets to a rate.
class Pace {
 public:
  explicit Pace(std::uint64_t octets_per_second) : rate_(octets_per_second) {}
  bool is_set() const { return rate_ > 0; }
  // As much as may go at once: a tenth of a second's worth.
  std::size_t most() const { return std::max<std::size_t>(rate_ / 10, 1); }
  // How long to wait before more goes.
  std::chrono::microseconds pause(MonoTime now) const {
    return std::max(std::chrono::duration_cast<std::chrono::microseconds>(next_ - now), std::chrono::microseconds(0));
  }
  void sent(std::size_t octets, MonoTime now) {
    next_ = std::max(next_, now) + std::chrono::microseconds(octets * 1'000'000 / rate_);
  }

 private:
  std::uint64_t rate_;
  MonoTime next_{};
};

}  // namespace sluice::proxy
