// One line for each exchange on a terminal, while `serve` runs. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "capture/capture.h"

namespace sluice::app {

class TrafficLines {
 public:
  TrafficLines(boost::asio::io_context& io, const capture::Ring& ring);

 private:
  void wait();
  void print();

  boost::asio::steady_timer timer_;
  const capture::Ring& ring_;
  std::uint64_t rev_;
};

}  // namespace sluice::app
