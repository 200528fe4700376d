#include "proxy/sender.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "http/framing.h"
#include "net/deadlines.h"
#include "net/spawn.h"
#include "proxy/ends.h"
#include "proxy/exchange_server.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

// The client side: the whole request is at hand, and the answer is taken as fast as it comes.
class MemoryClient final : public ClientEnd {
 public:
  MemoryClient(std::string content, ByteCount keep) : content_(std::move(content)), keep_(keep) {}

  net::Task<BodyRead> read_body() override {
    BodyRead read;
    if (left_) {
      read.step = BodyStep::kFailed;
      read.failure.cause = EndFailure::Cause::kCancelled;
    } else if (!content_.empty() && !given_) {
      given_ = true;
      read.step = BodyStep::kContent;
      read.content = Content(Bytes(content_));  // lives as long as this
    }
    co_return read;
  }

  void offer_head(const http::ResponseHead& head, bool content_follows) override {
    if (head.is_interim() && head.status != 101) return;
    result_.head = head;
    if (!content_follows) result_.complete = true;
  }
  void offer(Content content) override {
    const Bytes octets = content.octets();
    result_.size += octets.size();
    const std::size_t room = keep_ - std::min<ByteCount>(keep_, result_.content.size());
    result_.content += octets.substr(0, std::min(room, octets.size()));
  }
  void offer_end(const http::FieldList*) override { result_.complete = true; }
  bool has_room() const override { return true; }
  net::Task<Status> wait_room() override { co_return Status(); }
  void set_deadline(MonoTime) override {}  // nothing here ever waits
  void cancel() override {}
  void cancel_reads() override {}
  void cut(std::uint32_t) override { result_.complete = false; }
  void on_gone(std::function<void()> call) override { gone_ = std::move(call); }
  bool knows_resets() const override { return true; }
  bool has_left() override { return left_; }

  // Nobody wants the answer any more.
  void leave() {
    left_ = true;
    if (const auto call = std::exchange(gone_, nullptr)) call();
  }
  // Before there was an answer: what was offered as one is Sluice's own page.
  void fail(const flow::Failure& failure) {
    result_.failure = failure;
    if (failure.phase >= flow::Phase::kResponseBody) return;
    result_.head.reset();
    result_.content.clear();
    result_.size = 0;
    result_.complete = false;
  }
  SendResult& result() { return result_; }

 private:
  const std::string content_;
  const ByteCount keep_;
  SendResult result_;
  std::function<void()> gone_;
  bool given_ = false, left_ = false;
};

// One request from its start to its answer. Owned by its coroutine; who gives up leaves earlier.
class Sending final : public std::enable_shared_from_this<Sending>, net::Deadlines::Node {
 public:
  Sending(Worker& worker, SendRequest request, SendDone done)
      : Node(worker.deadlines()),
        worker_(worker),
        has_content_(!request.content.empty()),
        client_(std::move(request.content), request.keep),
        request_(std::move(request)),
        done_(std::move(done)),
        started_(worker.clock().mono()) {
    worker_.count_sending(+1);
    set_deadline(started_ + request_.timeout);
  }
  ~Sending() override {
    worker_.count_sending(-1);
    if (!done_) return;
    client_.result().failure = flow::Failure("shutdown", flow::Phase::kFirstByte, "Sluice was stopped");
    finish();
  }

  net::Task<void> run() {
    const auto self = shared_from_this();
    std::optional<std::stop_callback<std::function<void()>>> stopping;
    stopping.emplace(request_.stop, [this, weak = weak_from_this()] {
      net::asio::post(worker_.io(), [weak] {
        if (const auto sending = weak.lock()) sending->give_up("cancelled", "the call was cancelled");
      });
    });
    ExchangeServer server(worker_, facts(), connection(), "");
    ExchangeServer::Request asked;
    const auto framing = http::request_framing(request_.head);
    if (framing) asked.framing = *framing;
    if (request_.head.version == http::Version::kHttp2 && has_content_) {
      asked.framing.kind = http::Framing::kChunked;  // its end is told
    }
    asked.head = std::move(request_.head);
    asked.started = started_;
    asked.target = Target{request_.scheme, request_.host, request_.port, asked.head.target,
                          request_.host,   request_.port, request_.host};
    asked.past_rules = request_.direct;
    asked.own_origin = request_.own_origin;
    asked.watch = [this](const Exchange& exchange) {
      client_.result().seq = exchange.seq();
      if (const flow::Failure* failure = exchange.failure()) client_.fail(*failure);
    };
    co_await server.serve(client_, std::move(asked));
    stopping.reset();
    finish();
  }

 private:
  ClientFacts facts() const {
    ClientFacts facts;
    facts.tls = request_.scheme == "https";
    facts.direct = request_.direct;
    facts.grant = request_.grant;
    if (request_.head.version == http::Version::kHttp2) {
      facts.alpn = {"h2", "http/1.1"};
      facts.http2_without_tls = !facts.tls;
    }
    return facts;
  }

  flow::ConnectionPtr connection() const {
    auto connection = std::make_shared<flow::Connection>();
    connection->id = ConnectionId{worker_.shared().next_connection.fetch_add(1, std::memory_order_relaxed)};
    connection->source = flow::Source::kInternal;
    connection->accepted = worker_.clock().wall();
    return connection;
  }

  void on_deadline() override {
    // A worker that ends lets all waits end before their time.
    if (worker_.clock().mono() < started_ + request_.timeout) return give_up("shutdown", "Sluice was stopped");
    give_up("timeout", "no whole answer came within the time-out of this request");
  }

  // The caller has its result at once; the exchange ends as one whose client left.
  void give_up(std::string code, std::string message) {
    if (!done_) return;
    client_.result().failure = flow::Failure(std::move(code), flow::Phase::kFirstByte, std::move(message));
    SendResult result = client_.result();  // what the exchange says of its client leaving is not why
    client_.leave();
    tell(std::move(result));
  }

  void finish() {
    if (done_) tell(std::move(client_.result()));
  }

  void tell(SendResult result) {
    result.duration = std::chrono::duration_cast<std::chrono::microseconds>(worker_.clock().mono() - started_);
    std::exchange(done_, nullptr)(std::move(result));
  }

  Worker& worker_;
  const bool has_content_;
  MemoryClient client_;
  SendRequest request_;
  SendDone done_;
  const MonoTime started_;
};

}  // namespace

void start_sending(Worker& worker, SendRequest request, SendDone done) {
  net::asio::post(worker.io(), [&worker, request = std::move(request), done = std::move(done)]() mutable {
    const auto sending = std::make_shared<Sending>(worker, std::move(request), std::move(done));
    net::spawn(worker.io().get_executor(), sending->run(), worker.shared().on_bug);
  });
}

}  // namespace sluice::proxy
