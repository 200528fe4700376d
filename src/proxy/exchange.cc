#include "proxy/exchange.h"

#include <vector>

#include "base/text.h"
#include "base/url.h"
#include "codings/codings.h"
#include "http/framing.h"
#include "http1/http1.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kUsualHead = 1024;  // one allocation instead of four

// RFC 9112 §3.2: a path may hold any URL in its query.
bool is_absolute_form(const http::RequestHead& head) {
  return !head.target.starts_with('/') && head.target.find("://") != std::string::npos;
}

// engine.md 1: between client and origin only these change without a rule.
void to_origin_form(http::RequestHead& head, const Target& target) {
  if (!is_absolute_form(head)) return;
  head.target = target.path;
  head.start_line.clear();
  // RFC 9112 §3.2.2: the URI's authority is what Host says.
  const std::string authority = authority_text(target.host, target.port, default_port(target.scheme));
  const auto host = head.fields.find("host");
  if (!host || !iequals(*host, authority)) head.fields.set("Host", authority);
}

void remove_proxy_fields(http::FieldList& fields) {
  fields.erase("proxy-authorization");
  fields.erase("proxy-connection");
}

// RFC 9112 §3.2.4.
bool is_asterisk(const http::RequestHead& head) { return head.target == "*"; }

bool passes_as_it_stands(const http::RequestHead& head) {
  return !is_absolute_form(head) && !head.fields.find("proxy-authorization") && !head.fields.find("proxy-connection");
}

}  // namespace

Exchange::Exchange(flow::Sink& sink, const Clock& clock, const ExchangeSettings& settings)
    : sink_(sink), clock_(clock), settings_(settings) {}

Exchange::~Exchange() {
  if (!finished_) {
    fail(FailureKind::kShutdown, "the connection ended before the exchange was over");
    finish();
  }
}

void Exchange::record_opened(const flow::ConnectionPtr& connection, MonoTime started, MonoTime now) {
  request_octets_.clear();
  request_octets_.reserve(kUsualHead);
  http1::append_head(request_octets_, request_);
  flow::Opened opened;
  opened.connection = connection;
  opened.protocol = protocol_;
  opened.started = clock_.wall() - (now - started);
  opened.method = request_.method;
  opened.scheme = target_.scheme;
  opened.host = target_.host;
  opened.target = target_.path;
  opened.port = target_.port;
  opened.head = request_octets_;
  started_ = started;
  finished_ = false;
  seq_ = sink_.opened(opened);
  if (connection && connection->source == flow::Source::kTransparent && settings_.transparent_exchanges) {
    settings_.transparent_exchanges->fetch_add(1, std::memory_order_relaxed);
  }
}

Exchange::Next Exchange::receive_request(http::RequestHead head, http::BodyFraming framing, ResolvedTarget target,
                                         const flow::ConnectionPtr& connection, MonoTime started,
                                         const rules::RuleBook& book) {
  request_ = std::move(head);
  if (request_.version == http::Version::kHttp2) protocol_ = flow::Protocol::kHttp2;
  request_framing_ = framing;
  target_ = std::move(target.target);
  anomalies_ |= target.anomalies;
  client_keeps_alive_ = http::keeps_alive(request_);
  // RFC 9110 §10.1.1: from an HTTP/1.0 client it means nothing.
  expects_continue_ = request_.version != http::Version::kHttp10 && request_.fields.has_token("expect", "100-continue");
  const MonoTime now = clock_.mono();
  record_opened(connection, started, now);
  timings_.request_head = (now - started_) / std::chrono::microseconds(1);
  if (framing.kind == http::Framing::kNone) request_ended(now);
  if (book.empty()) {
    build_request();
    return Next::kForward;
  }
  return decide(book, nullptr);
}

void Exchange::open_tunnel(const Target& target, const flow::ConnectionPtr& connection, flow::Protocol protocol) {
  target_ = target;
  target_.scheme = "tcp";
  request_.method = "CONNECT";
  request_.target = authority_text(target.host, target.port, 0);
  protocol_ = protocol;
  const MonoTime now = clock_.mono();
  record_opened(connection, now, now);
}

void Exchange::tunnel_connected(const flow::UpstreamPtr& upstream) {
  upstream_ = upstream;
  response_octets_.clear();
  record_response({});
}

bool Exchange::may_be_endless() const { return request_.method == "CONNECT" || has_endless_type(request_.fields); }

