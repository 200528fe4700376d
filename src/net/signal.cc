#include "net/signal.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>

namespace sluice::net {

void Sleeper::wake() {
  if (!waiter_) return;
  const auto executor = asio::get_associated_executor(*waiter_);
  auto later = [handler = std::move(*waiter_)]() mutable { std::move(handler)(); };
  waiter_.reset();
  asio::post(executor, std::move(later));
}

// Asio's own frame is the only one.
Task<void> Sleeper::sleep() {
  if (waiter_) throw std::logic_error("two wait for one signal");  // the first would be forgotten
  return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this](auto handler) { waiter_.emplace(std::move(handler)); }, asio::use_awaitable);
}

void Signal::notify() {
  set_ = true;
  sleeper_.wake();
}

void Signal::cancel(Code why) {
  failed_ = why;
  sleeper_.wake();
}

Task<void> Signal::wait_told() {
  while (!set_) co_await sleeper_.sleep();
  set_ = false;
}

Task<Status> Signal::wait() {
  while (!set_ && !failed_) co_await sleeper_.sleep();
  if (set_) {  // what was told counts more than what ran out meanwhile
    set_ = false;
    co_return Status{};
  }
  co_return fail(*failed_, *failed_ == Code::kTimeout ? "nothing moved within the time allowed" : "the wait was ended");
}

}  // namespace sluice::net
