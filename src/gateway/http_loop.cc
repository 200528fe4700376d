#include "gateway/http_loop.h"

#include <utility>

namespace sluice::gateway {

void HttpLoop::stop() {
  if (std::exchange(stopped_, true)) return;
  tick_.cancel();
  flush_.cancel();
  readiness.stop();
}

void HttpLoop::tick() {
  deadlines->tick(std::chrono::steady_clock::now());
  tick_.expires_after(net::kDeadlineTick);
  tick_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self && !self->stopped_) self->tick();
  });
}

void HttpLoop::flush_soon(std::weak_ptr<HttpReply> reply) {
  const bool idle = older_.empty() && newer_.empty();
  newer_.push_back(std::move(reply));
  if (idle && !stopped_) flush();
}

// Who came since the last time waits for the next one.
void HttpLoop::flush() {
  for (const auto& weak : std::exchange(older_, std::exchange(newer_, {}))) {
    if (const auto reply = weak.lock()) reply->flush();
  }
  if (older_.empty()) return;
  flush_.expires_after(gather_);
  flush_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self && !self->stopped_) self->flush();
  });
}

}  // namespace sluice::gateway
