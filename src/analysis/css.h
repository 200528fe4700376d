// CSS selectors (Selectors Level 3, and of Level 4 what is useful without a browser): types, classes, ids, attributes
// with i and s, :not() :is() :where() :has() with lists, the :nth- family with "of", :empty, :root, :checked,
// :disabled, :enabled, :link, and all combinators. Pseudo-elements, namespaces and states that only a browser knows are
// refused by name. Immutable; thread-safe; copies share it. Matching is bounded by kMaxCssSteps.
#pragma once

#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "analysis/html.h"
#include "base/result.h"

namespace sluice::analysis {

inline constexpr std::size_t kMaxCss = 2'000;            // octets of a selector
inline constexpr std::size_t kMaxCssDepth = 16;          // of parentheses
inline constexpr std::size_t kMaxCssSteps = 50'000'000;  // comparisons for one page

namespace css {
struct List;
}

struct CssFound {
  std::vector<const HtmlNode*> elements;  // in document order
  bool truncated = false;                 // a limit ended it, or somebody stopped it
};

class CssSelector {
 public:
  // kInvalid, kTooLarge: one sentence with the octet (from 1).
  static Result<CssSelector> parse(std::string_view text);
  CssFound find(const HtmlPage& page, std::size_t most, std::stop_token stop = {}) const;

 private:
  explicit CssSelector(std::shared_ptr<const css::List> list) : list_(std::move(list)) {}
  std::shared_ptr<const css::List> list_;
};

}  // namespace sluice::analysis
