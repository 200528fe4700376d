#include "mcp/sse_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::mcp {
namespace {

constexpr Bytes kMark = "\xEF\xBB\xBF";

bool is_visible(char c) { return c >= 0x20 && c <= 0x7E; }

}  // namespace

Result<std::optional<SseEvent>> SseReader::next(Bytes& input) {
  while (!input.empty()) {
    if (std::exchange(after_cr_, false) && input.front() == '\n') {
      input.remove_prefix(1);
      continue;
    }
    const std::size_t end = input.find_first_of("\r\n");
    const Bytes part = input.substr(0, end);
    comment_ = comment_ || (line_.empty() && !part.empty() && part.front() == ':');
    if (!comment_) {
      if (line_.size() + data_.size() + type_.size() + part.size() > max_event_) {
        return fail(Code::kTooLarge, "an event of the server's stream is longer than the limit");
      }
      line_ += part;
    }
    if (end == Bytes::npos) {
      input = {};
      break;
    }
    after_cr_ = input[end] == '\r';
    input.remove_prefix(end + 1);
    if (!take_line()) continue;
    if (auto event = finish()) return event;
  }
  return std::nullopt;
}

bool SseReader::take_line() {
  if (std::exchange(comment_, false)) {
    first_line_ = false;
    line_.clear();
    return false;
  }
  Bytes line = line_;
  if (std::exchange(first_line_, false) && line.starts_with(kMark)) line.remove_prefix(kMark.size());
  const bool empty = line.empty();
  if (!empty && line.front() != ':') {
    const std::size_t colon = line.find(':');
    Bytes value = colon == Bytes::npos ? Bytes() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    take_field(line.substr(0, colon), value);
  }
  line_.clear();
  return empty;
}

void SseReader::take_field(Bytes name, Bytes value) {
  if (name == "data") {
    if (std::exchange(has_data_, true)) data_ += '\n';
    data_ += value;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.size() <= kMaxId && std::all_of(value.begin(), value.end(), is_visible)) id_ = value;
  } else if (name == "retry") {
    unsigned milliseconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
    if (error == std::errc() && end == value.data() + value.size()) retry_ = std::chrono::milliseconds(milliseconds);
  }
}

std::optional<SseEvent> SseReader::finish() {
  last_id_ = id_;
  SseEvent event{std::exchange(type_, {}), std::exchange(data_, {})};
  has_data_ = false;
  if (event.data.empty()) return std::nullopt;
  return event;
}

}  // namespace sluice::mcp
