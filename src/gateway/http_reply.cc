#include "gateway/http_reply.h"

namespace sluice::gateway {

void HttpReply::respond(HttpAnswer answer) {
  if (head_ || ended_) return;
  head_ = std::move(answer);
  ended_ = true;
  moved_.notify();
}

void HttpReply::begin_events(std::vector<std::pair<std::string, std::string>> fields) {
  if (head_ || ended_) return;
  streaming_ = true;
  head_ = HttpAnswer{200, std::move(fields), ""};
  head_->fields.emplace_back("Content-Type", "text/event-stream");
  head_->fields.emplace_back("Cache-Control", "no-cache, no-transform");
  head_->fields.emplace_back("X-Accel-Buffering", "no");
  moved_.notify();
}

void HttpReply::event(std::string_view message, Weight weight, std::string_view id) {
  if (!streaming_ || ended_ || gone_) return;
  if (weight == Weight::kNotice && events_.size() > kMaxPending) return;
  if (!id.empty()) events_.append("id: ").append(id).append("\n");
  // Without data it is no event: whoever knows no ids has nothing to do with it.
  if (!message.empty()) events_.append("event: message\n");
  events_.append("data: ").append(message).append("\n\n");
  moved_.notify();
}

void HttpReply::end() {
  if (ended_) return;
  ended_ = true;
  moved_.notify();
}

net::Task<bool> HttpReply::wait(std::chrono::milliseconds at_most) {
  const bool something = (head_ && !head_taken_) || !events_.empty() || ended_ || gone_;
  if (something) co_return true;
  moved_.set_deadline(deadlines_->in(at_most));
  const Status moved = co_await moved_.wait();
  moved_.clear_deadline();
  co_return moved.has_value();
}

net::Task<void> HttpReply::gather() {
  while (!ended_ && !gone_ && !flushed_) co_await moved_.wait_told();
}

void HttpReply::flush() {
  flushed_ = true;
  moved_.notify();
}

std::optional<HttpAnswer> HttpReply::take_head() {
  if (!head_ || head_taken_) return std::nullopt;
  head_taken_ = true;
  return std::move(*head_);
}

std::string HttpReply::take_events() { return std::exchange(events_, {}); }

void HttpReply::gone() {
  if (gone_) return;
  gone_ = true;
  moved_.notify();
  const auto callback = std::move(gone_callback_);
  gone_callback_ = nullptr;
  if (callback && !ended_) callback();
}

}  // namespace sluice::gateway
