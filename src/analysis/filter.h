// Filter expressions in the spirit of mitmproxy's: `~d example.com & ~c 5..`, `!(~m GET | ~m HEAD) ~b "out of stock"`.
// docs/filters.md is the manual.
//
//   term  = "~" code [argument] | argument             an argument alone is a pattern for the URL
//   not   = "!" not | "(" expression ")" | term        binds closest
//   and   = not {"&" not}
//   or    = and {"|" and}
//   expression = or {or}                               side by side: and, which binds least (as in mitmproxy)
//
// Patterns are RE2's, any case. An expression is immutable, thread-safe, and cheap to copy.
//
// With a Redactor a pattern is looked for in what is shown: masks are a NUL each, so that nobody finds a secret by
// asking for one letter more (gate.md 7). That also holds for what patterns like [^a] could tell.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "analysis/text_pattern.h"
#include "base/redact.h"
#include "base/result.h"
#include "flow/exchange.h"

namespace sluice::analysis {

inline constexpr std::size_t kMaxFilterText = 4'000;  // octets
inline constexpr std::size_t kMaxFilterDepth = 50;    // parentheses and '!' inside each other: evaluation recurses
inline constexpr std::size_t kMaxFilterTerms = 100;   // each may hold regex::kLargeMemory

// Where the terms ~b, ~bq and ~bs look: the bodies of one exchange, decoded. Asked only when the rest has not decided.
class FilterBodies {
 public:
  virtual ~FilterBodies() = default;
  // Whether what is shown of that side's body, or of one of its messages, holds the pattern.
  virtual Result<bool> hold(flow::Direction direction, const TextPattern& pattern) = 0;
};

struct FilterNode;

class FilterExpression {
 public:
  // kInvalid, kTooLarge: a sentence that names the column (characters, from 1) and what was probably meant.
  static Result<FilterExpression> parse(std::string_view text);

  // Written in one way, whatever way it was typed; parses to the same expression.
  std::string text() const;
  // Fails only as `bodies` does. `redactor` null: everything is visible.
  Result<bool> matches(const flow::Exchange& exchange, const Redactor* redactor, FilterBodies& bodies) const;

 private:
  FilterExpression(std::shared_ptr<const FilterNode> root, std::size_t nodes) : root_(std::move(root)), nodes_(nodes) {}

  std::shared_ptr<const FilterNode> root_;
  std::size_t nodes_;
};

}  // namespace sluice::analysis
