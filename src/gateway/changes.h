// What changed, told to whoever watches: marks may come from any thread, notices go out on the control thread, at most
// four a second for each URI (engine.md 5). A mark costs two atomic operations while nobody watches.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

namespace sluice::gateway {

class Changes : public std::enable_shared_from_this<Changes> {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};
  enum Topic : unsigned { kStatus = 0, kTraffic = 1, kTools = 2, kTopics = 3 };

  // Held by shared_ptr, because marks from other threads may outlive the owner.
  static std::shared_ptr<Changes> create(boost::asio::any_io_executor control);

  void mark(Topic topic);  // any thread

  // Control thread: called with the topic; removed when the returned handle goes.
  using Watch = std::shared_ptr<void>;
  Watch watch(std::function<void(Topic)> callback);

  static std::string_view uri(Topic topic);  // empty: no resource (kTools: what a caller may see of the tools)

 private:
  explicit Changes(boost::asio::any_io_executor control) : control_(control), timer_(control) {}
  void arm();
  void flush();

  boost::asio::any_io_executor control_;
  boost::asio::steady_timer timer_;
  std::array<std::atomic<bool>, kTopics> marked_{};
  std::atomic<bool> armed_{false};
  std::atomic<std::size_t> watchers_{0};
  std::map<std::uint64_t, std::function<void(Topic)>> callbacks_;
  std::uint64_t next_ = 1;
};

}  // namespace sluice::gateway
