// For tests: runs a control thread's loop here.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace sluice::gateway {

// Until the condition holds; 20 s at most. Whether it does.
template <class Condition>
bool run_until(boost::asio::io_context& io, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < end) {
    io.restart();
    io.run_one_for(std::chrono::milliseconds(5));
  }
  return condition();
}

}  // namespace sluice::gateway
