// HTTP/2 after an Upgrade to h2c (RFC 7540 §3.2): the request that asked becomes stream 1 on both sides, and the
// connection goes on as any other that speaks HTTP/2. A part of Http1Server.
#include "net/prefixed_stream.h"
#include "proxy/http1_server.h"
#include "proxy/http2_server.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// The 101 has been sent; `client_early` and `early` are what came behind the two heads.
net::Task<Http1Server::Result> Http1Server::http2_upgraded(Exchange& exchange, net::Stream& upstream,
                                                           std::string client_early, std::string early) {
  const auto settings = exchange.request().fields.find("http2-settings");
  if (!settings) {  // the origin has taken an upgrade that nobody offered in full
    exchange.fail(FailureKind::kBadAnswer, "the server switched to h2c though the request had no HTTP2-Settings");
    client_.reset();
    co_return Result::kFailed;
  }
  const Http2Upgrade upgrade{std::string(*settings), exchange.sent_method()};
  const auto executor = co_await net::asio::this_coro::executor;

  // The requests that follow go to this origin connection, and nobody else's do.
  ClientFacts facts = facts_;
  facts.http2_without_tls = true;
  facts.identity = "upgraded " + std::to_string(connection_->id.value) + ' ' + std::to_string(requests_);
  auto connection = std::make_unique<UpstreamConnection>();
  connection->stream = std::make_unique<net::PrefixedStream>(upstream, std::move(early));
  connection->info = exchange.upstream();
  connection->route_key = route_of(worker_, exchange.target(), facts).key();
  connection->requests = 1;
  const auto origin = Http2Upstream::start(worker_, std::move(connection), executor, &upgrade);

  net::PrefixedStream client(client_, std::move(client_early));
  ExchangeServer exchanges(worker_, std::move(facts), connection_, own_address_);
  Http2Server server(worker_, client, exchanges, http2_options(worker_.limits()), executor);
  upgraded_ = &server;
  std::exception_ptr bug;
  try {
    if (const Status begun = server.upgraded(upgrade, exchange, origin->open_upgraded()); begun)
      co_await server.serve();
    else
      exchange.fail(FailureKind::kBadRequest, begun.error().message);
  } catch (...) {
    bug = std::current_exception();
  }
  upgraded_ = nullptr;
  origin->stop();
  co_await origin->join();  // it uses `upstream`
  if (bug) std::rethrow_exception(bug);
  co_return exchange.failed() ? Result::kFailed : Result::kDoneClose;
}

}  // namespace sluice::proxy