rules::RuleBook::Subject Exchange::subject() const {
  rules::RuleBook::Subject subject;
  subject.method = request_.method;
  subject.scheme = target_.scheme;
  subject.host = target_.host;
  subject.port = target_.port;
  subject.target = target_.path;
  subject.fields = &request_.fields;
  const bool websocket = request_.version == http::Version::kHttp2 ? request_.method == "CONNECT"
                                                                   : request_.fields.has_token("upgrade", "websocket");
  subject.protocol = websocket ? "websocket" : request_.version == http::Version::kHttp2 ? "h2" : "http/1.1";
  return subject;
}

Exchange::Next Exchange::decide(const rules::RuleBook& book, const std::string* body) {
  static const std::string kNoBody;
  // RFC 8441 §5: what follows an extended CONNECT is the socket's.
  if (!body && (request_framing_.kind == http::Framing::kNone || request_.method == "CONNECT")) body = &kNoBody;
  rules::RuleBook::Subject asked = subject();
  asked.body = body;
  plan_ = book.match(asked);
  if (plan_.needs_body || (!body && (plan_.edits_request_body() || plan_.holds(rules::HoldOn::kRequest)))) {
    if (!may_be_endless()) return Next::kGather;
    mark(http::Anomaly::kRuleBodyLimit);
    return decide(book, &kNoBody);
  }
  plan_.count_hits(settings_.worker);
  switch (plan_.action()) {
    case rules::HandlerType::kMock:
    case rules::HandlerType::kRedirect:
    case rules::HandlerType::kFile:
      return Next::kAnswer;
    case rules::HandlerType::kDrop:
    case rules::HandlerType::kAbort: {
      const bool aborts = plan_.action() == rules::HandlerType::kAbort;
      fail(FailureKind::kDropped, (aborts ? "aborted by " : "dropped by ") + plan_.stopped->id());
      state_ = flow::State::kDropped;
      return aborts ? Next::kAbort : Next::kDrop;
    }
    case rules::HandlerType::kRewrite:
      if (!rewrite()) return Next::kAnswer;
      break;
    case rules::HandlerType::kForward:
    case rules::HandlerType::kPassthrough:
    case rules::HandlerType::kHold:
      break;
  }
  const bool opens_tunnel = request_.method == "CONNECT" || http::is_upgrade(request_);
  if (!gathered_ && request_framing_.kind == http::Framing::kNone && plan_.sets_request_body() && !opens_tunnel) {
    gathered_.emplace();
  }
  build_request();
  return plan_.holds(rules::HoldOn::kRequest) ? Next::kHold : Next::kForward;
}

Exchange::Next Exchange::gathered_request(std::optional<std::string> content, const rules::RuleBook& book) {
  static const std::string kUnknown;
  if (!content) {
    mark(http::Anomaly::kRuleBodyLimit);
    return decide(book, &kUnknown);  // body conditions do not hold; body edits are not carried out (gathered_ is empty)
  }
  gathered_ = std::move(content);
  const auto coding = request_.fields.joined("content-encoding");
  if (!coding) return decide(book, &*gathered_);
  const codings::Decoded decoded = codings::decode_all(*gathered_, *coding, settings_.rule_body);
  return decide(book, &decoded.text);
}

// False: what the rule makes of the URL is none.
bool Exchange::rewrite() {
  const auto made = rules::rewritten_url(plan_, {target_.scheme, target_.host, target_.port, target_.path});
  if (!made) {
    rule_error_ = plan_.stopped->id() + ": " + made.error().message;
    return false;
  }
  if (!*made) return true;
  retarget(**made, rules::makers(plan_.stopped->spec));
  return true;
}

void Exchange::add_causes(std::vector<std::string> grants) {
  if (grants.empty()) return;
  if (causes_) grants.insert(grants.begin(), causes_->begin(), causes_->end());
  causes_ = std::make_unique<std::vector<std::string>>(std::move(grants));
}

void Exchange::retarget(const Url& url, std::vector<std::string> grants) {
  const bool elsewhere = url.scheme != target_.scheme || url.host != target_.host || url.port != target_.port;
  target_.path = url.target;
  if (!elsewhere) return;
  add_causes(std::move(grants));
  target_.scheme = url.scheme;
  target_.host = target_.dial_host = target_.server_name = url.host;
  target_.port = target_.dial_port = url.port;
}

void Exchange::name_target(http::RequestHead& sent) const {
  const std::string authority = authority_text(target_.host, target_.port, default_port(target_.scheme));
  const auto host = sent.fields.find("host");
  if (!host || !iequals(*host, authority)) sent.fields.set("Host", authority);
  sent.target = target_.path;
  sent.start_line.clear();
}

