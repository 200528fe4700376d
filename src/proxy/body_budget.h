// What the process holds of bodies in flight: all HTTP/2 streams, of those that the other side has not taken yet
// (engine.md 4, 5), and rules, of those that they need whole. It is exceeded only by what peers were allowed to send
// before: windows stop growing at half of it; beyond it a stream gets its window back when it holds nothing, and no
// rule gathers more; beyond twice as much, a stream that holds something and gets more is reset. Thread-safe.
#pragma once

#include <atomic>
#include <utility>

#include "base/bytes.h"

namespace sluice::proxy {

class BodyBudget {
 public:
  explicit BodyBudget(ByteCount limit) : limit_(limit) {}

  void take(ByteCount octets) { held_.fetch_add(octets, std::memory_order_relaxed); }
  void give_back(ByteCount octets) { held_.fetch_sub(octets, std::memory_order_relaxed); }

  ByteCount held() const { return held_.load(std::memory_order_relaxed); }
  bool is_short() const { return held() > limit_ / 2; }
  bool is_spent() const { return held() > limit_; }
  bool is_overdrawn() const { return held() > 2 * limit_; }

 private:
  const ByteCount limit_;
  std::atomic<ByteCount> held_{0};
};

// What one exchange has gathered; given back with it.
class BodyShare {
 public:
  explicit BodyShare(BodyBudget& budget) : budget_(budget) {}
  ~BodyShare() { give_back(); }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;
  // False: there is no more to be had.
  bool take(ByteCount octets) {
    budget_.take(octets);
    taken_ += octets;
    return !budget_.is_spent();
  }

  void give_back() { budget_.give_back(std::exchange(taken_, 0)); }

 private:
  BodyBudget& budget_;
  ByteCount taken_ = 0;
};

}  // namespace sluice::proxy
