// One request with its response, as a pure machine: heads and gathered bodies go in, decisions and octets to write come
// out. It knows no sockets: the pump (http1_server.cc) moves octets and asks. Records go to the Sink as they happen.
// engine.md 1, 2, 4, 5, 6.
//
// Order: receive_request → [gathered_request] → [resume_request] → request_octets … receive_response →
// [gathered_response] → [resume_response] → finish.
// finish() (or the destructor) ends the record exactly once. Belongs to one worker thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "flow/sink.h"
#include "http/framing.h"
#include "proxy/error_reply.h"
#include "proxy/hold.h"
#include "proxy/target.h"
#include "rules/rules.h"

namespace sluice::proxy {

// Where `file` rules find what they answer with (file_roots.h).
class MockFiles {
 public:
  virtual ~MockFiles() = default;
  // kNotFound, kTooLarge (over 8 MiB), kRefused, kIo: with the path as the rule has it. Any thread.
  virtual Result<std::string> read(const std::string& path) const = 0;
};

struct ExchangeSettings {
  bool strip_alt_svc = true;
  ByteCount rule_body = 0;                                      // gathered at most
  const MockFiles* files = nullptr;                             // what `file` rules answer with; null: none
  std::size_t worker = 0;                                       // for hit counters
  std::atomic<std::uint64_t>* transparent_exchanges = nullptr;  // counted, if there is a counter
};

class Exchange {
 public:
  Exchange(flow::Sink& sink, const Clock& clock, const ExchangeSettings& settings);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // What the pump does next.
  enum class Next {
    kForward,  // connect to target() and send request_octets(), then the body as it stands
    kGather,   // collect the request body, then gathered_request()
    kHold,     // a rule holds the request: wait for a decision, then resume_request() (holds.h)
    kAnswer,   // a rule answers: take the request body in, send answer()
    kDrop,     // a rule drops: end the client connection
    kAbort,    // ... reset it
  };

  // `started`: when the first octet came. `raw`: the head as it stood. The target was resolved before (target.h).
  Next receive_request(http::RequestHead head, http::BodyFraming framing, ResolvedTarget target,
                       const flow::ConnectionPtr& connection, MonoTime started, const rules::RuleBook& book);
  // nullopt: it was larger than the limit and goes on as it stands (anomaly rule_body_limit).
  Next gathered_request(std::optional<std::string> content, const rules::RuleBook& book);
  HeldMessage held_request() const;
  Next resume_request(const Resumption& decision);

  // What applied rules ask of the pump: to wait before anything else is done, and to be slow.
  std::chrono::milliseconds delay() const {
    return plan_.applied.empty() ? std::chrono::milliseconds(0) : plan_.delay();
  }
  rules::Throttle throttle() const { return plan_.applied.empty() ? rules::Throttle{} : plan_.throttle(); }
  bool is_throttled() const {
    const rules::Throttle slow = throttle();
    return slow.request > 0 || slow.response > 0;
  }

  // What is not HTTP towards a destination: raw octets (protocol tcp), or TLS of others (tls).
  void open_tunnel(const Target& target, const flow::ConnectionPtr& connection,
                   flow::Protocol protocol = flow::Protocol::kTcp);
  void tunnel_connected(const flow::UpstreamPtr& upstream);

  // --- towards the origin ---
  const Target& target() const { return target_; }
  // The grants that sent it there and not where the client wanted to: those of the rule that did, or of whoever edited
  // it while it was held.
  const std::vector<std::string>& causes() const {
    static const std::vector<std::string> kNobody;
    return causes_ ? *causes_ : kNobody;
  }
  // The head to send; after a gathered body that was changed, with that body.
  const std::string& request_octets() const { return request_octets_; }
  bool request_body_replaced() const { return request_body_replaced_; }
  // The same as parts, for an origin that does not speak HTTP/1.
  const http::RequestHead& sent_request() const { return sent_ ? *sent_ : request_; }
  Bytes replaced_request_body() const { return Bytes(request_octets_).substr(request_head_size_); }
  // A request that may be sent twice (RFC 9110 §9.2.2).
  bool is_idempotent() const;
  bool expects_continue() const { return expects_continue_; }
  const http::RequestHead& request() const { return request_; }
  http::BodyFraming request_framing() const { return request_framing_; }

