#include "analysis/har_entries.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/clip.h"
#include "base/json.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostKey = 64, kMostScalar = 1'024;
constexpr std::string_view kBom = "\xEF\xBB\xBF";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_scalar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}
bool is_hex(char c) { return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'); }

}  // namespace

tl::unexpected<Error> HarEntries::broken(const char* what) const {
  return fail(Code::kInvalid, fmt::format("Invalid HAR JSON: {} (octet {}).", what, passed_ + here_ + 1));
}

Status HarEntries::feed(Bytes octets) {
  if (failed_) return fail(*failed_);
  Status taken = check_text(octets);
  if (taken) taken = take(octets);
  if (!taken) failed_ = taken.error();
  return taken;
}

// UTF-8 all through, also where a character is cut by a piece's end; a byte order mark may stand before it.
Status HarEntries::check_text(Bytes octets) {
  if (!begun_ && octets.size() >= 2) {
    const Bytes first = octets.substr(0, 2);
    if (first == "\xFF\xFE" || first == "\xFE\xFF") {
      return fail(Code::kInvalid, "Invalid HAR JSON: it is UTF-16; JSON is UTF-8 (RFC 8259 §8.1).");
    }
  }
  carry_ += octets;
  std::string whole = carry_;
  trim_unfinished(whole);
  if (!is_utf8(whole)) {
    here_ = 0;
    return fail(Code::kInvalid,
                fmt::format("Invalid HAR JSON: it is not UTF-8 (RFC 8259 §8.1), from octet {} on.", passed_ + 1));
  }
  carry_.erase(0, whole.size());
  return {};
}

Status HarEntries::take(Bytes octets) {
  std::size_t at = 0;
  kept_from_ = 0;
  begun_ = begun_ || !octets.empty();
  while (bom_ < kBom.size() && at < octets.size()) {
    if (octets[at] == kBom[bom_]) {
      ++bom_;
      ++at;
    } else if (bom_ == 0) {
      bom_ = kBom.size();
    } else {
      return broken("a value that is none");
    }
  }
  while (at < octets.size()) {
    here_ = at;
    if (in_string_) {
      SLUICE_CHECK(take_string(octets, at));
    } else if (!scalar_.empty()) {
      SLUICE_CHECK(take_scalar(octets, at));
    } else {
      const char c = octets[at];
      if (!is_blank(c)) SLUICE_CHECK(take_other(c, at));
      ++at;
      // What ends here is cut out of `octets` now, since its text is in it.
    }
    if (keeping_) {
      const std::size_t length = at - kept_from_;
      if (entry_.text.size() + length > most_entry_) entry_.too_large = true;
      if (entry_.too_large) {
        entry_.text.clear();
      } else {
        entry_.text += octets.substr(kept_from_, length);
      }
      kept_from_ = at;
      // An element that is an object or array has ended when its bracket closed; is_element() says that it stands
      // there.
      if (is_element() && !in_string_ && scalar_.empty() && want_ == Want::kCommaOrEnd) {
        keeping_ = false;
        ready_.push_back(std::exchange(entry_, {}));
      }
    }
  }
  here_ = 0;
  passed_ += octets.size();
  return {};
}

// RFC 8259 §7, in runs.
Status HarEntries::take_string(Bytes octets, std::size_t& at) {
  const std::size_t from = at;
  while (at < octets.size()) {
    here_ = at;
    const char c = octets[at++];
    if (static_cast<unsigned char>(c) < 0x20) return broken("a control character in a string");
    if (hex_left_ > 0) {
      if (!is_hex(c)) return broken("a damaged escape");
      --hex_left_;
    } else if (escaped_) {
      escaped_ = false;
      if (c == 'u') {
        hex_left_ = 4;
      } else if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
        return broken("a damaged escape");
      }
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      if (is_key_ && stack_.size() <= 2 && key_.size() < kMostKey) key_ += octets.substr(from, at - 1 - from);
      want_ = is_key_ ? Want::kColon : Want::kCommaOrEnd;
      if (!is_key_ && stack_.empty()) want_ = Want::kNothing;
      return {};
    }
  }
  if (is_key_ && stack_.size() <= 2 && key_.size() < kMostKey) key_ += octets.substr(from, at - from);
  return {};
}

