#include "proxy/http2_server.h"

#include "fingerprint/fingerprint.h"
#include "net/spawn.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

class Http2Client final : public ClientEnd {
 public:
  Http2Client(Http2StreamPtr stream, Http2Link& link, http2::Session& session)
      : stream_(std::move(stream)), link_(link), session_(session) {}
  ~Http2Client() override { stream_->on_gone = nullptr; }

  net::Task<BodyRead> read_body() override { return stream_->read_body(); }
  void offer_head(const http::ResponseHead& head, bool content_follows) override {
    if (stream_->failure()) return;
    // A stream that has gone meanwhile is told of by its reset.
    (void)session_.submit_response(stream_->id(), head, content_follows ? http2::Body::kPulled : http2::Body::kNone);
    if (!head.is_interim() && !content_follows) stream_->offer_nothing();
    link_.flush();
  }
  void offer(Content content) override { stream_->offer(std::move(content)); }
  void offer_end(const http::FieldList* trailers) override { stream_->offer_end(trailers); }
  bool has_room() const override { return stream_->has_room(); }
  net::Task<Status> wait_room() override { return stream_->wait_room(); }
  void set_deadline(MonoTime at) override { stream_->set_deadline(at); }
  void cancel() override { stream_->cancel(); }
  void cancel_reads() override { stream_->cancel_reads(); }
  void cut(std::uint32_t code) override { stream_->reset(code); }
  void on_gone(std::function<void()> call) override {
    if (call && stream_->failure()) return call();
    stream_->on_gone = std::move(call);
  }
  bool knows_resets() const override { return true; }
  bool has_left() override { return stream_->failure().has_value(); }
  std::optional<std::uint32_t> reset_code() const override {
    if (!stream_->failure() || stream_->failure()->cause != EndFailure::Cause::kReset) return std::nullopt;
    return stream_->failure()->code;
  }

 private:
  Http2StreamPtr stream_;
  Http2Link& link_;
  http2::Session& session_;
};

http::BodyFraming framing_of(const http2::HeadRead& read) {
  http::BodyFraming framing;
  if (read.ended) return framing;
  framing.kind = http::Framing::kChunked;  // its end is told, its length is not
  const auto declared = http::request_framing(std::get<http::RequestHead>(read.head));
  if (declared && declared->kind == http::Framing::kLength) framing = *declared;
  return framing;
}

std::string print_of(const http2::Preface& preface) {
  fingerprint::Http2Hello hello;
  hello.settings = preface.settings;
  hello.window_increment = preface.window_increment;
  for (const auto& frame : preface.priorities) {
    hello.priorities.push_back({static_cast<std::uint32_t>(frame.stream), frame.priority.exclusive,
                                frame.priority.dependency, frame.priority.weight});
  }
  hello.pseudo_order = preface.pseudo_order;
  return fingerprint::http2(hello).text;
}

}  // namespace

http2::Options http2_options(const ProxyLimits& limits) {
  http2::Options options;
  options.head_size = limits.http.max_head;
  options.head_fields = limits.http.max_fields;
  options.extended_connect = false;
  return options;
}

Http2Server::Http2Server(Worker& worker, net::Stream& client, ExchangeServer& exchanges, const http2::Options& options,
                         net::asio::any_io_executor executor)
    : Http2Link(worker, client, http2::Role::kServer, options, std::move(executor)),
      exchanges_(exchanges),
      all_over_(worker.deadlines()) {}