  // --- the answer ---
  struct ResponsePlan {
    bool gather = false;        // collect the body (framing below), then gathered_response()
    bool hold = false;          // ... if any, and wait for a decision, then resume_response() (holds.h)
    bool drop_body = false;     // the client gets none of the body that the origin sends
    bool head_changed = false;  // false: the head may be forwarded as it stood
    bool client_lives = false;  // the client connection may carry another request
    http::BodyFraming framing;
  };
  // An interim answer: the octets to pass on.
  std::string receive_interim(const http::ResponseHead& head);
  ResponsePlan receive_response(http::ResponseHead head, http::BodyFraming framing, const flow::UpstreamPtr& upstream,
                                bool upstream_reused);
  // Head (and, once gathered, body) to send to the client.
  const std::string& response_octets() const { return response_octets_; }
  // The changed answer, recorded as the client gets it. nullopt: larger than the limit; it goes on as it stands.
  void gathered_response(std::optional<std::string> content);
  HeldMessage held_response() const;
  bool answer_is_at_hand() const { return gathered_answer_.has_value(); }  // with its body
  enum class AfterHold {
    kGoOn,   // response_octets(): head, and the body if it was gathered
    kOwn,    // response_octets(): an answer of its own; nothing more of the origin's
    kDrop,   // end the client connection
    kAbort,  // ... reset it
  };
  // What a rule that asked for the answer makes of it at once; nullopt: a person decides.
  std::optional<Resumption> settled_answer() const;
  AfterHold resume_response(const Resumption& decision);
  // For kAnswer: the rule's answer, recorded. For failures: a page, or "" if nothing can be said any more.
  std::string answer();
  // `client_stays`: another request may follow on its connection.
  std::string failure_page(FailureKind kind, std::string_view message, bool client_stays = false);

  // Rules edit the messages of this WebSocket; the plan outlives the exchange's heads (rules::edit_message).
  bool edits_messages() const { return plan_.edits_messages(); }
  const rules::RuleBook::Plan& message_plan() const { return plan_; }

  // --- watching ---
  void request_body(Bytes content) { sink_.body(seq_, flow::Direction::kRequest, content); }
  void response_body(Bytes content) { sink_.body(seq_, flow::Direction::kResponse, content); }
  void message(const flow::MessageSeen& message) { sink_.message(seq_, message); }
  // Octets that are only counted, not kept.
  void count_body(flow::Direction way, ByteCount octets) {
    (way == flow::Direction::kRequest ? request_counted_ : response_counted_) += octets;
  }
  void request_trailers(Bytes raw) { sink_.trailers(seq_, flow::Direction::kRequest, raw); }
  void response_trailers(Bytes raw) { sink_.trailers(seq_, flow::Direction::kResponse, raw); }
  void mark(http::Anomaly anomaly) { anomalies_ |= http::bit(anomaly); }
  void mark(http::AnomalySet anomalies) { anomalies_ |= anomalies; }
  void become(flow::Protocol protocol);  // with the answer that was handed out last
  enum class Step { kRequestEnd, kResolved, kConnected, kUpstreamTls, kSent, kFirstByte, kResponseHead };
  void reached(Step step, MonoTime at);
  void reached(Step step) { reached(step, clock_.mono()); }
  void request_ended() { request_ended(clock_.mono()); }
  void response_ended() { response_ended_ = true; }
  // The method that the origin sees: its answer's framing follows it.
  const std::string& sent_method() const { return sent_method_.empty() ? request_.method : sent_method_; }
  int response_status() const { return response_.status; }
  // Of the request: its end may wait for the answer's.
  bool may_be_endless() const;
  // What follows the answer is not content (RFC 9110 §7.8, RFC 8441 §5).
  bool is_tunnel() const {
    return response_.status == 101 || (request_.method == "CONNECT" && response_.status / 100 == 2);
  }
  // The answer as the client gets it, as parts: its head, and of octets that answer(), failure_page() or
  // response_octets() (after gathered_response()) gave, what follows the head.
  const http::ResponseHead& response() const { return response_; }
  Bytes made_body(Bytes made) const { return made.substr(std::min(made.size(), response_head_size_)); }
  const flow::UpstreamPtr& upstream() const { return upstream_; }
  // They have been sent, and nothing more is asked of them: a tunnel may live long.
  void forget_heads() {
    std::string().swap(request_octets_);
    std::string().swap(response_octets_);
    { const http::RequestHead gone = release_request(); }
    { const http::ResponseHead gone = release_response(); }
  }
  // What is known of an origin that could not be used (a refused certificate's chain).
  void set_upstream(flow::UpstreamPtr upstream) { upstream_ = std::move(upstream); }
  bool upstream_lives() const { return upstream_lives_; }
  bool binds_identity() const { return binds_identity_; }
  // The upstream connection carried something that two readers may understand differently.
  void forbid_reuse() {
    reuse_forbidden_ = true;
    upstream_lives_ = false;
  }
  ExchangeSeq seq() const { return seq_; }
  bool answered() const { return answered_; }  // a final head was handed out for the client

