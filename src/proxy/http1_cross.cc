// An HTTP/1 client whose origin speaks HTTP/2: the part of Http1Server where exchanges meet StreamRelay.
#include "http/translate.h"
#include "http1/body_reader.h"
#include "proxy/http1_server.h"
#include "proxy/stream_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::chrono::seconds kClientLook{1};  // between looks at a client that nobody reads

// The content of a body that was taken off the wire before its origin was known.
std::string content_of(Bytes wire, const http::BodyFraming& framing, const HttpLimits& limits) {
  http1::BodyReader reader(limits, http1::Side::kRequest);
  reader.begin(framing);
  std::string content;
  for (;;) {
    const auto step = reader.next(wire);
    if (!step || *step == http1::BodyReader::Step::kNeedMore || *step == http1::BodyReader::Step::kEnd) return content;
    if (*step == http1::BodyReader::Step::kPiece) content += reader.piece().content;
  }
}

}  // namespace

class Http1Server::CrossClient final : public ClientEnd, private net::Deadlines::Node {
 public:
  CrossClient(Http1Server& server, Exchange& exchange)
      : Node(server.worker_.deadlines()),
        server_(server),
        exchange_(exchange),
        out_(server.worker_.sink(), server.client_) {}

  net::Task<BodyRead> read_body() override {
    BodyRead read;
    Bytes fed;
    for (;;) {
      auto event = server_.reader_.next();
      if (!event) {
        read.step = BodyStep::kFailed;
        read.failure.cause = EndFailure::Cause::kMalformed;
        read.failure.message = "malformed request body";
        co_return read;
      }
      if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
        if (piece->content.empty()) continue;
        read.step = BodyStep::kContent;
        // The reader's rest must outlive the wait for the origin to take this, and so must this.
        read.content = Content(server_.worker_.sink().hold(piece->content));
        server_.hold_rest();
        co_return read;
      }
      if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
        if (!trailers->fields.empty()) trailers_ = std::move(trailers->fields);
        continue;
      }
      if (std::holds_alternative<http::MessageEnd>(*event)) {
        server_.request_over_ = true;
        exchange_.mark(server_.reader_.anomalies());
        server_.hold_rest();
        read.trailers = std::move(trailers_);
        co_return read;
      }
      if (cancelled_ || !co_await server_.read_client(fed, nullptr)) {
        read.step = BodyStep::kFailed;
        read.failure.cause = cancelled_ ? EndFailure::Cause::kCancelled : EndFailure::Cause::kClosed;
        co_return read;
      }
    }
  }
  void offer_head(const http::ResponseHead& head, bool content_follows) override {
    std::string octets;
    http::Http1Content framing = http::Http1Content::kNone;
    const bool none =
        head.is_interim() || head.status == 204 || head.status == 304 || exchange_.request().method == "HEAD";
    http1::append_head(octets, http::to_http1(head, content_follows && !none, exchange_.request().version, framing));
    if (!head.is_interim()) framing_ = framing;
    out_.add_made(octets);
    send();
  }
  void offer(Content content) override {
    if (content.octets().empty() || framing_ == http::Http1Content::kNone) return;
    std::string line;
    if (framing_ == http::Http1Content::kChunked) http1::append_chunk_line(line, content.octets().size());
    out_.add_made(line);
    out_.add_view(content.octets());
    if (framing_ == http::Http1Content::kChunked) out_.add_made("\r\n");
    send();
  }
  void offer_end(const http::FieldList* trailers) override {
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
    if (failed_) co_return fail(Code::kClosed, "the client went away");
    Status sent = co_await out_.send_rest();
    if (!sent && sent.error().code != Code::kTimeout) failed_ = true;
    co_return sent;
  }
  void set_deadline(MonoTime at) override { server_.client_.set_deadline(at); }
  void cancel() override { cancel_reads(); }
  void cancel_reads() override {
    cancelled_ = true;
    server_.client_.cancel(Code::kCancelled);
  }
  void cut(std::uint32_t) override { server_.client_.reset(); }
  void on_gone(std::function<void()> call) override {
    on_gone_ = std::move(call);
    Node::set_deadline(on_gone_ ? server_.worker_.clock().mono() + kClientLook : MonoTime::max());
  }
  bool knows_resets() const override { return false; }
  bool has_left() override { return server_.client_.has_ended(); }
  bool ends_with_connection() const { return framing_ == http::Http1Content::kUntilClose; }

 private:
  void send() {
    if (failed_ || out_.try_send()) return;
    failed_ = out_.failed();
    out_.hold();
  }
  void on_deadline() override {
    if (!on_gone_) return;
    if (server_.client_.is_dead())
      std::exchange(on_gone_, nullptr)();
    else
      Node::set_deadline(server_.worker_.clock().mono() + kClientLook);
  }

  Http1Server& server_;
  Exchange& exchange_;
  Outbox out_;
  http::Http1Content framing_ = http::Http1Content::kNone;
  std::optional<http::FieldList> trailers_;
  std::function<void()> on_gone_;
  bool failed_ = false, cancelled_ = false;
};

StreamRelay::RequestBody Http1Server::body_to_cross(const Exchange& exchange, Bytes wire_at_hand) {
  StreamRelay::RequestBody body;
  body.is_over = request_over_;
  if (!wire_at_hand.empty()) body.begun = content_of(wire_at_hand, exchange.request_framing(), worker_.limits().http);
  return body;
}

net::Task<Http1Server::Result> Http1Server::cross(Exchange& exchange, OriginEnd& origin,
                                                  StreamRelay::RequestBody& body) {
  hold_rest();
  CrossClient client(*this, exchange);
  StreamRelay relay(worker_, exchange, client, aborted_, holding_);
  const StreamRelay::Result result = co_await relay.run(origin, body);
  if (result == StreamRelay::Result::kRetry) co_return Result::kRetry;
  if (aborted_) fail_for_client(exchange, "");
  const bool lives = result == StreamRelay::Result::kDone && request_over_ && !client.ends_with_connection() &&
                     http::keeps_alive(exchange.request());
  co_return lives ? Result::kDone : result == StreamRelay::Result::kDone ? Result::kDoneClose : Result::kFailed;
}

}  // namespace sluice::proxy
