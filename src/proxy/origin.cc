#include "proxy/origin.h"

#include <algorithm>

#include "http/translate.h"
#include "http1/http1.h"
#include "proxy/http2_upstream.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

class Http1Origin final : public OriginEnd {
 public:
  Http1Origin(Worker& worker, UpstreamConnectionPtr connection)
      : worker_(worker),
        connection_(std::move(connection)),
        stream_(*connection_->stream),
        out_(worker.sink(), stream_),
        reader_(worker.limits().http) {
    reused_ = connection_->requests > 0;
  }
  ~Http1Origin() override {
    if (connection_->session && connection_->requests == 1) {
      if (auto resumption = connection_->session->resumption()) {
        worker_.remember_resumption(connection_->route_key, std::move(resumption));
      }
    }
    if (reusable_ && !worker_.draining())
      worker_.pool().put(std::move(connection_), worker_.clock().mono());
    else if (!over_)
      stream_.reset();
  }

  void offer_request(const http::RequestHead& head, const RequestOptions& options) override {
    const bool content_follows = options.content_follows;
    ++connection_->requests;
    std::string octets;
    http1::append_head(octets, http::to_http1(head, content_follows, framing_));
    if (connection_->forwarding) octets = connection_->forwarding->request_of(octets, worker_.shared().entropy);
    out_.add_made(octets);
    if (!content_follows) ended_ = true;
    send();
  }
  void offer(Content content) override {
    if (content.octets().empty() || framing_ == http::Http1Content::kNone) return;
    if (framing_ != http::Http1Content::kChunked) {
      out_.add_view(content.octets());
    } else {
      std::string line;
      http1::append_chunk_line(line, content.octets().size());
      out_.add_made(line);
      out_.add_view(content.octets());
      out_.add_made("\r\n");
    }
    send();
  }
  void offer_end(const http::FieldList* trailers) override {
    ended_ = true;
    if (framing_ == http::Http1Content::kChunked) {
      static const http::FieldList kNone;
      std::string last;
      http1::append_last_chunk(last, trailers ? *trailers : kNone);
      out_.add_made(last);
    }
    send();
  }
  bool has_room() const override { return out_.empty() && !failed_; }
  net::Task<Status> wait_room() override {
    if (failed_) co_return fail(Code::kClosed, "the server no longer takes the request");
    Status sent = co_await out_.send_rest();
    if (!sent && sent.error().code != Code::kTimeout) failed_ = true;
    co_return sent;
  }

  net::Task<OriginHead> read_head(const std::string& method) override {
    OriginHead out;
    if (!begun_) reader_.begin(method);
    begun_ = true;
    for (;;) {
      auto event = reader_.next();
      if (!event) {
        out.failure.cause =
            event.error().code == Code::kTooLarge ? EndFailure::Cause::kTooLarge : EndFailure::Cause::kMalformed;
        out.failure.message = event.error().message;
        co_return out;
      }
      if (auto* head = std::get_if<http::ResponseHead>(&*event)) {
        if (is_challenge(*head, out.failure)) co_return out;
        out.head = std::move(*head);
        out.framing = reader_.framing();
        out.anomalies = reader_.anomalies();
        if (!out.head->is_interim() && out.framing.kind == http::Framing::kNone) over_ = true;
        co_return out;
      }
      if (!co_await read_octets(out.failure)) {
        if (out.failure.cause == EndFailure::Cause::kClosed) {
          out.failure.message = reader_.in_head() ? "the server ended the connection in the middle of the answer's head"
                                                  : "the server ended the connection without an answer";
          if (const auto refused = refused_afterwards(*connection_)) {
            if (refused->kind == FailureKind::kClientCertificate) out.failure.cause = EndFailure::Cause::kIdentity;
            out.failure.message = refused->message;
          }
        }
        co_return out;
      }
    }
  }