  void fail(FailureKind kind, std::string_view message);  // the first one stays
  bool failed() const { return failure_ != nullptr; }
  const flow::Failure* failure() const { return failure_.get(); }
  void finish();
  // After finish(): the heads, of which only the memory is of use.
  http::RequestHead&& release_request() { return std::move(request_); }
  http::ResponseHead&& release_response() { return std::move(response_); }

 private:
  Next decide(const rules::RuleBook& book, const std::string* body);
  rules::RuleBook::Subject subject() const;
  static bool has_endless_type(const http::FieldList& fields);
  bool rewrite();
  void retarget(const Url& url, std::vector<std::string> grants);
  void add_causes(std::vector<std::string> grants);
  void name_target(http::RequestHead& sent) const;
  void build_request();
  void record_opened(const flow::ConnectionPtr& connection, MonoTime started, MonoTime now);
  void request_ended(MonoTime at);
  bool may_have_body() const;
  void adapt_to_method(ResponsePlan& plan, http::ResponseHead& head);
  void edit_held_request(const Resumption& decision);
  void edit_held_response(const Resumption& decision);
  void answer_held(const Resumption& decision);
  void drop_held();
  void publish_gathered();
  void record_response(Bytes effective);
  std::string own_answer(const http::ResponseHead& head, Bytes body);
  std::string url() const;

  flow::Sink& sink_;
  const Clock& clock_;
  const ExchangeSettings& settings_;
  ExchangeSeq seq_;
  MonoTime started_;

  http::RequestHead request_;
  http::BodyFraming request_framing_;
  Target target_;
  std::unique_ptr<std::vector<std::string>> causes_;  // null: a client's own
  std::string request_octets_, response_octets_;
  std::string sent_method_;                  // where a rule may have changed it
  std::unique_ptr<http::RequestHead> sent_;  // where it is not request_
  std::size_t request_head_size_ = 0, response_head_size_ = 0;
  rules::RuleBook::Plan plan_;
  std::string rule_error_;  // a rule that applies cannot be carried out
  http::ResponseHead response_;
  std::string original_head_;  // raw, as the origin sent it, where that is not what the client gets
  flow::UpstreamPtr upstream_;
  bool upstream_reused_ = false, upstream_lives_ = false, binds_identity_ = false, reuse_forbidden_ = false;
  std::optional<std::string> gathered_;         // the request body (content) while it is kept for rules
  std::optional<std::string> gathered_answer_;  // ... the answer's, edited, until it is recorded

  ByteCount request_counted_ = 0, response_counted_ = 0;
  flow::Timings timings_;
  flow::Protocol protocol_ = flow::Protocol::kHttp1;
  std::unique_ptr<flow::Failure> failure_;
  flow::State state_ = flow::State::kDone;
  http::AnomalySet anomalies_ = 0;
  bool client_keeps_alive_ = false, expects_continue_ = false, request_body_replaced_ = false;
  bool holds_answer_ = false, answer_has_body_ = false;
  bool request_ended_ = false, response_ended_ = false, answered_ = false, finished_ = true;
};

}  // namespace sluice::proxy
