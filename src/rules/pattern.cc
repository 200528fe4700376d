#include "rules/pattern.h"

#include <algorithm>

namespace sluice::rules {
namespace {

constexpr ByteCount kSetMemory[] = {32 * kMiB, 128 * kMiB, 512 * kMiB};
constexpr int kBoundLength = 256;  // octets of low_ and high_: more than any host name has

re2::RE2::Options options(ByteCount memory) {
  re2::RE2::Options made;
  made.set_log_errors(false);
  made.set_never_capture(true);
  made.set_max_mem(static_cast<std::int64_t>(memory));
  return made;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

Error explain(const re2::RE2& re2) {
  switch (re2.error_code()) {
    case re2::RE2::ErrorPatternTooLarge:
      return {Code::kTooLarge, "the pattern is too large: compiled it needs more than 2 MiB (fewer repeats help)"};
    case re2::RE2::ErrorRepeatSize:
      return {Code::kInvalid, "repeats inside repeats multiply to more than RE2's limit of 1000"};
    case re2::RE2::ErrorBadCharRange:
      return {Code::kInvalid, "\\p{…} takes a general category such as L or Nd, or a script such as Greek"};
    default:
      return {Code::kInvalid, "RE2 does not take the pattern: " + re2.error()};
  }
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view js) {
  Pattern made;
  SLUICE_TRY(made.source_, translate_js_pattern(js));
  auto re2 = std::make_unique<re2::RE2>(piece(made.source_.text), options(kPatternMemory));
  if (!re2->ok()) return fail(explain(*re2));
  made.re2_ = std::move(re2);
  if (made.source_.anchored) {
    // PossibleMatchRange speaks of matches from end to end; ours may go on behind what matched.
    const re2::RE2 whole(made.source_.text + "(?s:.*)", options(kPatternMemory));
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
  // RE2 gives two thirds of the limit to nothing but the automaton's cache, so the limit grows only where the
  // programs do not fit. A set that was not compiled, or whose automaton cannot begin, must never be asked.
  for (const ByteCount memory : kSetMemory) {
    PatternSet made;
    made.set_ = std::make_unique<re2::RE2::Set>(options(memory), re2::RE2::UNANCHORED);
    for (const Pattern* pattern : patterns) {
      std::string error;
      if (made.set_->Add(pattern->source().text, &error) < 0) {
        return fail(Code::kInvalid, "RE2 does not take a pattern that it took alone: " + error);
      }
    }
    if (made.set_->Compile() && made.find("/")) return made;
  }
  return fail(Code::kTooLarge, "the URL and path patterns of all rules together are too large for RE2 (512 MiB)");
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
