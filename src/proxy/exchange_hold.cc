// The part of Exchange that breakpoints use: what is held as somebody sees it, and what they made of it.
#include <algorithm>

#include "base/url.h"
#include "codings/codings.h"
#include "http/framing.h"
#include "http1/http1.h"
#include "proxy/exchange.h"

namespace sluice::proxy {
namespace {

// Content as text, where its codings are known.
void show_body(HeldMessage& held, Bytes content) {
  held.body_size = content.size();
  if (const auto coding = held.fields.joined("content-encoding")) {
    const codings::Decoded decoded = codings::decode_all(content, *coding, kShownBody);
    held.body = decoded.text;
  } else {
    held.body = content.substr(0, kShownBody);
  }
}

// The given fields in place of all but those that say where the message ends.
void replace_fields(const http::FieldList& given, http::FieldList& fields) {
  http::FieldList made = given;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (http::is_framing_field(fields.name(i))) made.append(fields.name(i), fields.value(i));
  }
  fields = std::move(made);
}

rules::RuleBook::Plan plan_of(const rules::RulePtr& rule) {
  rules::RuleBook::Plan plan;
  if (rule) plan.applied.push_back(rule);
  return plan;
}

}  // namespace

HeldMessage Exchange::held_request() const {
  HeldMessage held;
  const http::RequestHead& sent = sent_request();
  held.method = sent.method;
  held.url = url();
  held.fields = sent.fields;
  held.body_at_hand = request_body_replaced_ || (request_framing_.kind == http::Framing::kNone && !may_be_endless());
  if (request_body_replaced_) show_body(held, replaced_request_body());
  held.rule = plan_.stopped->number;
  held.time = plan_.hold_time();
  return held;
}

HeldMessage Exchange::held_response() const {
  HeldMessage held;
  held.side = HoldSide::kResponse;
  held.method = request_.method;
  held.url = url();
  held.status = response_.status;
  held.fields = response_.fields;
  held.body_at_hand = gathered_answer_.has_value();
  if (gathered_answer_) show_body(held, *gathered_answer_);
  held.rule = plan_.stopped ? plan_.stopped->number : plan_.applied.back()->number;
  held.time = plan_.hold_time();
  return held;
}

// As a drop by the rule itself.
void Exchange::drop_held() {
  const rules::RulePtr& rule = plan_.stopped ? plan_.stopped : plan_.applied.back();
  if (const rules::RulePtr block = plan_.answer_block()) {
    const bool aborts = block->spec.handler.type == rules::HandlerType::kAbort;
    fail(FailureKind::kDropped, "the answer was " + ((aborts ? "aborted by " : "dropped by ") + block->id()));
  } else {
    fail(FailureKind::kDropped, "held by " + rule->id() + ", then dropped");
  }
  state_ = flow::State::kDropped;
}

// The rule that held answers instead.
void Exchange::answer_held(const Resumption& decision) {
  plan_.stopped = decision.edits;
  plan_.applied.back() = decision.edits;
}

Exchange::Next Exchange::resume_request(const Resumption& decision) {
  switch (decision.action) {
    case HoldAction::kDrop:
      drop_held();
      return Next::kDrop;
    case HoldAction::kRespond:
      answer_held(decision);
      return Next::kAnswer;
    case HoldAction::kContinue:
      break;
  }
  if (decision.edits || decision.url || decision.fields) edit_held_request(decision);
  return Next::kForward;
}

void Exchange::edit_held_request(const Resumption& decision) {
  http::RequestHead sent = sent_request();
  std::string content(request_body_replaced_ ? replaced_request_body() : Bytes());
  if (decision.fields) replace_fields(*decision.fields, sent.fields);
  if (decision.url) {
    retarget(*decision.url, decision.grant.empty() ? std::vector<std::string>() : std::vector{decision.grant});
    name_target(sent);
  }
  const rules::RuleBook::Plan plan = plan_of(decision.edits);
  rules::edit_request(plan, sent);
  sent_method_ = sent.method;
  if (plan.edits_request_body()) {
    if (auto changed = rules::edit_request_body(plan, sent.fields, content)) {
      content = *std::move(changed);
      request_body_replaced_ = true;
    } else {
      mark(http::Anomaly::kRuleBodyLimit);
    }
  }
  request_octets_.clear();
  http1::append_head(request_octets_, sent);
  request_head_size_ = request_octets_.size();
  sink_.request_sent(seq_, request_octets_);
  if (request_body_replaced_) request_octets_ += content;
  sent_ = std::make_unique<http::RequestHead>(std::move(sent));
}

std::optional<Resumption> Exchange::settled_answer() const {
  const rules::RulePtr block = plan_.answer_block();
  if (!block) return std::nullopt;
  Resumption settled;
  settled.action = block->spec.handler.type == rules::HandlerType::kMock ? HoldAction::kRespond : HoldAction::kDrop;
  settled.edits = block;
  return settled;
}

Exchange::AfterHold Exchange::resume_response(const Resumption& decision) {
  holds_answer_ = false;
  switch (decision.action) {
    case HoldAction::kDrop:
      drop_held();
      return decision.edits && decision.edits->spec.handler.type == rules::HandlerType::kAbort ? AfterHold::kAbort
                                                                                               : AfterHold::kDrop;
    case HoldAction::kRespond: {
      gathered_answer_.reset();
      const rules::MockAnswer made = rules::mock_answer(decision.edits->spec.handler, request_.method);
      response_octets_ = own_answer(made.head, made.body);
      return AfterHold::kOwn;
    }
    case HoldAction::kContinue:
      break;
  }
  if (decision.edits || decision.fields) edit_held_response(decision);
  if (gathered_answer_)
    publish_gathered();
  else
    answered_ = true;
  return AfterHold::kGoOn;
}

void Exchange::edit_held_response(const Resumption& decision) {
  if (decision.fields) replace_fields(*decision.fields, response_.fields);
  const rules::RuleBook::Plan plan = plan_of(decision.edits);
  const bool without_content = rules::edit_response(plan, response_) == rules::AnswerBody::kDrop;
  if (gathered_answer_ && (without_content || request_.method == "HEAD")) {
    gathered_answer_->clear();
  } else if (gathered_answer_ && plan.edits_response_body()) {
    if (auto changed = rules::edit_response_body(plan, response_.fields, *gathered_answer_))
      gathered_answer_ = *std::move(changed);
    else
      mark(http::Anomaly::kRuleBodyLimit);
  }
  if (gathered_answer_) return;  // recorded with its body
  response_octets_.clear();
  http1::append_head(response_octets_, response_);
  record_response(response_octets_);
}

}  // namespace sluice::proxy
