#include "net/readiness.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <stdexcept>
#include <utility>

namespace sluice::net {

Readiness::Readiness(asio::io_context& io) : io_(io), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");  // out of descriptors before anything began
  watch_.emplace(io, epoll_);
  wait();
}

Readiness::~Readiness() {
  *alive_ = false;
  stop();
  ::close(epoll_);
}

void Readiness::stop() {
  if (watch_) watch_->release();
  watch_.reset();
}

void Readiness::add(int fd, Node& node) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &node;
  (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Readiness::remove(int fd, Node& node) {
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (int i = batch_at_; i < batch_end_; ++i) {  // events already taken, not yet delivered
    if (batch_[i].data.ptr == &node) batch_[i].data.ptr = nullptr;
  }
  for (auto* const list : {&deferred_, &due_})
    std::replace(list->begin(), list->end(), &node, static_cast<Node*>(nullptr));
}

namespace {

std::chrono::nanoseconds thread_time() {
  timespec now{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

std::chrono::nanoseconds Readiness::deferred_turn_cost() const {
  return deferred_began_.count() == 0 ? deferred_began_ : thread_time() - deferred_began_;
}

// Posted, so that the loop looks at its timers and descriptors, and delivers, in between.
void Readiness::defer(Node& node) {
  deferred_.push_back(&node);
  if (deferred_.size() > 1) return;
  asio::post(io_, [this, alive = alive_] {
    if (*alive) deliver_deferred();
  });
}

void Readiness::deliver_deferred() {
  due_.swap(deferred_);
  for (std::size_t i = 0; i < due_.size(); ++i) {
    ++turn_;
    turn_began_ = std::chrono::steady_clock::now();
    deferred_began_ = thread_time();
    if (Node* const node = std::exchange(due_[i], nullptr)) node->on_turn();
  }
  due_.clear();
  deferred_began_ = {};
}

void Readiness::wait() {
  watch_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    deliver();
    if (watch_) wait();
  });
}

// Looks again while there is something: going back to the loop costs two more system calls. Bounded, because the loop
// has other work as well.
void Readiness::deliver() {
  for (int round = 0; round < kRounds; ++round) {
    batch_at_ = 0;
    batch_end_ = std::max(0, ::epoll_wait(epoll_, batch_.data(), kBatch, 0));
    if (batch_end_ == 0) break;
    turn_began_ = std::chrono::steady_clock::now();
    while (batch_at_ < batch_end_) {
      const epoll_event event = batch_[batch_at_++];
      ++turn_;
      if (event.data.ptr) static_cast<Node*>(event.data.ptr)->on_ready(event.events);
    }
  }
  batch_at_ = batch_end_ = 0;
}

}  // namespace sluice::net