void Exchange::build_request() {
  // request_octets_ holds the head as it came: mostly that is what goes on.
  if (plan_.applied.empty() && !gathered_ && passes_as_it_stands(request_)) return;
  http::RequestHead sent = request_;
  to_origin_form(sent, target_);
  remove_proxy_fields(sent.fields);
  bool edited = false;
  if (plan_.action() == rules::HandlerType::kRewrite && !is_asterisk(sent)) {
    name_target(sent);
    edited = true;
  }
  if (!plan_.applied.empty()) {
    if (const auto to = rules::forward_target(plan_)) {
      rules::apply_forward(*to, target_.scheme, sent);
      if (!to->scheme.empty()) target_.scheme = to->scheme;
      target_.dial_host = target_.server_name = to->host;
      target_.dial_port = to->port != 0 ? to->port : default_port(target_.scheme);
      add_causes(rules::makers(plan_.stopped->spec));
      edited = true;
    }
    if (plan_.edits_request_head()) {
      rules::edit_request(plan_, sent);
      sent_method_ = sent.method;
      edited = true;
    }
  }
  request_octets_.clear();
  if (gathered_) {
    std::string content = std::move(*gathered_);
    gathered_.reset();
    request_body_replaced_ = true;
    if (plan_.edits_request_body()) {
      if (auto changed = rules::edit_request_body(plan_, sent.fields, content))
        content = *std::move(changed);
      else
        mark(http::Anomaly::kRuleBodyLimit);
      edited = true;
    }
    // The framing of the gathered body is a length now; Sluice itself has said 100.
    sent.fields.erase("transfer-encoding");
    sent.fields.erase("trailer");
    sent.fields.erase("expect");
    sent.fields.set("Content-Length", std::to_string(content.size()));
    http1::append_head(request_octets_, sent);
    request_head_size_ = request_octets_.size();
    if (edited) sink_.request_sent(seq_, request_octets_);
    request_octets_ += content;
    sent_ = std::make_unique<http::RequestHead>(std::move(sent));
    return;
  }
  http1::append_head(request_octets_, sent);
  if (edited) sink_.request_sent(seq_, request_octets_);
  sent_ = std::make_unique<http::RequestHead>(std::move(sent));
}

bool Exchange::is_idempotent() const {
  const std::string& method = sent_method();  // what a rule made of it counts
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" ||
         method == "DELETE";
}

std::string Exchange::url() const { return to_string(Url{target_.scheme, target_.host, target_.port, target_.path}); }

void Exchange::reached(Step step, MonoTime at) {
  const std::int64_t us = (at - started_) / std::chrono::microseconds(1);
  switch (step) {
    case Step::kRequestEnd:
      timings_.request_end = us;
      break;
    case Step::kResolved:
      timings_.resolved = us;
      break;
    case Step::kConnected:
      timings_.connected = us;
      break;
    case Step::kUpstreamTls:
      timings_.upstream_tls = us;
      break;
    case Step::kSent:
      timings_.sent = us;
      break;
    case Step::kFirstByte:
      timings_.first_byte = us;
      break;
    case Step::kResponseHead:
      timings_.response_head = us;
      break;
  }
}

void Exchange::request_ended(MonoTime at) {
  request_ended_ = true;
  reached(Step::kRequestEnd, at);
}

void Exchange::fail(FailureKind kind, std::string_view message) {
  if (failure_) return;
  flow::Phase phase = phase_of(kind);
  if (kind == FailureKind::kClientAborted && !answered_) {  // a client may leave at any time
    phase = request_ended_ ? flow::Phase::kFirstByte : flow::Phase::kRequestBody;
  }
  failure_ = std::make_unique<flow::Failure>(std::string(code_of(kind)), phase, std::string(message));
  state_ = kind == FailureKind::kClientAborted ? flow::State::kAborted : flow::State::kFailed;
}

void Exchange::finish() {
  if (finished_) return;
  finished_ = true;
  timings_.end = (clock_.mono() - started_) / std::chrono::microseconds(1);
  std::vector<std::uint32_t> rule_ids;
  for (const auto& rule : plan_.applied) rule_ids.push_back(rule->number);
  flow::Ended ended;
  ended.state = state_;
  ended.timings = timings_;
  ended.failure = failure_.get();
  ended.request_ended = request_ended_;
  ended.response_ended = response_ended_;
  ended.anomalies = anomalies_;
  ended.rule_ids = rule_ids;
  ended.matched_rule = plan_.stopped ? plan_.stopped->number : 0;
  ended.protocol = protocol_;
  ended.request_counted = request_counted_;
  ended.response_counted = response_counted_;
  sink_.ended(seq_, ended);
}

}  // namespace sluice::proxy
