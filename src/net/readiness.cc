#include "net/readiness.h"

#include <unistd.h>

#include <stdexcept>

namespace sluice::net {

Readiness::Readiness(asio::io_context& io) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");  // out of descriptors before anything began
  watch_.emplace(io, epoll_);
  wait();
}

Readiness::~Readiness() {
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
    while (batch_at_ < batch_end_) {
      const epoll_event event = batch_[batch_at_++];
      if (event.data.ptr) static_cast<Node*>(event.data.ptr)->on_ready(event.events);
    }
  }
  batch_at_ = batch_end_ = 0;
}

}  // namespace sluice::net
