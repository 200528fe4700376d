// A program that is started for its clients, as an upstream: one message a line on two pipes, a process group of its
// own. Whatever ends it, nothing of its group outlives this. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "gateway/upstream.h"
#include "net/server_process.h"

namespace sluice::gateway {

class ChildUpstream final : public Upstream, public std::enable_shared_from_this<ChildUpstream> {
 public:
  static constexpr std::chrono::seconds kGrace{5};  // to end by itself, then by SIGTERM
  // Its exit code, or 128 and the number of the signal that ended it; `killed`: by us, since nothing else did. Once.
  using OnExit = std::function<void(int code, bool killed)>;

  // kUnavailable: it could not be started. `on_exit` may be empty, and is called after close(), too. `environment`:
  // NAME=value, beside ours.
  static Result<std::shared_ptr<ChildUpstream>> create(boost::asio::io_context& io,
                                                       const std::vector<std::string>& command, UpstreamEvents events,
                                                       OnExit on_exit,
                                                       const std::vector<std::string>& environment = {});
  ~ChildUpstream() override;

  void send(std::string message) override;
  ByteCount pending() const override { return lines_ ? lines_->pending() : 0; }
  void hold_reading(bool hold) override;
  // Its input ends; what does not end it is followed by SIGTERM, then by SIGKILL, kGrace apart.
  void close(std::function<void()> gone) override;

  void signal(int number) const;
  bool has_ended() const { return !process_ || process_->has_ended(); }

 private:
  ChildUpstream(boost::asio::io_context& io, UpstreamEvents events, OnExit on_exit)
      : events_(std::move(events)), on_exit_(std::move(on_exit)), grace_(io) {}
  class Lines;
  void exited(int code, bool killed);

  UpstreamEvents events_;
  OnExit on_exit_;
  boost::asio::steady_timer grace_;
  std::unique_ptr<net::ServerProcess> process_;
  std::unique_ptr<StdioTransport> lines_;
  std::function<void()> gone_;
  bool closed_ = false;
};

}  // namespace sluice::gateway
