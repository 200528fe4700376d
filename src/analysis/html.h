// A page as a tree, by the HTML 5 parsing rules (gumbo), within bounds: hostile pages cost at most so much memory, and
// nothing here recurses. Immutable once parsed; thread-safe; nodes live as long as the page.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

inline constexpr ByteCount kMaxHtml = 8 * kMiB;          // of one page
inline constexpr ByteCount kMaxHtmlMemory = 512 * kMiB;  // what parsing may take: formatting elements can multiply
inline constexpr std::size_t kMaxHtmlNodes = 1'000'000;
inline constexpr std::size_t kMaxHtmlDepth = 1'000;  // deeper elements are left out

struct HtmlNode {
  using Attribute = std::pair<std::string_view, std::string_view>;

  std::string_view name;                  // lower case; empty: text
  std::string_view text;                  // of a text
  std::span<const Attribute> attributes;  // names in lower case
  const HtmlNode* parent = nullptr;       // null: the root
  const HtmlNode* first_child = nullptr;
  const HtmlNode *before = nullptr, *next = nullptr;  // siblings

  bool is_element() const { return !name.empty(); }
  // Null: there is none.
  const std::string_view* attribute(std::string_view wanted) const;
};

class HtmlPage {
 public:
  // `enough` is asked now and then, and true ends it: a page of elements inside each other takes gumbo quadratic time.
  // May be empty. `texts_aside`: see html_texts.h; tests compare. kTooLarge: one sentence with the limit; kTimeout;
  // kInvalid: a defect of gumbo's.
  static Result<HtmlPage> parse(std::string_view html, const std::function<bool()>& enough = {},
                                bool texts_aside = true);

  const HtmlNode& root() const;                          // the element html
  const std::vector<const HtmlNode*>& elements() const;  // in document order
  bool is_cut() const;                                   // elements were left out

 private:
  struct Memory;
  std::shared_ptr<const Memory> memory_;
};

// The one behind `node` in document order among those in `top`; null: it is the last one.
const HtmlNode* next_inside(const HtmlNode& top, const HtmlNode& node);
// Texts in it, joined; white space at both ends taken off.
std::string text_of(const HtmlNode& node);
// As HTML, at most `most` octets.
std::string outer_html(const HtmlNode& node, std::size_t most);

}  // namespace sluice::analysis
