#include "analysis/events.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sluice::analysis {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// A line is its value, and a name of the known ones with ": ", and perhaps a mark before.
constexpr std::size_t kBesidesValue = 16;
// Types and ids are words.
constexpr std::size_t kMostWord = 1024;

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

}  // namespace

bool EventParser::take_line() {
  while (!fed_.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (fed_.front() == '\n') {
        fed_.remove_prefix(1);
        continue;
      }
    }
    const auto end = static_cast<std::size_t>(std::find_if(fed_.begin(), fed_.end(), is_line_end) - fed_.begin());
    const ByteCount room = keep_ + kBesidesValue - std::min<ByteCount>(line_.size(), keep_ + kBesidesValue);
    line_.append(fed_.substr(0, static_cast<std::size_t>(std::min<ByteCount>(end, room))));
    line_size_ += end;
    fed_.remove_prefix(end);
    if (fed_.empty()) return false;
    after_cr_ = fed_.front() == '\r';
    fed_.remove_prefix(1);
    return true;
  }
  return false;
}

bool EventParser::end_line() {
  std::string_view line = line_;
  ByteCount size = line_size_;
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
    size -= kByteOrderMark.size();
  }
  if (size == 0) return any_;
  const std::size_t colon = line.find(':');
  // §9.2.6: without a colon the whole line is the name, before one at the beginning stands a comment.
  if (colon == std::string_view::npos) {
    add_field(line.size() < size ? "" : line, "", 0);
  } else {
    const std::size_t value = colon + 1 < line.size() && line[colon + 1] == ' ' ? colon + 2 : colon + 1;
    add_field(line.substr(0, colon), line.substr(value), size - value);
  }
  return false;
}

void EventParser::add_field(std::string_view name, std::string_view value, ByteCount value_size) {
  if (name == "data") {
    any_ = true;
    if (event_.data) {
      ++event_.data_size;
      if (event_.data->size() < keep_) event_.data->push_back('\n');
    } else {
      event_.data.emplace();
    }
    event_.data_size += value_size;
    const ByteCount room = keep_ - std::min<ByteCount>(event_.data->size(), keep_);
    event_.data->append(value.substr(0, static_cast<std::size_t>(std::min<ByteCount>(room, value.size()))));
  } else if (name == "event") {
    any_ = true;
    event_.type = value.substr(0, kMostWord);
  } else if (name == "id") {
    if (value.find('\0') != std::string_view::npos) return;
    any_ = true;
    event_.id = value.substr(0, kMostWord);
  } else if (name == "retry") {
    std::uint64_t time = 0;
    const bool digits = std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto read = std::from_chars(value.data(), value.data() + value.size(), time);
    if (value.empty() || value.size() < value_size || !digits || read.ec != std::errc()) return;
    any_ = true;
    event_.retry_ms = time;
  }
}

ServerEvent EventParser::take_event() {
  any_ = false;
  return std::exchange(event_, {});
}

std::optional<ServerEvent> EventParser::next() {
  while (take_line()) {
    const bool told = end_line();
    line_.clear();
    line_size_ = 0;
    if (told) return take_event();
  }
  return std::nullopt;
}

std::optional<ServerEvent> EventParser::finish() {
  if (line_size_ > 0) end_line();
  line_.clear();
  line_size_ = 0;
  if (!any_) return std::nullopt;
  event_.complete = false;
  return take_event();
}

}  // namespace sluice::analysis
