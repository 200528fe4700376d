#include "gateway/kept_streams.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::gateway {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string id_of(std::uint64_t stream, std::uint64_t event) { return fmt::format("{}-{}", stream, event); }

KeptStreams::ReplyPtr reader(const std::weak_ptr<HttpReply>& weak) {
  auto reply = weak.lock();
  return reply && !reply->is_gone() && !reply->ended() ? reply : nullptr;
}

}  // namespace

KeptStreams::Number KeptStreams::open(const ReplyPtr& reply) {
  streams_[++last_].reply = reply;
  return last_;
}

void KeptStreams::begin(Number number, bool primed) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.begun) return;
  found->second.begun = true;
  const auto reply = reader(found->second.reply);
  if (!reply) return;
  reply->begin_events();
  if (primed) reply->event("", HttpReply::Weight::kAnswer, id_of(number, 0));
}

bool KeptStreams::is_heard(Number number) const {
  const auto found = streams_.find(number);
  return found != streams_.end() && reader(found->second.reply);
}

void KeptStreams::put(Number number, Stream& stream, std::string message, HttpReply::Weight weight) {
  ++stream.last;
  if (const auto reply = reader(stream.reply)) {
    reply->event(message, weight, id_of(number, stream.last));
    stream.written = stream.last;
  }
  kept_ += message.size();
  stream.events.push_back({stream.last, std::move(message)});
  order_.emplace_back(number, stream.last);
  while (kept_ > kMaxKept || order_.size() > kMaxEvents) forget_oldest();
}

void KeptStreams::forget_oldest() {
  const auto [number, event] = order_.front();
  order_.pop_front();
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.events.empty() || found->second.events.front().number != event) return;
  found->second.dropped = event;
  kept_ -= found->second.events.front().message.size();
  found->second.events.erase(found->second.events.begin());
}

bool KeptStreams::say(Number number, const std::string& message) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.ended) return false;
  if (number != kOwn) begin(number, false);
  put(number, found->second, message, HttpReply::Weight::kNotice);
  return true;
}

void KeptStreams::answer(Number number, const std::string& message,
                         const std::vector<std::pair<std::string, std::string>>& fields) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || found->second.ended) return;
  Stream& stream = found->second;
  if (message.empty()) begin(number, false);  // cancelled: an empty stream of events (mcp/server_session.h)
  if (!stream.begun) {
    // Whoever left without an id cannot come back for it.
    if (const auto reply = reader(stream.reply)) {
      HttpAnswer whole{200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, message};
      whole.fields.insert(whole.fields.end(), fields.begin(), fields.end());
      reply->respond(std::move(whole));
    }
    streams_.erase(found);
    return;
  }
  if (!message.empty()) put(number, stream, message, HttpReply::Weight::kAnswer);
  stream.ended = true;
  if (const auto reply = reader(stream.reply)) reply->end();
  ended_.push_back(number);
  if (ended_.size() <= kMaxEnded) return;
  const auto oldest = streams_.find(ended_.front());
  ended_.erase(ended_.begin());
  for (const Event& event : oldest->second.events) kept_ -= event.message.size();
  streams_.erase(oldest);
}

bool KeptStreams::listen(const ReplyPtr& reply, const std::optional<std::string>& last_event_id) {
  Number number = kOwn;
  std::optional<std::uint64_t> from;
  if (last_event_id) {
    const std::size_t dash = last_event_id->find('-');
    const auto stream = parse_number(std::string_view(*last_event_id).substr(0, dash));
    from = dash == std::string::npos ? std::nullopt : parse_number(std::string_view(*last_event_id).substr(dash + 1));
    if (!stream || !from) return false;
    number = *stream;
  }
  const auto found = streams_.find(number);
  if (found == streams_.end()) return false;
  Stream& stream = found->second;
  if (from && (*from > stream.last || *from < stream.dropped)) return false;
  // One reader: who comes back has lost the connection before, though it may not be known here yet.
  if (const auto before = reader(stream.reply)) before->end();
  stream.reply = reply;
  reply->begin_events();
  for (const Event& event : stream.events) {
    if (event.number <= from.value_or(stream.written)) continue;
    reply->event(event.message, HttpReply::Weight::kAnswer, id_of(number, event.number));
  }
  stream.written = stream.last;
  if (stream.ended) reply->end();
  return true;
}

void KeptStreams::close(const HttpAnswer& why) {
  for (auto& [number, stream] : streams_) {
    const auto reply = reader(stream.reply);
    if (!reply) continue;
    if (reply->begun()) {
      reply->end();
    } else {
      reply->respond(why);
    }
  }
  streams_.clear();
  order_.clear();
  ended_.clear();
  kept_ = 0;
}

}  // namespace sluice::gateway
