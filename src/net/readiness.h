// Which sockets of one worker can be read or written: one edge-triggered epoll set of our own, watched by the worker's
// io_context as a single descriptor. Asio's own wait costs an epoll_ctl each time; here a socket is registered once
// (docs/benchmarks.md says what that is worth). Linux epoll(7), EPOLLET. Belongs to one worker thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

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
    // What defer() asked for. May destroy any node, this one too.
    virtual void on_turn() = 0;
  };

  explicit Readiness(asio::io_context& io);
  ~Readiness();
  // No more events. Before the io_context goes; nodes may be removed after it. A node may call it; the set itself must
  // outlive the node's on_ready().
  void stop();

  void add(int fd, Node& node);
  // Before the descriptor is closed.
  void remove(int fd, Node& node);

  // Counts what is delivered: within one turn the same node runs on without the others,
  std::uint64_t turn() const { return turn_; }
  // and what is delivered at once began here.
  std::chrono::steady_clock::time_point turn_began() const { return turn_began_; }
  // The processor's time that a turn took which defer() asked for, so far; zero in others.
  std::chrono::nanoseconds deferred_turn_cost() const;
  // on_turn() once all others that wait for this thread have had theirs; at most once for each time it is called.
  void defer(Node& node);

 private:
  void wait();
  void deliver();
  void deliver_deferred();

  static constexpr int kBatch = 128;
  static constexpr int kRounds = 8;
  asio::io_context& io_;
  std::uint64_t turn_ = 0;
  std::chrono::steady_clock::time_point turn_began_;
  std::chrono::nanoseconds deferred_began_{0};  // of this thread's time; zero: this turn is none
  int epoll_;
  std::optional<asio::posix::stream_descriptor> watch_;
  std::array<epoll_event, kBatch> batch_{};
  int batch_at_ = 0, batch_end_ = 0;
  std::vector<Node*> deferred_, due_;  // null: was removed
  // What is posted may run after this is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::net
