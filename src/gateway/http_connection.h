// One client of the control port. Private to http_server.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "gateway/http_loop.h"
#include "gateway/http_server.h"
#include "http1/http1.h"
#include "net/tcp_stream.h"

namespace sluice::gateway {

class HttpConnection final : public std::enable_shared_from_this<HttpConnection>, private net::Watcher {
 public:
  // Takes the descriptor, which does not block. The handler and the limits outlive it.
  HttpConnection(int fd, std::string local_address, std::shared_ptr<HttpLoop> loop, HttpHandler& handler,
                 const HttpServerLimits& limits);

  net::Task<void> run();
  void close();

 private:
  enum class Next { kKeep, kClose };
  // Of a request, what its answer depends on: all that is kept while it is answered.
  struct Asked {
    explicit Asked(const http::RequestHead& head);
    bool for_head, by_post, takes_chunks, keeps_alive;
  };

  net::Task<Result<std::size_t>> read_some();  // into buffer_; an error: end of input, or the deadline
  net::Task<void> let_others();                // whatever else the loop has to do comes first
  net::Task<bool> read_more();                 // false: likewise
  net::Task<bool> write(std::string octets);
  net::Task<std::optional<http::RequestHead>> read_head();
  // nullopt: the answer was written, or the client is gone.
  net::Task<std::optional<std::string>> read_body(const http::RequestHead& head);
  net::Task<Next> exchange();
  // Until a request was handed over (reply_), or what becomes of the connection without one.
  net::Task<std::variant<Asked, Next>> receive();
  net::Task<Next> pump(HttpReply& reply, Asked asked);
  net::Task<Next> write_answer(HttpAnswer answer, Asked asked, bool keep);
  net::Task<bool> write_events(HttpReply& reply, bool chunked, std::string octets);
  net::Task<void> refuse(int status, std::string_view text);
  // Lets the client read an answer that came before its request was read: a close now would reset it.
  net::Task<void> linger();
  void set_deadline(std::chrono::milliseconds from_now);
  void watch_for_end();
  void on_wait_over(Status how) override;
  void look_for_end();

  const std::shared_ptr<HttpLoop> loop_;
  net::TcpStream stream_;
  std::string local_address_;
  HttpHandler& handler_;
  const HttpServerLimits& limits_;
  http1::RequestReader reader_;
  std::string buffer_;
  int reads_in_a_row_ = 0;
  std::shared_ptr<HttpReply> reply_;  // of the request that is being answered
};

}  // namespace sluice::gateway
