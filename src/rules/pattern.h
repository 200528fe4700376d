// Compiled patterns: one, and many at once. Private to this folder (RE2 stays here).
// Text is UTF-8; what is not is given with U+FFFD in its place (repair_utf8), as JavaScript would see it.
// Thread-safety: matching is const and may be done by any number of threads. RE2 builds its automata lazily within the
// memory limits below; when one is passed it goes on by slower ways, never with a wrong answer.
#pragma once

#include <re2/re2.h>
#include <re2/set.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "regex/regex.h"
#include "rules/js_pattern.h"

namespace sluice::rules {

class Pattern {
 public:
  // kInvalid, kTooLarge: one sentence, without the pattern.
  static Result<Pattern> compile(std::string_view js);

  bool matches(std::string_view text) const;
  const Re2Source& source() const { return source_; }
  std::size_t size() const { return static_cast<std::size_t>(re2_->ProgramSize()); }  // instructions
  // False only if no text that begins with `prefix` can match. Answers for anchored patterns; true for all others.
  bool may_match_from(std::string_view prefix) const;

 private:
  Re2Source source_;
  std::unique_ptr<const re2::RE2> re2_;
  std::string low_, high_;  // anchored: bounds of what can match; empty otherwise
};

// Finds which of many patterns match in one pass. engine.md 6.
class PatternSet {
 public:
  PatternSet() = default;  // finds nothing
  // Each pattern gets the number of its place. kTooLarge: more than RE2 takes.
  static Result<PatternSet> compile(const std::vector<const Pattern*>& patterns);

  // The places of all that match, ascending; nullopt: the automaton ran out of memory on this text, ask one by one.
  std::optional<std::vector<std::uint32_t>> find(std::string_view text) const;

 private:
  std::unique_ptr<re2::RE2::Set> set_;
};

}  // namespace sluice::rules
