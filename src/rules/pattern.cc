#include "rules/pattern.h"

#include <algorithm>

namespace sluice::rules {
namespace {

// RE2's max_mem of a set, by its size: a program may take a quarter of it at 16 octets an instruction, the automaton
// needs room for 20 states of up to 4 octets an instruction, the rest is its cache.
constexpr ByteCount kSetBase = 256 * kKiB;
constexpr ByteCount kSetPerInstruction = 128;
constexpr int kSetAttempts = 3;    // each with twice the memory
constexpr int kBoundLength = 256;  // octets of low_ and high_: more than any host name has

re2::RE2::Options options(ByteCount memory) {
  re2::RE2::Options made;
  made.set_log_errors(false);
  made.set_never_capture(true);
  made.set_max_mem(static_cast<std::int64_t>(memory));
  return made;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Result<Pattern> Pattern::compile(std::string_view js) {
  Pattern made;
  SLUICE_TRY(made.source_, translate_js_pattern(js));
  SLUICE_TRY(made.re2_, regex::compile_re2(made.source_.text));
  if (made.source_.anchored) {
    // PossibleMatchRange speaks of matches from end to end; ours may go on behind what matched.
    const re2::RE2 whole(made.source_.text + "(?s:.*)", options(regex::kLargeMemory));
    if (!whole.ok() || !whole.PossibleMatchRange(&made.low_, &made.high_, kBoundLength)) made.high_.clear();
  }
  return made;
}

bool Pattern::matches(std::string_view text) const {
  return re2_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

bool Pattern::may_match_from(std::string_view prefix) const {
  if (high_.empty()) return true;
  return std::string_view(high_) >= prefix && std::string_view(low_).substr(0, prefix.size()) <= prefix;
}

Result<PatternSet> PatternSet::compile(const std::vector<const Pattern*>& patterns) {
  ByteCount memory = kSetBase;
  for (const Pattern* pattern : patterns) memory += kSetPerInstruction * pattern->size();
  for (int attempt = 0; attempt < kSetAttempts; ++attempt, memory *= 2) {
    PatternSet made;
    made.set_ = std::make_unique<re2::RE2::Set>(options(memory), re2::RE2::UNANCHORED);
    for (const Pattern* pattern : patterns) {
      std::string error;
      if (made.set_->Add(pattern->source().text, &error) < 0) {
        return fail(Code::kInvalid, "RE2 does not take a pattern that it took alone: " + error);
      }
    }
    // A set that was not compiled must never be asked, one whose automaton cannot begin is of no use.
    if (made.set_->Compile() && made.find("/")) return made;
  }
  return fail(Code::kTooLarge, "the URL and path patterns are too large together");
}

std::optional<std::vector<std::uint32_t>> PatternSet::find(std::string_view text) const {
  std::vector<int> found;
  re2::RE2::Set::ErrorInfo error{re2::RE2::Set::kNoError};
  if (!set_->Match(piece(text), &found, &error)) {
    if (error.kind != re2::RE2::Set::kNoError) return std::nullopt;
    return std::vector<std::uint32_t>();
  }
  std::vector<std::uint32_t> places(found.begin(), found.end());
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace sluice::rules
