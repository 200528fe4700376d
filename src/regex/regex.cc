#include "regex/regex.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <vector>

namespace sluice::regex {
namespace {

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

std::unique_ptr<const re2::RE2> compile_within(ByteCount memory, std::string_view source, const Options& options) {
  re2::RE2::Options made;
  made.set_log_errors(false);
  made.set_case_sensitive(!options.any_case);
  made.set_dot_nl(options.dot_takes_line_ends);
  made.set_never_capture(!options.captures);
  made.set_max_mem(static_cast<std::int64_t>(memory));
  return std::make_unique<const re2::RE2>(piece(source), made);
}

Error explain(const re2::RE2& re2) {
  switch (re2.error_code()) {
    case re2::RE2::ErrorPatternTooLarge:
      return {Code::kTooLarge, "the pattern is too large: compiled it needs more than 1 MiB (fewer repeats help)"};
    case re2::RE2::ErrorRepeatSize:
      return {Code::kInvalid, "repeats inside repeats multiply to more than RE2's limit of 1000"};
    case re2::RE2::ErrorBadCharRange:
      return {Code::kInvalid, "\\p{…} takes a general category such as L or Nd, or a script such as Greek"};
    default:
      return {Code::kInvalid, "RE2 does not take the pattern: " + re2.error()};
  }
}

}  // namespace

Result<std::unique_ptr<const re2::RE2>> compile_re2(std::string_view source, const Options& options) {
  auto re2 = compile_within(options.memory, source, options);
  if (re2->error_code() == re2::RE2::ErrorPatternTooLarge && options.memory < kLargeMemory) {
    re2 = compile_within(kLargeMemory, source, options);
  }
  if (!re2->ok()) return fail(explain(*re2));
  return re2;
}

Result<Regex> Regex::compile(std::string_view source, const Options& options) {
  if (source.size() > kMaxSource) return fail(Code::kTooLarge, "a pattern has at most 10,000 characters");
  Regex made;
  SLUICE_TRY(made.re2_, compile_re2(source, options));
  return made;
}

bool Regex::is_in(std::string_view text) const {
  return re2_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

std::optional<Regex::Match> Regex::match(std::string_view text, std::size_t from) const {
  re2::StringPiece found;
  if (from > text.size() || !re2_->Match(piece(text), from, text.size(), re2::RE2::UNANCHORED, &found, 1)) {
    return std::nullopt;
  }
  return Match{static_cast<std::size_t>(found.data() - text.data()), found.size()};
}

std::optional<std::string> Regex::find(std::string_view text) const {
  std::array<re2::StringPiece, 2> found;
  const int groups = std::min(re2_->NumberOfCapturingGroups(), 1) + 1;
  if (!re2_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, found.data(), groups)) return std::nullopt;
  return std::string(found[static_cast<std::size_t>(groups - 1)]);
}

std::optional<std::string> Regex::find_group(std::string_view text, std::size_t group) const {
  std::vector<re2::StringPiece> found(group + 1);
  if (!re2_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, found.data(), static_cast<int>(found.size())))
    return std::nullopt;
  return std::string(found[group]);
}

std::size_t Regex::groups() const { return static_cast<std::size_t>(re2_->NumberOfCapturingGroups()); }

}  // namespace sluice::regex
