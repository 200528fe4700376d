#include "analysis/text_pattern.h"

#include <fmt/format.h>

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
  // Texts of megabytes: the large memory at once, or the automaton would begin anew all the time.
  SLUICE_TRY(
      pattern.regex_,
      regex::Regex::compile(source, {.any_case = true, .dot_takes_line_ends = true, .memory = regex::kLargeMemory}));
  return pattern;
}

bool TextPattern::is_in(Bytes text) const { return needle_ ? needle_->is_in(text) : regex_->is_in(text); }

}  // namespace sluice::analysis
