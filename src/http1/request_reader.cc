#include "http1/body_event.h"
#include "http1/head_parser.h"
#include "http1/http1.h"

namespace sluice::http1 {

using http::RequestEvent;

RequestReader::RequestReader(const HttpLimits& limits)
    : gatherer_(limits, LeadingLines::kSkip), body_(limits, Side::kRequest) {}

void RequestReader::feed(Bytes octets) { fed_.feed(octets); }

void RequestReader::reuse(http::RequestHead&& spent) {
  if (spent.fields.capacity() <= kKeptHead) head_ = std::move(spent);
}

Result<RequestEvent> RequestReader::next() { return next_event<RequestEvent>(*this); }

Result<Step> RequestReader::step() {
  if (state_ == State::kFailed) return fail(Code::kInternal, "a failed reader was asked for more");
  auto step = state_ == State::kHead ? read_head() : body_.next(fed_.view());
  if (!step)
    state_ = State::kFailed;
  else if (*step == Step::kEnd)
    state_ = State::kHead;
  return step;
}

Result<Step> RequestReader::read_head() {
  SLUICE_TRY(const bool whole, gatherer_.take(fed_.view()));
  if (!whole) return Step::kNeedMore;
  SLUICE_TRY(http::AnomalySet odd, parse_request_head(gatherer_.head(), gatherer_.line_ends(), head_));
  SLUICE_CHECK(http::check_host(head_));
  SLUICE_TRY(framing_, http::request_framing(head_));
  odd |= framing_.anomalies | http::connection_anomalies(head_.fields);
  if (gatherer_.skipped_lines()) odd |= http::bit(http::Anomaly::kLeadingEmptyLine);
  anomalies_ = odd;
  gatherer_.reset();
  body_.begin(framing_);
  state_ = State::kBody;
  return Step::kHead;
}

Status RequestReader::finish() {
  if (state_ == State::kHead && !gatherer_.begun()) return {};
  if (state_ == State::kHead) return fail(Code::kClosed, "the client closed inside the head of a request");
  if (state_ == State::kBody && body_.ends_at_close()) return {};
  return fail(Code::kClosed, "the client closed before its request was whole");
}

std::string RequestReader::take_rest() {
  std::string rest(gatherer_.partial());
  rest.append(fed_.view());
  gatherer_.reset();
  fed_.clear();
  return rest;
}

}  // namespace sluice::http1
