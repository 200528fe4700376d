#include "gateway/changes.h"

#include <boost/asio/post.hpp>
#include <vector>

namespace sluice::gateway {

std::shared_ptr<Changes> Changes::create(boost::asio::any_io_executor control) {
  return std::shared_ptr<Changes>(new Changes(std::move(control)));
}

std::string_view Changes::uri(Topic topic) {
  if (topic == kTools) return "";
  return topic == kStatus ? "proxy://status" : "proxy://traffic/summary";
}

void Changes::mark(Topic topic) {
  if (watchers_.load(std::memory_order_relaxed) == 0) return;
  marked_[topic].store(true, std::memory_order_relaxed);
  if (armed_.exchange(true)) return;
  boost::asio::post(control_, [self = shared_from_this()] { self->arm(); });
}

void Changes::arm() {
  // The first notice leaves at once, later ones wait out the interval.
  const auto earliest = timer_.expiry() + kInterval;
  timer_.expires_at(std::max(earliest, std::chrono::steady_clock::now()));
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->flush();
  });
}

void Changes::flush() {
  armed_.store(false);
  for (unsigned i = 0; i < kTopics; ++i) {
    if (!marked_[i].exchange(false)) continue;
    // A callback may end its own watch, or another's.
    std::vector<std::uint64_t> ids;
    for (const auto& [id, callback] : callbacks_) ids.push_back(id);
    for (const std::uint64_t id : ids) {
      const auto found = callbacks_.find(id);
      if (found == callbacks_.end()) continue;
      const auto callback = found->second;
      callback(static_cast<Topic>(i));
    }
  }
}

Changes::Watch Changes::watch(std::function<void(Topic)> callback) {
  const std::uint64_t id = next_++;
  callbacks_.emplace(id, std::move(callback));
  watchers_.fetch_add(1);
  return {nullptr, [weak = weak_from_this(), id](void*) {
            const auto self = weak.lock();
            if (!self || self->callbacks_.erase(id) == 0) return;
            self->watchers_.fetch_sub(1);
          }};
}

}  // namespace sluice::gateway
