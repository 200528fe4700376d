// The answer's half of Exchange: what the origin says, what rules make of it, what Sluice says itself.
#include "base/text.h"
#include "base/url.h"
#include "http/framing.h"
#include "http1/http1.h"
#include "proxy/exchange.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kUsualHead = 1024;  // one allocation instead of four

bool carries_identity(const http::FieldList& fields, std::string_view name) {
  for (std::size_t i = fields.next_named(name); i < fields.size(); i = fields.next_named(name, i + 1)) {
    const std::string_view value = fields.value(i);
    if (iequals(value.substr(0, 4), "ntlm") || iequals(value.substr(0, 9), "negotiate")) return true;
  }
  return false;
}

bool has_type(const http::FieldList& fields, std::string_view begin) {
  const auto type = fields.find("content-type");
  return type && iequals(type->substr(0, begin.size()), begin);
}

}  // namespace

// Whoever sends these may wait for an answer before there is more of them: gathering would be waiting for ever.
bool Exchange::has_endless_type(const http::FieldList& fields) {
  return has_type(fields, "text/event-stream") || has_type(fields, "application/grpc");
}

std::string Exchange::receive_interim(const http::ResponseHead& head) {
  std::string octets;
  http1::append_head(octets, head);
  return octets;
}

Exchange::ResponsePlan Exchange::receive_response(http::ResponseHead head, http::BodyFraming framing,
                                                  const flow::UpstreamPtr& upstream, bool upstream_reused) {
  ResponsePlan plan;
  plan.framing = framing;
  const bool until_close = framing.kind == http::Framing::kUntilClose;
  const bool keeps_alive = http::keeps_alive(head);
  upstream_lives_ = keeps_alive && !until_close && head.status != 101;
  plan.client_lives = upstream_lives_ && client_keeps_alive_;
  upstream_lives_ = plan.client_lives && !reuse_forbidden_;  // a request that said close ends the origin's side as well
  binds_identity_ =
      carries_identity(head.fields, "www-authenticate") || carries_identity(request_.fields, "authorization");
  response_octets_.clear();
  response_octets_.reserve(kUsualHead);
  http1::append_head(response_octets_, head);
  original_head_.clear();
  if (plan_.answer_rules) {
    rules::RuleBook::Subject asked = subject();
    asked.status = head.status;
    plan_.match_answer(asked, settings_.worker);
  }
  if (settings_.strip_alt_svc && head.fields.erase("alt-svc") > 0) plan.head_changed = true;
  if (plan_.edits_response_head()) {
    plan.drop_body = rules::edit_response(plan_, head) == rules::AnswerBody::kDrop;
    plan.head_changed = true;
  }
  if (!sent_method_.empty()) adapt_to_method(plan, head);
  response_ = std::move(head);
  const bool blocked = plan_.answer_block() != nullptr;
  holds_answer_ = plan.hold = !is_tunnel() && (blocked || plan_.holds(rules::HoldOn::kResponse));
  answer_has_body_ = framing.kind != http::Framing::kNone;
  if (!answer_has_body_ && may_have_body() && plan_.sets_response_body()) plan.gather = answer_has_body_ = true;
  if (answer_has_body_ && !plan.drop_body && !is_tunnel() && (plan_.edits_response_body() || plan.hold) && !blocked) {
    plan.gather = !has_endless_type(response_.fields) && framing.length <= settings_.rule_body;
    if (!plan.gather) mark(http::Anomaly::kRuleBodyLimit);
  }
  if (plan.hold && !answer_has_body_) plan.gather = true;  // what it has is all there
  if (plan.head_changed || plan.gather) {
    original_head_ = response_octets_;
    response_octets_.clear();
    http1::append_head(response_octets_, response_);
  }
  // A body that the client does not get cannot end at the connection's end.
  if (plan.drop_body && until_close) plan.client_lives = keeps_alive && client_keeps_alive_;
  answered_ = !plan.gather && !plan.hold;
  upstream_ = upstream;
  upstream_reused_ = upstream_reused;
  record_response(plan.head_changed ? Bytes(response_octets_) : Bytes());
  if (framing.kind == http::Framing::kNone) response_ended_ = true;
  return plan;
}

