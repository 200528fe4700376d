#include "gateway/child_upstream.h"

#include <csignal>
#include <utility>

namespace sluice::gateway {

class ChildUpstream::Lines final : public LineSession {
 public:
  explicit Lines(std::weak_ptr<ChildUpstream> child) : child_(std::move(child)) {}
  void take(std::string_view line) override {
    const auto child = child_.lock();
    if (child && !child->closed_) child->events_.message(line, {});
  }
  void too_long() override {
    const auto child = child_.lock();
    if (child && !child->closed_) child->events_.too_long();
  }
  std::size_t calls() const override { return 0; }
  void close() override {}

 private:
  const std::weak_ptr<ChildUpstream> child_;
};

Result<std::shared_ptr<ChildUpstream>> ChildUpstream::create(boost::asio::io_context& io,
                                                             const std::vector<std::string>& command,
                                                             UpstreamEvents events, OnExit on_exit,
                                                             const std::vector<std::string>& environment) {
  std::shared_ptr<ChildUpstream> child(new ChildUpstream(io, std::move(events), std::move(on_exit)));
  const std::weak_ptr<ChildUpstream> weak = child;
  const auto ended = [weak](int code) {
    if (const auto self = weak.lock()) self->exited(code, false);
  };
  SLUICE_TRY(child->process_, net::ServerProcess::start(io.get_executor(), command, ended, environment));
  StdioTransport::Ends ends{child->process_->from_it(), child->process_->to_it(), Relay::kMaxAnswer, [weak] {
                              const auto self = weak.lock();
                              if (self && !self->closed_) self->events_.drained();
                            }};
  SLUICE_TRY(child->lines_,
             StdioTransport::create(io.get_executor(), std::move(ends), std::make_shared<Lines>(weak), [weak] {
               const auto self = weak.lock();
               if (self && !self->closed_) self->events_.ended();
             }));
  child->process_->close_pipes();
  return child;
}

ChildUpstream::~ChildUpstream() {
  if (lines_) lines_->stop();
}

void ChildUpstream::send(std::string message) {
  if (!closed_) lines_->send(std::move(message));
}

void ChildUpstream::hold_reading(bool hold) { lines_->hold_reading(hold); }

void ChildUpstream::signal(int number) const {
  if (process_) process_->signal(number);
}

void ChildUpstream::close(std::function<void()> gone) {
  if (closed_) return;
  closed_ = true;
  lines_->end_output();
  if (has_ended()) return gone();
  gone_ = std::move(gone);
  grace_.expires_after(kGrace);
  grace_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->has_ended()) return;
    self->signal(SIGTERM);
    self->grace_.expires_after(kGrace);
    self->grace_.async_wait([self](const boost::system::error_code& again) {
      if (again || self->has_ended()) return;
      self->process_.reset();  // SIGKILL to the group
      self->exited(128 + SIGKILL, true);
    });
  });
}

void ChildUpstream::exited(int code, bool killed) {
  const auto self = shared_from_this();
  if (closed_) grace_.cancel();
  const auto tell = std::exchange(on_exit_, nullptr);
  if (tell) tell(code, killed);
  if (!gone_) return;
  // What it started, and what it left unread, goes with it.
  process_.reset();
  lines_->stop();
  const auto gone = std::exchange(gone_, nullptr);
  gone();
}

}  // namespace sluice::gateway
