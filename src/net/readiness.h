// Which sockets of one worker can be read or written: one edge-triggered epoll set of our own, watched by the worker's
// io_context as a single descriptor. Asio's own wait costs an epoll_ctl each time; here a socket is registered once
// (docs/benchmarks.md says what that is worth). Linux epoll(7), EPOLLET. Belongs to one worker thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>

#include "base/result.h"
#include "net/stream.h"

namespace sluice::net {

class Readiness {
 public:
  class Node {
   public:
    virtual ~Node() = default;
    // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as they became true. May destroy any node, this one too.
    virtual void on_ready(std::uint32_t events) = 0;
  };

  explicit Readiness(asio::io_context& io);
  ~Readiness();
  // No more events. Before the io_context goes; nodes may be removed after it. A node may call it; the set itself must
  // outlive the node's on_ready().
  void stop();

  void add(int fd, Node& node);
  // Before the descriptor is closed.
  void remove(int fd, Node& node);

 private:
  void wait();
  void deliver();

  static constexpr int kBatch = 128;
  static constexpr int kRounds = 8;
  int epoll_;
  std::optional<asio::posix::stream_descriptor> watch_;
  std::array<epoll_event, kBatch> batch_{};
  int batch_at_ = 0, batch_end_ = 0;
};

}  // namespace sluice::net
