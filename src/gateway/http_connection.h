// One client of the control port. Private to http_server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "gateway/http_server.h"
#include "http1/http1.h"

namespace sluice::gateway {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  HttpConnection(Socket socket, std::string local_address, HttpHandler& handler, const HttpServerLimits& limits);

  boost::asio::awaitable<void> run();
  void close();

 private:
  enum class Next { kKeep, kClose };

  boost::asio::awaitable<bool> read_more();  // false: end of input, or the deadline
  boost::asio::awaitable<bool> write(std::string octets);
  boost::asio::awaitable<std::optional<http::RequestHead>> read_head();
  // nullopt: the answer was written, or the client is gone.
  boost::asio::awaitable<std::optional<std::string>> read_body(const http::RequestHead& head);
  boost::asio::awaitable<Next> exchange();
  boost::asio::awaitable<Next> pump(HttpReply& reply, const http::RequestHead& head);
  boost::asio::awaitable<Next> write_answer(HttpAnswer answer, const http::RequestHead& head, bool keep);
  boost::asio::awaitable<bool> write_events(HttpReply& reply, bool chunked, std::string octets);
  boost::asio::awaitable<void> refuse(int status, std::string_view text);
  // Lets the client read an answer that came before its request was read: a close now would reset it.
  boost::asio::awaitable<void> linger();
  void set_deadline(std::chrono::milliseconds from_now);
  void watch_for_end();

  Socket socket_;
  std::string local_address_;
  HttpHandler& handler_;
  const HttpServerLimits& limits_;
  http1::RequestReader reader_;
  boost::asio::steady_timer deadline_;
  std::string buffer_;
  std::shared_ptr<HttpReply> reply_;  // of the request that is being answered
  bool watching_ = false;
};

}  // namespace sluice::gateway
