// The pump of one HTTP/2 client connection: each stream is a coroutine with a client end of its own, so that one that
// is held or slow never stops its siblings. RFC 9113; engine.md 2, 4. Lives in ClientConnection's coroutine.
#pragma once

#include "proxy/exchange_server.h"
#include "proxy/http2_link.h"

namespace sluice::proxy {

class Http2Server final : private Http2Link {
 public:
  Http2Server(Worker& worker, net::Stream& client, ExchangeServer& exchanges, const http2::Options& options,
              net::asio::any_io_executor executor);

  // After an Upgrade to h2c, before serve(): the answer to `exchange` comes from `origin` and goes to stream 1.
  Status upgraded(const Http2Upgrade& upgrade, Exchange& exchange, std::unique_ptr<OriginEnd> origin);
  // Until the connection and all its exchanges are over.
  net::Task<void> serve();

  using Http2Link::complaint;
  using Http2Link::head_timed_out;
  void drain();  // GOAWAY; what runs goes on
  void abort();
  std::uint64_t requests() const { return requests_; }

 private:
  class Running;
  void on_head(http2::HeadRead head) override;
  void on_malformed(http2::Malformed malformed) override;
  bool on_idle() override;
  void spawn(net::Task<void> task);
  net::Task<void> serve_stream(Http2StreamPtr stream, http2::HeadRead read);
  net::Task<void> answer_upgraded(Http2StreamPtr stream, Exchange& exchange, std::unique_ptr<OriginEnd> origin);
  net::Task<void> refuse_stream(Http2StreamPtr stream, http2::Malformed malformed);
  void learn_print();

  ExchangeServer& exchanges_;
  net::Signal all_over_;
  std::size_t running_ = 0;
  std::uint64_t requests_ = 0;
};

// What Sluice says of itself as an HTTP/2 server or client under these limits.
http2::Options http2_options(const ProxyLimits& limits);

}  // namespace sluice::proxy
