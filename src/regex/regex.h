// RE2 with bounded memory: linear in the text, whatever the pattern. The one place that compiles one.
// RE2 syntax; `$` is the end of the text. Errors: kInvalid, kTooLarge, one sentence without the pattern.
// Thread-safety: matching is const and may be done by any number of threads. RE2 builds its automata lazily within the
// memory limits; when one is passed it goes on by slower ways, never with a wrong answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace re2 {
class RE2;
}

namespace sluice::regex {

// RE2's max_mem of one pattern, program and automaton together: thousands of patterns each get the small one, the
// large one is for those whose program does not fit, and for texts of megabytes.
inline constexpr ByteCount kMemory = 128 * kKiB;
inline constexpr ByteCount kLargeMemory = 1 * kMiB;

inline constexpr std::size_t kMaxSource = 10'000;  // of a Regex

struct Options {
  bool any_case = false;
  bool dot_takes_line_ends = false;
  bool captures = false;
  ByteCount memory = kMemory;  // at first
};

Result<std::unique_ptr<const re2::RE2>> compile_re2(std::string_view source, const Options& options = {});

// A pattern to find in texts. Copies share the program.
class Regex {
 public:
  // At most kMaxSource octets.
  static Result<Regex> compile(std::string_view source, const Options& options = {});
  // Unanchored unless the pattern says otherwise.
  bool is_in(std::string_view text) const;
  // The first match that begins at `from` or behind it.
  struct Match {
    std::size_t at = 0, size = 0;
  };
  std::optional<Match> match(std::string_view text, std::size_t from = 0) const;
  // The first group of the first match, or the match where there is no group. Needs Options::captures.
  std::optional<std::string> find(std::string_view text) const;
  // A group of the first match; 0: the match. Not more than groups(). Needs Options::captures.
  std::optional<std::string> find_group(std::string_view text, std::size_t group) const;
  std::size_t groups() const;

 private:
  std::shared_ptr<const re2::RE2> re2_;
};

}  // namespace sluice::regex
