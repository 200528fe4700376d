// A small HTTP/1.1 server for the control port and the control socket, on the control thread: keep-alive, whole bodies
// up to a limit, answers as one piece or as a stream of events. What is asked and answered is the handler's matter.
// RFC 9112; Server-Sent Events as WHATWG HTML §9.2.
// Control thread only. Connections are bounded, every wait has a deadline.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "gateway/http_reply.h"
#include "http/message.h"

namespace sluice::gateway {

struct HttpServerLimits {
  HttpLimits http{.max_head = 64 * kKiB, .max_fields = 200, .max_chunk_line = 4 * kKiB};
  ByteCount max_body = 4 * kMiB;
  std::size_t max_connections = 1'024;
  std::chrono::seconds head{30};  // from the first octet of a request to the end of its head
  std::chrono::seconds body{60};
  std::chrono::seconds idle{120};       // between requests
  std::chrono::seconds write{60};       // one write to a client that does not read
  std::chrono::seconds keep_alive{15};  // between two comments of a silent stream of events
  // An answer to a POST that is there within this leaves in one write, though it is a stream of events.
  std::chrono::milliseconds gather{5};
};

struct HttpRequest {
  http::RequestHead head;
  std::string body;
  std::string local_address;  // that the client connected to; empty for a local socket
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Before the body is read: an answer refuses the request.
  virtual std::optional<HttpAnswer> judge(const HttpRequest& request) = 0;
  // Must answer or end the reply, now or later.
  virtual void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) = 0;
  // The body behind this head is beyond max_body.
  virtual HttpAnswer too_large(const http::RequestHead& head) = 0;
};

class HttpServer {
 public:
  using OnBug = std::function<void(std::string_view)>;
  // The handler outlives the server.
  HttpServer(boost::asio::io_context& control, HttpHandler& handler, HttpServerLimits limits, OnBug on_bug);
  ~HttpServer();

  void serve(boost::asio::ip::tcp::acceptor acceptor);
  // Only this user's (and root's) processes are let in.
  void serve(boost::asio::local::stream_protocol::acceptor acceptor);
  // No new connections; all present ones are closed.
  void stop();
  std::size_t connections() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::gateway