Status HarEntries::take_scalar(Bytes octets, std::size_t& at) {
  while (at < octets.size() && is_scalar(octets[at])) {
    if (scalar_.size() >= kMostScalar) return broken("a number that is too long");
    scalar_ += octets[at++];
  }
  if (at == octets.size()) return {};
  const bool good = parse_json(scalar_).has_value();
  scalar_.clear();
  if (!good) return broken("a value that is none");
  want_ = stack_.empty() ? Want::kNothing : Want::kCommaOrEnd;
  return {};
}

Status HarEntries::take_other(char c, std::size_t at) {
  if (want_ == Want::kNothing) return broken("something behind its end");
  if (c == '}' || c == ']') {
    const bool may_end =
        want_ == Want::kCommaOrEnd || (c == '}' ? want_ == Want::kKeyOrEnd : want_ == Want::kValueOrEnd);
    if (stack_.empty() || stack_.back() != (c == '}' ? '{' : '[') || !may_end)
      return broken("a bracket that opens nothing");
    if (in_entries_ && stack_.size() == 3) in_entries_ = false;
    if (in_log_ && stack_.size() == 2) in_log_ = false;
    stack_.pop_back();
    want_ = stack_.empty() ? Want::kNothing : Want::kCommaOrEnd;
    return {};
  }
  switch (want_) {
    case Want::kKey:
    case Want::kKeyOrEnd:
      if (c != '"') return broken("a member without a name");
      in_string_ = is_key_ = true;
      if (stack_.size() <= 2) key_.clear();
      return {};
    case Want::kColon:
      if (c != ':') return broken("a member without a colon");
      want_ = Want::kValue;
      return {};
    case Want::kCommaOrEnd:
      if (c != ',') return broken("values without a comma between them");
      want_ = stack_.back() == '{' ? Want::kKey : Want::kValue;
      return {};
    default:
      return begin_value(c, at);
  }
}

Status HarEntries::begin_value(char c, std::size_t at) {
  if (is_element()) {
    entry_ = {};
    entry_.number = ++count_;
    keeping_ = true;
    kept_from_ = at;
  }
  if (c == '{' || c == '[') {
    if (stack_.size() >= kMostDepth) return broken("nested too deep");
    if (stack_.size() == 1 && stack_[0] == '{' && key_ == "log" && c == '{') {
      in_log_ = true;
    } else if (stack_.size() == 2 && in_log_ && key_ == "entries" && c == '[') {
      if (saw_entries_) return fail(Code::kInvalid, "Invalid HAR: log.entries stands there twice.");
      in_entries_ = saw_entries_ = true;
    }
    stack_ += c;
    want_ = c == '{' ? Want::kKeyOrEnd : Want::kValueOrEnd;
    return {};
  }
  if (c == '"') {
    in_string_ = true;
    is_key_ = false;
    return {};
  }
  if (!is_scalar(c)) return broken("a value that is none");
  scalar_ = c;
  return {};
}

std::optional<HarEntryText> HarEntries::next() {
  if (ready_.empty()) return std::nullopt;
  HarEntryText entry = std::move(ready_.front());
  ready_.pop_front();
  return entry;
}

Status HarEntries::finish() {
  if (failed_) return fail(*failed_);
  if (!carry_.empty() || in_string_ || !stack_.empty() || want_ != Want::kNothing) {
    if (!begun_) return fail(Code::kInvalid, "Invalid HAR JSON: the file is empty.");
    if (stack_.empty() && !in_string_ && !scalar_.empty()) {
      return fail(Code::kInvalid, "Invalid HAR: missing log.entries array.");
    }
    return fail(Code::kInvalid, fmt::format("Invalid HAR JSON: it ends in the middle, after {} octets.", passed_));
  }
  if (!saw_entries_) return fail(Code::kInvalid, "Invalid HAR: missing log.entries array.");
  return {};
}

}  // namespace sluice::analysis
