// An HTTP/1.1 client for one server, on the control thread: a few connections that are kept alive, TLS verified by the
// system's trust and what is given, no redirects, no cookies, no content codings. Answers come in pieces; whoever reads
// bounds them. RFC 9110, RFC 9112.
//
//   auto exchange = client.open({"POST", target, fields, body});
//   co_await exchange->send(); co_await exchange->read_head(…); co_await exchange->read_piece(…) until nullopt
//
// A request is never sent twice: where a kept connection ends under it, it fails.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/url.h"
#include "http1/http1.h"
#include "net/dial.h"
#include "tls/session.h"

namespace sluice::gateway {

struct HttpClientLimits {
  HttpLimits http{.max_head = 64 * kKiB, .max_fields = 200, .max_chunk_line = 4 * kKiB};
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds tls{10'000};
  std::chrono::milliseconds write{60'000};  // of one request
  std::size_t max_kept = 16;                // connections without a request
  std::chrono::seconds kept{4};             // so long; many servers end them after 5 s (Keep-Alive may say less)
};

class HttpClient {
 public:
  struct Options {
    Url server;                                 // whose scheme, host and port count
    bool only_loopback = false;                 // kRefused for any other address that the name leads to
    bool never_loopback = false;                // kRefused for addresses of this machine
    std::shared_ptr<tls::ClientContext> trust;  // of https
    HttpClientLimits limits = {};
  };
  // `clock` outlives the client; exchanges may outlive it, and then only fail.
  HttpClient(boost::asio::io_context& io, const Clock& clock, Options options);
  ~HttpClient();

  struct Request {
    std::string method, target;
    std::vector<std::pair<std::string, std::string>> fields;  // without Host and those of framing and connection
    std::string body;
  };
  class Exchange {
   public:
    virtual ~Exchange() = default;
    // Connects, or takes a connection that is kept, and writes the request. Errors name the host and the cause.
    virtual net::Task<Status> send() = 0;
    // An octet of the request left.
    virtual bool begun() const = 0;
    // The final head.
    virtual net::Task<Result<http::ResponseHead>> read_head(std::chrono::milliseconds at_most) = 0;
    // Some of the body; nullopt: its end. kClosed: it was cut short.
    virtual net::Task<Result<std::optional<std::string>>> read_piece(std::chrono::milliseconds at_most) = 0;
    // Ends the connection and every wait, at any time.
    virtual void cancel() = 0;
  };
  std::shared_ptr<Exchange> open(Request request);

  const Url& server() const { return options_.server; }
  std::size_t kept() const { return kept_.size(); }

 private:
  class Running;
  struct Loop;  // what streams need as long as they live
  struct Connection {
    std::unique_ptr<net::Stream> stream;
    std::shared_ptr<const void> known;
    MonoTime until{};  // as long as it may be kept
  };
  class Guard final : public net::DialGuard {
   public:
    explicit Guard(const Options& options) : options_(options) {}
    Status may_dial(std::string_view name, const boost::asio::ip::address& address, std::uint16_t port) override;

   private:
    const Options& options_;
  };
  net::Task<Result<Connection>> connect();
  std::optional<Connection> take_kept();
  void keep(Connection connection, const http::ResponseHead& head);
  void tick();

  const Clock& clock_;
  const Options options_;
  Guard guard_{options_};
  const std::shared_ptr<Loop> loop_;
  boost::asio::steady_timer timer_;
  std::vector<Connection> kept_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Whether plain HTTP to this host stays on this machine, as far as its name says.
bool is_loopback_name(std::string_view host);
// Addresses that lead to this machine (also 0.0.0.0 and ::), and those of the link, where clouds keep credentials.
bool is_this_machine(const boost::asio::ip::address& address);
bool is_link_local(const boost::asio::ip::address& address);

}  // namespace sluice::gateway