// RFC 9110 §6.4.1: of an answer that came without content.
bool Exchange::may_have_body() const {
  return request_.method != "HEAD" && response_.status >= 200 && !http::has_no_content(response_.status) &&
         !is_tunnel();
}

// A rule sent another method than the client did: what the client gets follows its own (RFC 9110 §9.3.2).
void Exchange::adapt_to_method(ResponsePlan& plan, http::ResponseHead& head) {
  if (request_.method == "HEAD" && sent_method_ != "HEAD") plan.drop_body = true;
  if (request_.method != "HEAD" && sent_method_ == "HEAD" && head.status != 204 && head.status != 304) {
    head.fields.erase("transfer-encoding");
    head.fields.set("Content-Length", "0");
    plan.head_changed = true;
  }
}

void Exchange::record_response(Bytes effective) {
  flow::Responded responded;
  responded.status = response_.status;
  responded.head = original_head_.empty() ? Bytes(response_octets_) : Bytes(original_head_);
  responded.effective = effective;
  responded.upstream = upstream_;
  responded.upstream_reused = upstream_reused_;
  responded.protocol = protocol_;
  sink_.responded(seq_, responded);
}

// It is recorded at once: what has become a socket may stay one for long.
void Exchange::become(flow::Protocol protocol) {
  protocol_ = protocol;
  if (answered_) record_response(original_head_.empty() ? Bytes() : Bytes(response_octets_));
}

void Exchange::gathered_response(std::optional<std::string> content) {
  if (!content) {
    answered_ = !holds_answer_;
    mark(http::Anomaly::kRuleBodyLimit);
    return;  // the head goes as it was; the pump sends what it gathered and streams the rest
  }
  if (answer_has_body_) {
    http::ResponseHead edited = response_;
    auto changed = rules::edit_response_body(plan_, edited.fields, *content);
    if (!changed) {
      mark(http::Anomaly::kRuleBodyLimit);
      changed = std::move(*content);
      edited.fields.erase("transfer-encoding");
      edited.fields.erase("trailer");
      edited.fields.set("Content-Length", std::to_string(changed->size()));
    }
    response_ = std::move(edited);
    content = *std::move(changed);
  }
  gathered_answer_ = std::move(content);
  if (!holds_answer_) publish_gathered();
}

// Recorded as the client gets it.
void Exchange::publish_gathered() {
  const std::string content = *std::exchange(gathered_answer_, std::nullopt);
  response_octets_.clear();
  http1::append_head(response_octets_, response_);
  response_head_size_ = response_octets_.size();
  record_response(response_octets_);
  response_body(content);
  answered_ = response_ended_ = true;
  response_octets_ += content;
}

std::string Exchange::own_answer(const http::ResponseHead& head, Bytes body) {
  response_ = head;
  if (request_.version == http::Version::kHttp2) response_.version = http::Version::kHttp2;
  response_octets_.clear();
  original_head_.clear();
  http1::append_head(response_octets_, response_);
  response_head_size_ = response_octets_.size();
  record_response({});
  response_body(body);
  answered_ = true;
  response_ended_ = true;
  reached(Step::kFirstByte);
  return response_octets_ + std::string(body);
}

std::string Exchange::answer() {
  std::string content;
  if (plan_.action() == rules::HandlerType::kFile) {
    auto read = settings_.files ? settings_.files->read(plan_.handler()->path)
                                : Result<std::string>(sluice::fail(Code::kRefused, "no folder may be read"));
    if (!read) rule_error_ = plan_.stopped->id() + ": " + read.error().message;
    if (read) content = *std::move(read);
  }
  if (!rule_error_.empty()) return failure_page(FailureKind::kRule, rule_error_);
  const rules::MockAnswer mock = rules::mock_answer(plan_, request_.method, &content);
  return own_answer(mock.head, mock.body);
}

std::string Exchange::failure_page(FailureKind kind, std::string_view message, bool client_stays) {
  fail(kind, message);
  if (answered_ || status_of(kind) == 0) return "";
  const auto accept = request_.fields.find("accept");
  const bool wants_html = accept && accept->find("text/html") != std::string_view::npos;
  const Reply reply = error_reply({kind, message, request_.method, url(), wants_html, client_stays});
  return own_answer(reply.head, reply.body);
}

}  // namespace sluice::proxy
