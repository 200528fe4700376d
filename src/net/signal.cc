#include "net/signal.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>

namespace sluice::net {
namespace {

// Asio itself keeps two operations of a thread and goes to aligned_alloc() for more; a connection that reads wakes ten
// streams at once.
template <class T>
struct PlainAllocator {
  using value_type = T;
  PlainAllocator() = default;
  template <class Other>
  PlainAllocator(const PlainAllocator<Other>&) {}  // NOLINT: allocators convert
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory); }
  friend bool operator==(PlainAllocator, PlainAllocator) { return true; }
};

template <class Handler>
struct Later {
  using allocator_type = PlainAllocator<void>;
  allocator_type get_allocator() const { return {}; }
  void operator()() { std::move(handler)(); }
  Handler handler;
};

}  // namespace

void Sleeper::wake() {
  if (!waiter_) return;
  const auto executor = asio::get_associated_executor(*waiter_);
  Later<Handler> later{std::move(*waiter_)};
  waiter_.reset();
  // The loop's own executor: through any_io_executor each call is wrapped in one more block. Mostly the caller runs on
  // that loop, and defer() takes no lock there.
  if (const auto* loop = executor.target<asio::io_context::executor_type>())
    return asio::defer(*loop, std::move(later));
  asio::defer(executor, std::move(later));
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
