// A question that a coroutine asks another thread: the answer comes back on the coroutine's own executor, and the
// question may outlive who asked (a look-up cannot be interrupted, and its worker may end before it).
//   Asking<T> asking(co_await this_coro::executor, until);
//   hand asking.slot() to the other thread, which calls give() once;
//   auto answer = co_await asking.wait();   // nullopt: nothing came until then
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "net/stream.h"

namespace sluice::net {

template <typename T>
class AnswerSlot : public std::enable_shared_from_this<AnswerSlot<T>> {
 public:
  // Any thread. False: nobody waits any more.
  bool is_wanted() {
    const std::lock_guard lock(mutex_);
    return waiting_ != nullptr;
  }

  // Any thread.
  void give(T answer) {
    const std::lock_guard lock(mutex_);  // while it is held the coroutine lives, and so does its executor
    if (!waiting_) return;
    asio::post(waiting_->get_executor(), [slot = this->shared_from_this(), answer = std::move(answer)]() mutable {
      if (!slot->waiting_) return;  // only the coroutine's own thread ends the waiting
      slot->answer_ = std::move(answer);
      slot->waiting_->cancel();
    });
  }

 private:
  template <typename>
  friend class Asking;
  std::mutex mutex_;
  asio::steady_timer* waiting_ = nullptr;  // the coroutine's, until it no longer waits
  std::optional<T> answer_;
};

// Lives in the asking coroutine's frame.
template <typename T>
class Asking {
 public:
  Asking(const asio::any_io_executor& executor, MonoTime until) : timer_(executor) {
    timer_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(until));
    slot_->waiting_ = &timer_;
  }
  ~Asking() {
    const std::lock_guard lock(slot_->mutex_);
    slot_->waiting_ = nullptr;
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  const std::shared_ptr<AnswerSlot<T>>& slot() const { return slot_; }

  // Once.
  Task<std::optional<T>> wait() {
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return std::move(slot_->answer_);
  }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<AnswerSlot<T>> slot_ = std::make_shared<AnswerSlot<T>>();
};

}  // namespace sluice::net
