#include "analysis/text_pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

namespace sluice::analysis {
namespace {

// ASCII without anything that means something to RE2.
bool is_plain(std::string_view text) {
  constexpr std::string_view kSpecial = "\\.+*?()|[]{}^$";
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return static_cast<unsigned char>(c) < 0x80 && kSpecial.find(c) == std::string_view::npos && c != '\0';
  });
}

}  // namespace

Result<TextPattern> TextPattern::compile(std::string_view source) {
  if (source.size() > kMaxPattern) {
    return fail(Code::kTooLarge, fmt::format("a pattern has at most {} octets", kMaxPattern));
  }
  TextPattern pattern;
  pattern.source_ = source;
  if (is_plain(source)) {
    pattern.needle_.emplace(source);
    return pattern;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_dot_nl(true);
  options.set_never_capture(true);
  options.set_max_mem(static_cast<std::int64_t>(kPatternMemory));
  pattern.re2_ = std::make_shared<const re2::RE2>(re2::StringPiece(source.data(), source.size()), options);
  if (pattern.re2_->ok()) return pattern;
  if (pattern.re2_->error_code() == re2::RE2::ErrorPatternTooLarge) {
    return fail(Code::kTooLarge, "the pattern is too large: fewer repeats help");
  }
  return fail(Code::kInvalid, "RE2 does not take the pattern: " + pattern.re2_->error());
}

bool TextPattern::is_in(Bytes text) const {
  if (needle_) return needle_->is_in(text);
  return re2_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

}  // namespace sluice::analysis
