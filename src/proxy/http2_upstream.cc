#include "proxy/http2_upstream.h"

#include <algorithm>

#include "net/spawn.h"
#include "proxy/http2_server.h"
#include "proxy/origin.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// One stream of a Http2Upstream as an origin end.
class Http2Origin final : public OriginEnd {
 public:
  // `stream`: of a request that the origin has already; null for one to come.
  explicit Http2Origin(std::shared_ptr<Http2Upstream> upstream, Http2StreamPtr stream = nullptr)
      : upstream_(std::move(upstream)), stream_(std::move(stream)) {}
  ~Http2Origin() override {
    if (stream_) stream_->on_gone = nullptr;
    if (!released_) cut(static_cast<std::uint32_t>(http2::ErrorCode::kCancel));
    upstream_->used_ = upstream_->worker().deadlines().in(Duration{});
  }

  void offer_request(const http::RequestHead& head, const RequestOptions& wanted) override {
    http2::Session::RequestOptions options;
    if (stream_) return;  // an upgraded connection's first
    options.scheme = wanted.scheme;
    options.protocol = wanted.protocol;
    if (wanted.weight) options.priority = http2::Priority{0, *wanted.weight, false};
    reused_ = upstream_->connection_->requests++ > 0;
    const auto id = upstream_->session().submit_request(
        head, options, wanted.content_follows ? http2::Body::kPulled : http2::Body::kNone);
    if (!id) {
      refused_ = EndFailure{EndFailure::Cause::kClosed, 0, id.error().message, true, false};
      return;
    }
    stream_ = upstream_->add_stream(*id);
    stream_->on_gone = std::move(on_gone_);
    if (deadline_) stream_->set_deadline(*deadline_);
    upstream_->flush();
  }

  net::Task<OriginHead> read_head(const std::string& method) override {
    OriginHead out;
    if (!stream_) {
      out.failure = refused_;
      co_return out;
    }
    for (;;) {
      if (!stream_->heads.empty()) {
        out.head = std::move(stream_->heads.front());
        stream_->heads.erase(stream_->heads.begin());
        if (out.head->is_interim()) co_return out;
        const auto declared = http::response_framing(*out.head, "");
        if (stream_->has_ended() && stream_->head_ended)
          out.framing = {};
        else if (declared && declared->kind == http::Framing::kLength)
          out.framing = *declared;
        else
          out.framing.kind = http::Framing::kChunked;  // its end is told, its length is not
        co_return out;
      }
      if (stream_->failure() || stream_->cancelled()) {
        if (stream_->failure())
          out.failure = *stream_->failure();
        else
          out.failure.cause = EndFailure::Cause::kCancelled;
        co_return out;
      }
      if (const Status ready = co_await stream_->readable.wait(); !ready) {
        out.failure.cause =
            ready.error().code == Code::kTimeout ? EndFailure::Cause::kTimeout : EndFailure::Cause::kCancelled;
        co_return out;
      }
    }
  }

  net::Task<BodyRead> read_body() override { return stream_->read_body(); }
  void offer(Content content) override {
    if (stream_) stream_->offer(std::move(content));
  }
  void offer_end(const http::FieldList* trailers) override {
    if (stream_) stream_->offer_end(trailers);
  }
  bool has_room() const override { return !stream_ || stream_->has_room(); }
  net::Task<Status> wait_room() override { return stream_->wait_room(); }
  void set_deadline(MonoTime at) override {
    deadline_ = at;
    if (stream_) stream_->set_deadline(at);
  }
  void cancel() override {
    if (stream_) stream_->cancel();
  }
  void cancel_reads() override {
    if (stream_) stream_->cancel_reads();
  }
  void cut(std::uint32_t code) override {
    if (stream_) stream_->reset(code);
  }
  void on_gone(std::function<void()> call) override {
    if (stream_)
      stream_->on_gone = std::move(call);
    else
      on_gone_ = std::move(call);
  }
  std::optional<std::uint32_t> reset_code() const override {
    if (!stream_ || !stream_->failure() || stream_->failure()->cause != EndFailure::Cause::kReset) return std::nullopt;
    return stream_->failure()->code;
  }
  net::Task<bool> takes_extended_connect(MonoTime deadline) override {
    co_await upstream_->wait_settings(deadline);
    co_return upstream_->takes_extended_connect();
  }
  const flow::UpstreamPtr& info() const override { return upstream_->info(); }
  bool is_reused() const override { return reused_; }
  void release(bool reusable) override { released_ = reusable; }

