#include "policy/regex.h"

#include <re2/re2.h>

#include "base/bytes.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxPattern = 10'000;
// RE2's max_mem, program and automaton together: a thousand rules each get the small one, the large one is for
// patterns whose program does not fit. Past it RE2 goes on by slower ways, never with a wrong answer.
constexpr ByteCount kMemory = 128 * kKiB, kLargeMemory = 1 * kMiB;

std::shared_ptr<const re2::RE2> compile_within(const std::string& pattern, ByteCount memory) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_never_capture(true);
  options.set_max_mem(static_cast<std::int64_t>(memory));
  return std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
}

}  // namespace

Result<Regex> Regex::compile(const std::string& pattern) {
  if (pattern.size() > kMaxPattern) return fail(Code::kTooLarge, "a pattern has at most 10,000 characters");
  Regex made;
  made.re2_ = compile_within(pattern, kMemory);
  if (made.re2_->error_code() == re2::RE2::ErrorPatternTooLarge) made.re2_ = compile_within(pattern, kLargeMemory);
  if (made.re2_->error_code() == re2::RE2::ErrorPatternTooLarge) {
    return fail(Code::kTooLarge, "the pattern is too large: compiled it needs more than 1 MiB (fewer repeats help)");
  }
  if (!made.re2_->ok()) return fail(Code::kInvalid, "RE2 does not take the pattern: " + made.re2_->error());
  return made;
}

bool Regex::matches(std::string_view text) const {
  return re2_->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

}  // namespace sluice::policy