// One coroutine that serve() waits for.
class Http2Server::Running {
 public:
  explicit Running(Http2Server& server) : server_(server) { ++server_.running_; }
  ~Running() {
    if (--server_.running_ > 0) return;
    server_.all_over_.notify();
    if (server_.worker().draining()) server_.stop();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Http2Server& server_;
};

net::Task<void> Http2Server::serve() {
  std::exception_ptr bug;
  try {
    co_await run();
  } catch (...) {
    bug = std::current_exception();
  }
  while (running_ > 0) co_await all_over_.wait_told();
  if (bug) std::rethrow_exception(bug);
}

Status Http2Server::upgraded(const Http2Upgrade& upgrade, Exchange& exchange, std::unique_ptr<OriginEnd> origin) {
  SLUICE_CHECK(session().upgraded(upgrade.settings, upgrade.method));
  ++requests_;  // what its preface will be is not known yet: no print
  spawn(answer_upgraded(add_stream(1), exchange, std::move(origin)));
  return {};
}

net::Task<void> Http2Server::answer_upgraded(Http2StreamPtr stream, Exchange& exchange,
                                             std::unique_ptr<OriginEnd> origin) {
  const Running running(*this);
  Http2Client client(std::move(stream), *this, session());
  StreamRelay relay(worker(), exchange, client, exchanges_.aborted(), exchanges_.holding());
  StreamRelay::RequestBody body;
  body.is_over = true;
  body.at_hand = false;  // there is no other connection for it
  co_await relay.run(*origin, body);
  exchange.finish();
}

void Http2Server::drain() {
  session().go_away(http2::ErrorCode::kNoError);
  flush();
  if (running_ == 0) stop();
}

void Http2Server::abort() {
  exchanges_.abort();
  stop();
}

bool Http2Server::on_idle() { return running_ > 0; }

// It runs at once, up to its first wait.
void Http2Server::spawn(net::Task<void> task) { net::spawn(executor(), std::move(task), worker().shared().on_bug); }

// The connection's record gets the HTTP/2 print with its first request.
void Http2Server::learn_print() {
  if (requests_++ > 0) return;
  auto connection = std::make_shared<flow::Connection>(*exchanges_.connection());
  connection->http2 = print_of(session().peer_preface());
  exchanges_.set_connection(std::move(connection));
}

void Http2Server::on_head(http2::HeadRead read) {
  learn_print();
  Http2StreamPtr stream = add_stream(read.stream, read.ended);
  spawn(serve_stream(std::move(stream), std::move(read)));
}

void Http2Server::on_malformed(http2::Malformed malformed) {
  Http2StreamPtr stream = find_stream(malformed.stream);
  if (stream) {  // its head was good: the exchange that runs ends as for a peer that left
    EndFailure failure;
    failure.cause = EndFailure::Cause::kMalformed;
    failure.message = std::move(malformed.message);
    stream->fail(std::move(failure));
    return;
  }
  learn_print();
  stream = add_stream(malformed.stream);
  spawn(refuse_stream(std::move(stream), std::move(malformed)));
}

net::Task<void> Http2Server::serve_stream(Http2StreamPtr stream, http2::HeadRead read) {
  const Running running(*this);
  Http2Client client(stream, *this, session());
  ExchangeServer::Request request;
  request.framing = framing_of(read);
  request.protocol = read.protocol;
  if (read.priority) request.weight = read.priority->weight;
  request.head = std::get<http::RequestHead>(std::move(read.head));
  request.started = worker().clock().mono();
  co_await exchanges_.serve(client, std::move(request));
  // RFC 9113 §8.1: the answer is over; what is left of the request is not wanted.
  if (!stream->has_ended()) client.cut(static_cast<std::uint32_t>(http2::ErrorCode::kNoError));
}

net::Task<void> Http2Server::refuse_stream(Http2StreamPtr stream, http2::Malformed malformed) {
  const Running running(*this);
  Http2Client client(stream, *this, session());
  ExchangeServer::Request request;
  if (auto* head = std::get_if<http::RequestHead>(&malformed.head)) request.head = std::move(*head);
  request.started = worker().clock().mono();
  co_await exchanges_.refuse(client, std::move(request),
                             malformed.too_large ? FailureKind::kHeadTooLarge : FailureKind::kBadRequest,
                             std::move(malformed.message));
  if (!stream->has_ended()) client.cut(static_cast<std::uint32_t>(http2::ErrorCode::kNoError));
}

}  // namespace sluice::proxy
