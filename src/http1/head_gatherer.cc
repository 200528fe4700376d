#include "http1/head_gatherer.h"

#include <cstring>

namespace sluice::http1 {
namespace {

// RFC 9112 §2.2 asks for tolerance of one; some clients send a CRLF too many after each POST.
constexpr std::size_t kMaxLeadingLines = 16;

}  // namespace

void HeadGatherer::reset() {
  buffer_.clear();
  if (buffer_.capacity() > kKeptHead) buffer_.shrink_to_fit();
  whole_ = {};
  line_ends_.clear();
  skipped_ = 0;
  begun_ = false;
}

Status HeadGatherer::skip_leading(Bytes& input) {
  while (!input.empty()) {
    const bool pending_cr = !buffer_.empty();
    if (input.front() == '\n') {
      input.remove_prefix(1);
      buffer_.clear();
      if (++skipped_ > kMaxLeadingLines) {
        return fail(Code::kInvalid, "too many empty lines before the request (RFC 9112 §2.2)");
      }
    } else if (input.front() == '\r' && !pending_cr && (input.size() == 1 || input[1] == '\n')) {
      if (input.size() == 1) buffer_ = input;
      input.remove_prefix(1);
    } else {
      break;
    }
  }
  begun_ = !input.empty();
  return {};
}

// The start line is one more than the fields.
bool HeadGatherer::too_large(std::size_t line_end) const {
  return line_end > limits_.max_head || line_ends_.size() > limits_.max_fields + 1;
}

Error HeadGatherer::size_error(std::size_t line_end) const {
  if (line_end > limits_.max_head) {
    return {Code::kTooLarge, "the head is larger than " + std::to_string(limits_.max_head) + " octets"};
  }
  return {Code::kTooLarge, "the head has more than " + std::to_string(limits_.max_fields) + " fields"};
}

Result<bool> HeadGatherer::take(Bytes& input) {
  if (!begun_) {
    if (leading_ == LeadingLines::kSkip) {
      SLUICE_CHECK(skip_leading(input));
    } else {
      begun_ = !input.empty();
    }
    if (!begun_) return false;
  }
  const std::size_t before = buffer_.size();  // octets of this head that came earlier
  const auto octet_at = [&](std::size_t at) { return at < before ? buffer_[at] : input[at - before]; };
  std::size_t line_start = line_ends_.empty() ? 0 : line_ends_.back();
  const char* from = input.data();
  const char* const end = from + input.size();
  while (const auto* lf = static_cast<const char*>(from == end ? nullptr : std::memchr(from, '\n', end - from))) {
    from = lf + 1;
    const std::size_t line_end = before + static_cast<std::size_t>(from - input.data());
    const std::size_t length = line_end - 1 - line_start;
    const bool empty = length == 0 || (length == 1 && octet_at(line_start) == '\r');
    if (!empty) line_ends_.push_back(static_cast<std::uint32_t>(line_end));
    if (too_large(line_end)) return fail(size_error(line_end));
    line_start = line_end;
    if (!empty) continue;
    line_ends_.push_back(static_cast<std::uint32_t>(line_end));
    const auto taken = static_cast<std::size_t>(from - input.data());
    if (before == 0) {
      whole_ = input.substr(0, taken);
    } else {
      buffer_.append(input.substr(0, taken));
    }
    input.remove_prefix(taken);
    return true;
  }
  if (too_large(before + input.size())) return fail(size_error(before + input.size()));
  buffer_.append(input);
  input = {};
  return false;
}

}  // namespace sluice::http1
