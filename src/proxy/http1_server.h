// The pump of one HTTP/1 client connection: reads requests, lets Exchange decide, connects and relays. Knows its client
// as a net::Stream, so that tests and internal senders use memory. Lives in ClientConnection's coroutine.
#pragma once

#include <optional>
#include <string>

#include "http1/http1.h"
#include "net/stream.h"
#include "proxy/body_budget.h"
#include "proxy/duplex.h"
#include "proxy/ends.h"
#include "proxy/exchange.h"
#include "proxy/holds.h"
#include "proxy/host_options.h"
#include "proxy/pause.h"
#include "proxy/pool.h"
#include "proxy/relay.h"
#include "proxy/stream_relay.h"
#include "proxy/target.h"
#include "proxy/upgraded.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Worker;

class Http1Server {
 public:
  Http1Server(Worker& worker, net::Stream& client, ClientFacts facts, flow::ConnectionPtr connection,
              std::string own_address);
  ~Http1Server();

  // A dial that was made before the client's handshake and failed: the first request of its route gets this answer.
  void set_first_failure(std::string route_key, ConnectFailure failure);

  struct Outcome {
    std::optional<Target> connect;       // a CONNECT was read and waits for its answer
    std::string rest;                    // octets behind it
    std::unique_ptr<Upgraded> upgraded;  // a 101 came and waits to be sent; if neither: the connection is over
  };
  net::Task<Outcome> run();

  void drain();                                         // no further request after this one
  void abort();                                         // ends all waits
  std::uint64_t requests() const { return requests_; }  // heads read

 private:
  enum class Result { kDone, kDoneClose, kRetry, kFailed, kUpgraded };
  enum class Read { kOctets, kWait, kEnd, kTruncated, kError, kTimeout };
  enum class HeadStep { kHead, kWait, kEnded, kRefused };
  // What was found of an answer: more is needed, its end, or something that needs hands of its own;
  // kAgain: the upstream proxy's, which wants the request once more.
  enum class Answer { kMore, kWhole, kGather, kHold, kTunnel, kBad, kAgain };
  struct Complaint {
    FailureKind kind = FailureKind::kBadRequest;
    std::string message;
  };
  struct Conversation;  // one exchange on the wire (http1_conversation.h)

  // What is most of the work needs no coroutine: functions that return at once do all that can be done without
  // waiting, and say what to wait for. A coroutine's frame costs as much as a tenth of a request's parsing.
  HeadStep next_head(Complaint& complaint);
  void arm_head();
  void note_partial_record();
  bool head_has_begun() const { return reader_.in_head() || head_started_ != MonoTime{}; }
  net::Task<void> refuse(Complaint complaint, const http::RequestHead* head);
  net::Task<bool> serve_setup(const http::RequestHead& head, const Target& target);
  net::Task<bool> serve(ResolvedTarget& target);  // of the reader's head
  net::Task<bool> gather_request(Exchange& exchange, BodyShare& share, std::optional<std::string>& content,
                                 std::string& wire);
  net::Task<std::optional<Exchange::Next>> hold_request(Exchange& exchange);
  net::Task<bool> discard_request_body(Exchange& exchange);
  // `stays`: also after a failure.
  net::Task<bool> answer_and_go_on(Exchange& exchange, std::string octets, bool stays = false);
  net::Task<bool> forward(Exchange& exchange, Bytes wire_at_hand);
  // The route of the request before is mostly that of the next.
  struct KnownRoute {
    Target target;
    Route route;
    std::string key;
    bool upgrades = false;
    std::uint64_t generation = 0;  // of the upstream proxies
    std::vector<std::string> causes;
    HostBookPtr hosts;  // by which it was made
  };
  const KnownRoute& find_route(const Exchange& exchange);
  bool is_judged_otherwise(const Route& route) const;
  UpstreamConnectionPtr take_idle(const KnownRoute& known, net::Look look);
  net::Task<UpstreamConnectionPtr> acquire(Exchange& exchange, const KnownRoute& known, ConnectFailure& failure);
  void release(UpstreamConnectionPtr upstream, Exchange& exchange, Result result);
  void remember_resumption(const UpstreamConnection& upstream);
  net::Task<bool> read_client(Bytes& fed, Duplex* duplex);
  void fail_for_client(Exchange& exchange, std::string_view message);  // or for the stop that reset it

  bool send_request(Conversation& talk, Bytes body_at_hand);
  net::Task<Result> converse(Conversation& talk);
  bool take_request_body(Exchange& exchange, Outbox& out, Bytes fed);
  net::Task<void> pump_request(Exchange& exchange, net::Stream& upstream, Duplex& duplex);
  net::Task<Result> relay_answer(Conversation& talk);
  Answer take_answer(Conversation& talk);
  Answer take_head(Conversation& talk);
  Read read_now(Conversation& talk);
  Read after_wait(Conversation& talk, const Status& ready);
  net::Task<Read> read_upstream(Conversation& talk);
  net::Task<Result> answer_stopped(Conversation& talk, Read how);
  net::Task<Result> gather_response(Conversation& talk);
  net::Task<Result> send_gathered(Conversation& talk);
  // `begun`: what was read of a body that is too large to be gathered.
  net::Task<Result> hold_answer(Conversation& talk, BodyShare* share, std::string begun);
  net::Task<Result> replace_answer(Conversation& talk);
  Result end_of_answer(Conversation& talk);
  net::Task<Result> fail_answer(Conversation& talk, FailureKind kind, std::string message);
  class CrossClient;
  StreamRelay::RequestBody body_to_cross(const Exchange& exchange, Bytes wire_at_hand);
  net::Task<Result> cross(Exchange& exchange, OriginEnd& origin, StreamRelay::RequestBody& body);
  net::Task<void> linger();
  void hold_rest();  // what the reader has not consumed survives a suspension point

  Worker& worker_;
  net::Stream& client_;
  ClientFacts facts_;
  flow::ConnectionPtr connection_;
  std::string own_address_;
  http1::RequestReader reader_;
  http1::ResponseReader response_reader_;  // kept for its buffers; begun anew for each answer
  std::string rest_;                       // backs the reader after hold_rest()
  MonoTime head_started_{};
  TargetMemo targets_;
  std::optional<KnownRoute> known_route_;
  std::unique_ptr<Upgraded> upgraded_;
  UpstreamConnectionPtr bound_;      // NTLM, Negotiate: this client's own upstream connection
  net::Stream* upstream_ = nullptr;  // of the exchange under way
  OriginEnd* origin_ = nullptr;      // ... where that is an HTTP/2 stream
  std::optional<std::pair<std::string, ConnectFailure>> first_failure_;
  Pauses pauses_;
  HoldPoint holding_;
  bool draining_ = false, idle_ = false, aborted_ = false, sent_continue_ = false;
  bool continued_ = false;  // a 100 went to the client, from whomever
  std::uint64_t requests_ = 0;
  bool request_over_ = false;  // the request under way was read to its end
};

// The route of a target under the worker's settings, for that client.
// kOctets: the connection may become something else than HTTP, so that no proxy between may take it for HTTP.
enum class Passing : std::uint8_t { kHttp, kOctets };
// `causes`: the grants whose rules send it there (Exchange::causes).
Route route_of(const Worker& worker, const Target& target, const ClientFacts& facts, Passing passing = Passing::kHttp,
               const std::vector<std::string>& causes = {});

}  // namespace sluice::proxy
