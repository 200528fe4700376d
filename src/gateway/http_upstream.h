// A server over HTTP as an upstream: Streamable HTTP of 2025-03-26 to 2026-07-28, and HTTP+SSE of 2024-11-05 where
// `initialize` is answered 400, 404 or 405. Each message out is a POST; answers come as JSON or as a stream of events,
// what the server says of itself on a GET stream (legacy). Headers are made from the body and the tool's schema, with
// the gateway's own credentials and nothing of the client's (A35, A36); redirects and content codings are refused
// (A28, A37). What HTTP says is wrong becomes a JSON-RPC error for whoever waits. A broken stream of a legacy session
// is resumed where the server gave ids. Control thread only. gate.md 9; MCP 2025-11-25 "Transports", 2026-07-28
// "Streamable HTTP".
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <set>

#include "gateway/bearer.h"
#include "gateway/http_client.h"
#include "gateway/upstream.h"
#include "mcp/sse_reader.h"

namespace sluice::gateway {

using UpstreamFields = std::vector<std::pair<std::string, std::string>>;

struct HttpUpstreamLimits {
  ByteCount max_message = Relay::kMaxAnswer;     // an answer, or an event of a stream
  ByteCount max_error = 64 * kKiB;               // the body of an answer that is no 2xx
  std::chrono::milliseconds handshake{60'000};   // for the answer to `initialize` and `server/discover`
  std::chrono::milliseconds accepted{30'000};    // for the answer to what is no request
  std::chrono::milliseconds silence{3'700'000};  // without an octet: somewhat more than Relay::kCallDeadline
  std::chrono::milliseconds order{5'000};        // as long a notice holds what comes behind it
  std::chrono::milliseconds endpoint{10'000};    // for the first event of HTTP+SSE
  std::chrono::milliseconds leave{5'000};        // for the end of a legacy stream that was cancelled
  std::chrono::milliseconds farewell{2'000};     // for DELETE
  std::chrono::milliseconds retry{1'000}, max_retry{30'000};  // before a stream is opened again
  int max_retries = 8;                                        // in a row without an event
};

class HttpUpstream final : public Upstream, public std::enable_shared_from_this<HttpUpstream> {
 public:
  // `client` outlives it; `credentials` go with each request, and so does the token of `bearer` (null: there is none);
  // `target` of the URL.
  static std::shared_ptr<HttpUpstream> create(boost::asio::io_context& io, HttpClient& client, std::string target,
                                              std::shared_ptr<const UpstreamFields> credentials, UpstreamEvents events,
                                              HttpUpstreamLimits limits = {}, std::shared_ptr<Bearer> bearer = {});

  void send(std::string message) override;
  ByteCount pending() const override { return pending_; }
  void hold_reading(bool hold) override;
  // Streams are closed, and a session is ended by DELETE.
  void close(std::function<void()> gone) override;

 private:
  using ExchangePtr = std::shared_ptr<HttpClient::Exchange>;
  struct Post {
    std::string text, method;  // empty: an answer of ours
    mcp::SentKey key;          // of a request
    bool modern = false, initialize = false;
    std::string session;  // in which it was sent
    UpstreamFields fields;
    ExchangePtr exchange;
    ByteCount size = 0;
    bool written = false, cancelled = false, renewed = false;
  };
  using PostPtr = std::shared_ptr<Post>;
  enum class End { kAnswered, kEnded, kTooLong };

  HttpUpstream(boost::asio::io_context& io, HttpClient& client, std::string target,
               std::shared_ptr<const UpstreamFields> credentials, UpstreamEvents events, HttpUpstreamLimits limits,
               std::shared_ptr<Bearer> bearer);

  // --- http_upstream.cc: what goes out, and the first that comes back ---
  void spawn(net::Task<void> task);
  bool cancel(const Json& params);  // true: nothing is to be said to the server
  void pump();
  void start(const PostPtr& post);
  void unblock(const PostPtr& post);
  void set_written(const PostPtr& post);
  enum class In { kSession, kNothing };
  UpstreamFields own_fields(In in, std::string_view token) const;
  net::Task<Result<std::string>> take_token();  // empty: there is none
  net::Task<void> run(PostPtr post);
  net::Task<void> talk(PostPtr post);
  net::Task<void> take_answer(PostPtr post, http::ResponseHead head);
  net::Task<void> take_failure(PostPtr post, http::ResponseHead head);
  std::string credentials_text(const http::ResponseHead& head) const;
  net::Task<Result<std::string>> read_body(ExchangePtr exchange, ByteCount most, std::chrono::milliseconds at_most);
  void deliver(const PostPtr& post, std::string_view message);
  void lose(const PostPtr& post, std::string why, bool unsent = false, int status = 0);
  void forget_session(std::string_view why);
  net::Task<void> say_goodbye(std::string session);

  // --- http_upstream_streams.cc ---
  net::Task<Result<http::ResponseHead>> open_stream(std::string last_event_id, ExchangePtr& exchange);
  net::Task<End> read_events(ExchangePtr exchange, mcp::SseReader& reader, PostPtr post, bool& heard);
  net::Task<void> read_answer_stream(PostPtr post);
  net::Task<void> drain(ExchangePtr exchange);
  net::Task<void> listen();
  net::Task<bool> open_legacy();  // HTTP+SSE
  net::Task<void> read_legacy(ExchangePtr exchange);
  bool set_endpoint(std::string_view reference);
  net::Task<void> pause(std::chrono::milliseconds time);
  net::Task<void> while_held();
  std::chrono::milliseconds retry_after(const mcp::SseReader& reader, int failures) const;

  boost::asio::io_context& io_;
  HttpClient& client_;
  const std::string target_;
  const std::shared_ptr<const UpstreamFields> credentials_;
  UpstreamEvents events_;
  const HttpUpstreamLimits limits_;
  const std::shared_ptr<Bearer> bearer_;

  std::list<PostPtr> queue_;
  std::set<PostPtr> active_;
  PostPtr blocking_;  // what comes behind it waits
  boost::asio::steady_timer order_, resume_, farewell_;
  std::set<boost::asio::steady_timer*> pauses_;
  std::set<ExchangePtr> streams_;  // of the server's own
  ByteCount pending_ = 0;
  std::string session_, version_;  // legacy
  std::string endpoint_;           // HTTP+SSE: where messages go
  std::set<mcp::SentKey> owed_;    // answers that are to come on its stream
  std::uint64_t sessions_ = 0;     // a stream of an older one ends
  bool session_lost_ = false, held_ = false, closed_ = false;
};

}  // namespace sluice::gateway
