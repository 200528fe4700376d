// Relays one exchange between a client and an origin of which at least one speaks HTTP/2 (ends.h): heads and content
// pass as events, decisions are Exchange's. The counterpart of http1_relay.cc, which forwards octets. engine.md 2, 4.
#pragma once

#include "base/limits.h"
#include "net/signal.h"
#include "proxy/body_budget.h"
#include "proxy/ends.h"
#include "proxy/exchange.h"
#include "proxy/holds.h"
#include "proxy/pause.h"
#include "proxy/websocket_edits.h"
#include "proxy/websocket_watcher.h"

namespace sluice::proxy {

class Worker;

class StreamRelay {
 public:
  enum class Result {
    kDone,    // the client has its answer
    kRetry,   // the origin has not seen the request: try another connection
    kFailed,  // said and recorded
  };

  // `aborted`: Sluice ends the connection, which the relay sees as a client that leaves.
  StreamRelay(Worker& worker, Exchange& exchange, ClientEnd& client, const bool& aborted, HoldPoint& holding);
  ~StreamRelay();
  StreamRelay(const StreamRelay&) = delete;
  StreamRelay& operator=(const StreamRelay&) = delete;

  // Collects the request's body for a rule. False: the client left (recorded). `content` stays empty if it was too
  // large; `begun` has what was read then.
  net::Task<bool> gather_request(std::optional<std::string>& content, std::string& begun);
  // Takes in a body that nobody wants. False: the client left, or sent too much of it.
  net::Task<bool> discard_request();
  // After the answer: what comes of the request at once is recorded, the rest is not waited for.
  net::Task<void> take_rest();
  // Sends an answer of Sluice's own, as Exchange made it (answer(), failure_page(): what they returned), then waits for
  // it to leave. "" sends nothing.
  net::Task<void> send_made(const std::string& made);
  struct RequestBody {
    std::string begun;     // content that was taken from the client already
    bool is_over = false;  // none is to come
    std::string protocol;  // of an extended CONNECT (RFC 8441): a tunnel once the answer is 2xx
    bool at_hand = true;   // `begun` is all that was taken, so that it can be sent again
    int retries = 0;
    std::optional<std::uint16_t> weight;  // that the client gave its stream
  };
  // After kRetry: again with the same body, on another connection. What passes is kept in `body` for that while it is
  // small and no answer has come.
  net::Task<Result> run(OriginEnd& origin, RequestBody& body);

 private:
  // Both directions' deadlines, as in duplex.h.
  void arm();
  bool still_active() const;
  net::Task<void> pump_request();
  net::Task<Result> relay_answer();
  net::Task<Result> relay_body(bool drop);
  void open_tunnel(const std::string& protocol);
  // Records what passes; what goes on in its place: mostly the same.
  Content see(flow::Direction direction, Content content);
  std::chrono::milliseconds idle_time() const;
  net::Task<Result> gather_answer(const Exchange::ResponsePlan& plan);
  net::Task<Result> send_gathered(const http::FieldList* trailers);
  // `begun`: what was read of a body that is too large to be gathered.
  net::Task<Result> hold_answer(const Exchange::ResponsePlan& plan, std::string begun,
                                std::optional<http::FieldList> trailers);
  net::Task<bool> room(End& end);
  // Offers content at the pace that a rule asks for. False: the receiver is of no more use.
  struct Slow {
    Pace pace{0};
    Pauses pauses;
  };
  net::Task<bool> send_slowly(End& end, Content content, Slow& slow);
  net::Task<Result> fail_answer(FailureKind kind, std::string message);
  net::Task<Result> fail_from(const EndFailure& failure);
  void keep(Bytes content);
  void forget_body();
  Result client_left();
  void stop_request();
  net::Task<void> join_request();

  Worker& worker_;
  Exchange& exchange_;
  ClientEnd& client_;
  const bool& aborted_;
  HoldPoint& holding_;
  OriginEnd* origin_ = nullptr;
  RequestBody* body_ = nullptr;  // of the run under way
  std::unique_ptr<net::Signal> joined_;
  std::string protocol_;
  std::optional<WebSocketWatcher> watcher_;
  std::unique_ptr<WebSocketEdits> edits_;
  MonoTime activity_{}, sent_at_{};
  Slow slow_request_, slow_response_;
  ByteCount kept_ = 0;  // of the budget, for what keep() holds
  BodyShare gathered_;
  bool request_over_ = false, pumping_ = false, stopping_ = false, answering_ = false;
  bool client_gone_ = false, send_failed_ = false, bad_request_ = false, continued_ = false;
};

}  // namespace sluice::proxy
