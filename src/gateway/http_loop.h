// What the connections of one HttpServer share: which of them can be read or written, their deadlines, and the answers
// that are about to be whole. Private to http_server. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "gateway/http_reply.h"
#include "net/deadlines.h"
#include "net/readiness.h"

namespace sluice::gateway {

class HttpLoop : public std::enable_shared_from_this<HttpLoop> {
 public:
  HttpLoop(boost::asio::io_context& io, std::chrono::milliseconds gather)
      : readiness(io), gather_(gather), tick_(io), flush_(io) {}

  void start() { tick(); }
  auto executor() { return tick_.get_executor(); }
  void stop();
  // The reply is flushed within twice `gather`. One timer for all: setting one for each costs a system call.
  void flush_soon(std::weak_ptr<HttpReply> reply);

  net::Readiness readiness;
  const std::shared_ptr<net::Deadlines> deadlines = std::make_shared<net::Deadlines>();

 private:
  void tick();
  void flush();

  const std::chrono::milliseconds gather_;
  boost::asio::steady_timer tick_, flush_;
  std::vector<std::weak_ptr<HttpReply>> older_, newer_;
  bool stopped_ = false;
};

}  // namespace sluice::gateway