 private:
  std::shared_ptr<Http2Upstream> upstream_;
  Http2StreamPtr stream_;
  EndFailure refused_;
  std::optional<MonoTime> deadline_;
  std::function<void()> on_gone_;
  bool reused_ = false, released_ = false;
};

Http2Upstream::Http2Upstream(Worker& worker, UpstreamConnectionPtr connection, net::asio::any_io_executor executor)
    : Http2Link(worker, *connection->stream, http2::Role::kClient, http2_options(worker.limits()), executor),
      connection_(std::move(connection)),
      used_(worker.clock().mono()) {}

std::shared_ptr<Http2Upstream> Http2Upstream::start(Worker& worker, UpstreamConnectionPtr connection,
                                                    net::asio::any_io_executor executor, const Http2Upgrade* upgrade) {
  auto upstream = std::make_shared<Http2Upstream>(worker, std::move(connection), executor);
  if (upgrade) {  // before the first octet is read: the answer may have come with the 101
    // Settings that cannot be read were refused by the origin before.
    (void)upstream->session().upgraded(upgrade->settings, upgrade->method);
    upstream->first_ = upstream->add_stream(1);
  }
  worker.http2_upstreams().add(upstream);
  auto live = [](std::shared_ptr<Http2Upstream> self) -> net::Task<void> { co_await self->live(); };
  net::spawn(executor, live(upstream), worker.shared().on_bug);
  return upstream;
}

net::Task<void> Http2Upstream::live() {
  struct Leave {
    Http2Upstream& self;
    ~Leave() { self.worker().http2_upstreams().remove(&self); }
  } leave{*this};
  co_await run();
  leaving_ = true;
  tell_of_settings();
  remember_resumption();
  connection_->stream->close();
}

bool Http2Upstream::takes_more() const {
  auto& self = const_cast<Http2Upstream&>(*this);
  return !leaving_ && !is_over() && streams() < self.session().peer_max_streams();
}

std::unique_ptr<OriginEnd> Http2Upstream::open() { return std::make_unique<Http2Origin>(shared_from_this()); }

std::unique_ptr<OriginEnd> Http2Upstream::open_upgraded() {
  return std::make_unique<Http2Origin>(shared_from_this(), std::move(first_));
}

net::Task<void> Http2Upstream::wait_settings(MonoTime deadline) {
  if (has_settings_ || leaving_) co_return;
  net::Signal told(worker().deadlines());
  told.set_deadline(deadline);
  awaiting_settings_.push_back(&told);
  struct Leave {
    std::vector<net::Signal*>& awaiting;
    net::Signal* mine;
    ~Leave() { std::erase(awaiting, mine); }
  } leave{awaiting_settings_, &told};
  (void)co_await told.wait();  // or the time is over, or the connection is: then it offers nothing
}

void Http2Upstream::tell_of_settings() {
  for (net::Signal* const told : awaiting_settings_) told->notify();
}

void Http2Upstream::on_settings() {
  has_settings_ = true;
  worker().remember_extended_connect(connection_->route_key, takes_extended_connect());
  tell_of_settings();
  remember_resumption();
}

EndFailure Http2Upstream::end_of_connection() const {
  const auto refused = has_settings_ ? std::nullopt : refused_afterwards(*connection_);
  if (!refused) return Http2Link::end_of_connection();
  const bool identity = refused->kind == FailureKind::kClientCertificate;
  return {identity ? EndFailure::Cause::kIdentity : EndFailure::Cause::kClosed, 0, refused->message};
}

