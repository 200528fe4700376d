#include "http1/body_event.h"
#include "http1/head_parser.h"
#include "http1/http1.h"

namespace sluice::http1 {

using http::ResponseEvent;

ResponseReader::ResponseReader(const HttpLimits& limits)
    : gatherer_(limits, LeadingLines::kKeep), body_(limits, Side::kAnswer) {}

void ResponseReader::begin(std::string_view request_method) {
  method_ = request_method;
  framing_ = {};
  anomalies_ = 0;
  head_wire_ = {};
  body_.begin(framing_);
  gatherer_.reset();
  state_ = State::kHead;
}

void ResponseReader::feed(Bytes octets) { fed_.feed(octets); }

void ResponseReader::reuse(http::ResponseHead&& spent) {
  if (spent.fields.capacity() <= kKeptHead) head_ = std::move(spent);
}

Result<ResponseEvent> ResponseReader::next() { return next_event<ResponseEvent>(*this); }

Result<Step> ResponseReader::step() {
  if (state_ == State::kFailed) return fail(Code::kInternal, "a failed reader was asked for more");
  if (state_ == State::kIdle) return Step::kNeedMore;
  auto step = state_ == State::kHead ? read_head() : body_.next(fed_.view());
  if (!step)
    state_ = State::kFailed;
  else if (*step == Step::kEnd)
    state_ = State::kIdle;
  return step;
}

Result<Step> ResponseReader::read_head() {
  SLUICE_TRY(const bool whole, gatherer_.take(fed_.view()));
  if (!whole) return Step::kNeedMore;
  SLUICE_TRY(http::AnomalySet odd, parse_response_head(gatherer_.head(), gatherer_.line_ends(), head_));
  SLUICE_TRY(framing_, http::response_framing(head_, method_));
  odd |= framing_.anomalies | http::connection_anomalies(head_.fields);
  anomalies_ = odd;
  const bool in_place = gatherer_.partial().empty() && !(odd & http::bit(http::Anomaly::kBlankBeforeColon));
  head_wire_ = in_place ? gatherer_.head() : Bytes();
  gatherer_.reset();
  // RFC 9110 §15.2: any number of interim answers comes first; 101 ends HTTP here (§15.2.2).
  if (head_.is_interim() && head_.status != 101) return Step::kHead;
  body_.begin(framing_);
  state_ = State::kBody;
  return Step::kHead;
}

Result<ResponseEvent> ResponseReader::finish() {
  switch (state_) {
    case State::kIdle:
      return ResponseEvent(http::MessageEnd{});
    case State::kBody:
      if (!body_.ends_at_close()) break;
      state_ = State::kIdle;
      return ResponseEvent(http::MessageEnd{});
    case State::kHead:
      if (gatherer_.begun()) return fail(Code::kClosed, "the server closed inside the head of an answer");
      return fail(Code::kClosed, "the server closed without an answer");
    case State::kFailed:
      break;
  }
  return fail(Code::kClosed, "the server closed before its answer was whole");
}

void ResponseReader::forget_rest() {
  gatherer_.reset();
  fed_.clear();
}

std::string ResponseReader::take_rest() {
  std::string rest(gatherer_.partial());
  rest.append(fed_.view());
  gatherer_.reset();
  fed_.clear();
  return rest;
}

}  // namespace sluice::http1