  net::Task<BodyRead> read_body() override {
    BodyRead read;
    for (;;) {
      auto event = reader_.next();
      if (!event) {
        read.step = BodyStep::kFailed;
        read.failure = {EndFailure::Cause::kMalformed, 0, event.error().message, false, false};
        co_return read;
      }
      if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
        if (piece->content.empty()) continue;
        read.step = BodyStep::kContent;
        read.content = Content(piece->content);
        co_return read;
      }
      if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
        if (!trailers->fields.empty()) trailers_ = std::move(trailers->fields);
        continue;
      }
      if (std::holds_alternative<http::MessageEnd>(*event)) co_return end();
      if (co_await read_octets(read.failure)) continue;
      if (read.failure.cause == EndFailure::Cause::kClosed && reader_.finish()) {
        BodyRead last = end();
        last.failure.truncated = read.failure.truncated;
        co_return last;
      }
      read.step = BodyStep::kFailed;
      co_return read;
    }
  }

  void set_deadline(MonoTime at) override { stream_.set_deadline(at); }
  void cancel() override {
    cancelled_ = true;
    stream_.cancel(Code::kCancelled);
  }
  void cancel_reads() override { cancel(); }
  void cut(std::uint32_t) override { stream_.reset(); }
  void on_gone(std::function<void()>) override {}
  const flow::UpstreamPtr& info() const override { return connection_->info; }
  bool is_reused() const override { return reused_; }
  void release(bool reusable) override {
    reusable_ = reusable && over_ && ended_ && out_.empty() && !reader_.has_rest();
  }

 private:
  void send() {
    if (!failed_ && !out_.try_send()) {
      failed_ = out_.failed();
      out_.hold();
    }
  }
  bool is_challenge(const http::ResponseHead& head, EndFailure& failure) {
    std::string why;
    if (!connection_->forwarding || !connection_->forwarding->is_challenge(head.status, head.fields, why)) return false;
    failure.cause = EndFailure::Cause::kProxyAuth;
    failure.untouched = why.empty();
    failure.message = why.empty()
                          ? refused_credentials(*connection_->forwarding->proxy, connect::ProxyAuth::Verdict::kRetry)
                          : std::move(why);
    return true;
  }
  BodyRead end() {
    over_ = true;
    BodyRead read;
    read.trailers = std::move(trailers_);
    return read;
  }
  net::Task<bool> read_octets(EndFailure& failure) {
    for (;;) {
      const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
      const tls::IoResult got = stream_.read(space);
      if (got.status == tls::IoStatus::kOk) {
        reader_.feed(Bytes(space.data(), got.count));
        co_return true;
      }
      if (got.status != tls::IoStatus::kWouldBlock) {
        failure.cause = EndFailure::Cause::kClosed;
        failure.truncated = got.status == tls::IoStatus::kTruncated;
        failure.message = "the server ended the connection";
        co_return false;
      }
      if (cancelled_) {
        failure.cause = EndFailure::Cause::kCancelled;
        co_return false;
      }
      const Status ready = stream_.read_waits_for() == tls::WaitFor::kRead ? co_await stream_.wait_readable()
                                                                           : co_await stream_.wait_writable();
      if (ready) continue;
      failure.cause =
          ready.error().code == Code::kTimeout ? EndFailure::Cause::kTimeout : EndFailure::Cause::kCancelled;
      failure.message = "the server stopped sending";
      co_return false;
    }
  }

  Worker& worker_;
  UpstreamConnectionPtr connection_;
  net::Stream& stream_;
  Outbox out_;
  http1::ResponseReader reader_;
  http::Http1Content framing_ = http::Http1Content::kNone;
  std::optional<http::FieldList> trailers_;
  bool begun_ = false, ended_ = false, over_ = false, failed_ = false, reusable_ = false, reused_ = false;
  bool cancelled_ = false;
};

// The first stream of a connection goes at once. RFC 9113 §5.1.2: the next ones, sent before the origin has said how
// many it takes, would perhaps be refused.
constexpr std::chrono::seconds kSettingsTime{1};

// Whether one connection of this route may serve all who wait for it.
bool may_be_http2(const Worker& worker, const Route& route, const std::string& key) {
  if (!route.tls) return route.http2;
  const RouteMemory* known = worker.find_route(key);
  return known ? known->alpn == "h2" : std::ranges::find(route.profile.alpn, "h2") != route.profile.alpn.end();
}

}  // namespace

std::unique_ptr<OriginEnd> http1_origin(Worker& worker, UpstreamConnectionPtr connection) {
  return std::make_unique<Http1Origin>(worker, std::move(connection));
}

net::Task<tl::expected<std::unique_ptr<OriginEnd>, ConnectFailure>> open_origin(Worker& worker, Exchange& exchange,
                                                                                const Route& route,
                                                                                const std::string& key,
                                                                                flow::UpstreamPtr failed) {
  Http2Upstreams& upstreams = worker.http2_upstreams();
  const auto executor = co_await net::asio::this_coro::executor;
  const Timeouts& timeouts = worker.limits().timeouts;
  const MonoTime patience = worker.deadlines().in(timeouts.connect + timeouts.tls);
  for (bool waited = true; waited;) {
    if (const auto running = upstreams.find(key, failed.get())) {
      if (!running->is_unsure()) co_return running->open();
      co_await running->wait_settings(worker.clock().mono() + kSettingsTime);
      if (running->is_unsure()) co_return running->open();
      continue;
    }
    if (auto pooled = failed ? nullptr : worker.pool().take(key, worker.clock().mono())) {
      co_return http1_origin(worker, std::move(pooled));
    }
    const auto dial = upstreams.find_dial(key);
    waited = dial && co_await dial->wait(worker.deadlines(), patience);
    if (waited && dial->failure) co_return tl::unexpected(*dial->failure);
  }
  std::optional<Http2Dial::Mine> mine;
  if (may_be_http2(worker, route, key)) mine.emplace(upstreams, key);
  ConnectTimes times;
  auto connected = co_await connect_upstream(worker, route, &times);
  if (times.resolved != MonoTime{}) exchange.reached(Exchange::Step::kResolved, times.resolved);
  if (times.connected != MonoTime{}) exchange.reached(Exchange::Step::kConnected, times.connected);
  if (times.tls != MonoTime{}) exchange.reached(Exchange::Step::kUpstreamTls, times.tls);
  if (!connected) {
    if (mine) mine->fail(connected.error());
    co_return tl::unexpected(std::move(connected.error()));
  }
  if ((*connected)->alpn != "h2") co_return http1_origin(worker, *std::move(connected));
  co_return Http2Upstream::start(worker, *std::move(connected), executor)->open();
}

}  // namespace sluice::proxy