void Http2Upstream::remember_resumption() {
  if (!connection_->session) return;
  if (auto resumption = connection_->session->resumption()) {
    worker().remember_resumption(connection_->route_key, std::move(resumption));
  }
}

void Http2Upstream::on_head(http2::HeadRead read) {
  const Http2StreamPtr stream = find_stream(read.stream);
  if (!stream) return;
  stream->heads.push_back(std::get<http::ResponseHead>(std::move(read.head)));
  stream->head_ended = read.ended;
  stream->readable.notify();
}

void Http2Upstream::on_malformed(http2::Malformed malformed) {
  const Http2StreamPtr stream = find_stream(malformed.stream);
  if (!stream) return;
  EndFailure failure;
  failure.cause = malformed.too_large ? EndFailure::Cause::kTooLarge : EndFailure::Cause::kMalformed;
  failure.message = std::move(malformed.message);
  stream->fail(std::move(failure));
}

void Http2Upstream::on_go_away(const http2::GoAwayRead&) { leaving_ = true; }

// --- one that is made ---

Http2Dial::Mine::Mine(Http2Upstreams& upstreams, std::string route_key)
    : upstreams_(upstreams), route_key_(std::move(route_key)), dial_(std::make_shared<Http2Dial>()) {
  upstreams_.dials_[route_key_] = dial_;
}

Http2Dial::Mine::~Mine() {
  const auto known = upstreams_.dials_.find(route_key_);
  if (known != upstreams_.dials_.end() && known->second == dial_) upstreams_.dials_.erase(known);
  dial_->over_ = true;
  for (net::Signal* signal : dial_->waiting_) signal->notify();
}

net::Task<bool> Http2Dial::wait(net::Deadlines& deadlines, MonoTime deadline) {
  net::Signal done(deadlines);
  done.set_deadline(deadline);
  waiting_.push_back(&done);
  struct Leave {
    Http2Dial& dial;
    net::Signal* signal;
    ~Leave() { std::erase(dial.waiting_, signal); }
  } leave{*this, &done};
  while (!over_) {
    if (!co_await done.wait()) co_return false;
  }
  co_return true;
}

// --- a worker's set ---

Http2UpstreamPtr Http2Upstreams::find(const std::string& route_key, const flow::Upstream* but) const {
  const auto found = by_route_.find(route_key);
  if (found == by_route_.end()) return nullptr;
  for (const Http2UpstreamPtr& upstream : found->second) {
    if (upstream->takes_more() && (!but || upstream->info().get() != but)) return upstream;
  }
  return nullptr;
}

std::shared_ptr<Http2Dial> Http2Upstreams::find_dial(const std::string& route_key) const {
  const auto found = dials_.find(route_key);
  return found == dials_.end() ? nullptr : found->second;
}

void Http2Upstreams::add(Http2UpstreamPtr upstream) {
  auto& of_route = by_route_[upstream->route_key()];
  of_route.push_back(std::move(upstream));
}

void Http2Upstreams::remove(const Http2Upstream* upstream) {
  const auto found = by_route_.find(upstream->route_key());
  if (found == by_route_.end()) return;
  std::erase_if(found->second, [&](const Http2UpstreamPtr& one) { return one.get() == upstream; });
  if (found->second.empty()) by_route_.erase(found);
}

void Http2Upstreams::expire(MonoTime idle_since) {
  for (const auto& [key, upstreams] : by_route_) {
    for (const Http2UpstreamPtr& upstream : upstreams) {
      if (upstream->is_idle_since(idle_since)) upstream->stop();
    }
  }
}

void Http2Upstreams::stop() {
  for (const auto& [key, upstreams] : by_route_) {
    for (const Http2UpstreamPtr& upstream : upstreams) upstream->stop();
  }
}

}  // namespace sluice::proxy
