#include "analysis/css.h"

#include <algorithm>

#include "analysis/css_node.h"
#include "analysis/css_parse.h"
#include "base/text.h"

namespace sluice::analysis {
namespace css {
namespace {

constexpr std::string_view kBlank = " \t\n\r\f";

bool is_same(std::string_view a, std::string_view b, bool any_case) { return any_case ? iequals(a, b) : a == b; }

bool has_word(std::string_view words, std::string_view wanted, bool any_case) {
  if (wanted.empty()) return false;
  while (!words.empty()) {
    const std::size_t begin = words.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return false;
    words.remove_prefix(begin);
    const std::size_t end = std::min(words.find_first_of(kBlank), words.size());
    if (is_same(words.substr(0, end), wanted, any_case)) return true;
    words.remove_prefix(end);
  }
  return false;
}

bool attribute_matches(const Simple& test, std::string_view value) {
  const std::string_view wanted = test.value;
  const auto part = [&](std::size_t at) { return is_same(value.substr(at, wanted.size()), wanted, test.any_case); };
  const bool fits = !wanted.empty() && value.size() >= wanted.size();
  switch (test.test) {
    case Test::kHas:
      return true;
    case Test::kEquals:
      return is_same(value, wanted, test.any_case);
    case Test::kWord:
      return has_word(value, wanted, test.any_case);
    case Test::kDash:
      return is_same(value, wanted, test.any_case) ||
             (value.size() > wanted.size() && value[wanted.size()] == '-' && part(0));
    case Test::kPrefix:
      return fits && part(0);
    case Test::kSuffix:
      return fits && part(value.size() - wanted.size());
    case Test::kPart:
      return fits && (test.any_case ? ifind(value, wanted) : value.find(wanted)) != std::string_view::npos;
    default:
      return false;
  }
}

bool is_form_control(const HtmlNode& node) {
  return node.name == "input" || node.name == "button" || node.name == "select" || node.name == "textarea" ||
         node.name == "option" || node.name == "optgroup" || node.name == "fieldset";
}

bool is_checked(const HtmlNode& node) {
  if (node.name == "option") return node.attribute("selected") != nullptr;
  const std::string_view* const type = node.attribute("type");
  return node.name == "input" && type && (iequals(*type, "checkbox") || iequals(*type, "radio")) &&
         node.attribute("checked");
}

// `position` (from 1) is step*n + offset for some n >= 0.
bool is_in_formula(const Simple& test, std::int64_t position) {
  const std::int64_t rest = position - test.offset;
  if (test.step == 0) return rest == 0;
  return rest % test.step == 0 && rest / test.step >= 0;
}

bool is_empty(const HtmlNode& node) {
  for (const HtmlNode* child = node.first_child; child; child = child->next) {
    if (child->is_element() || !child->text.empty()) return false;
  }
  return true;
}

class Matcher {
 public:
  explicit Matcher(std::stop_token stop) : stop_(std::move(stop)) {}

  bool ended() const { return ended_; }

  bool matches(const List& list, const HtmlNode& node) {
    return std::any_of(list.selectors.begin(), list.selectors.end(),
                       [&](const Complex& one) { return matches(one, one.parts.size() - 1, node, nullptr); });
  }

 private:
  bool step() {
    if (++steps_ >= kMaxCssSteps) ended_ = true;
    if (steps_ % 65'536 == 0 && stop_.stop_requested()) ended_ = true;
    return !ended_;
  }

  static const HtmlNode* sibling(const HtmlNode& node, bool before) {
    const HtmlNode* one = before ? node.before : node.next;
    while (one && !one->is_element()) one = before ? one->before : one->next;
    return one;
  }

  // From the right to the left. `scope`: what the first part of a relative selector stands to; else null.
  bool matches(const Complex& complex, std::size_t part, const HtmlNode& node, const HtmlNode* scope) {
    if (!step() || !matches(complex.parts[part], node)) return false;
    const Combinator combinator = complex.parts[part].before;
    const auto goes_on = [&](const HtmlNode& other) {
      return part == 0 ? &other == scope : matches(complex, part - 1, other, scope);
    };
    if (part == 0 && !scope) return true;
    switch (combinator) {
      case Combinator::kNone:
        return true;
      case Combinator::kChild:
        return node.parent && goes_on(*node.parent);
      case Combinator::kDescendant:
        for (const HtmlNode* above = node.parent; above && step(); above = above->parent) {
          if (goes_on(*above)) return true;
        }
        return false;
      case Combinator::kNext: {
        const HtmlNode* const before = sibling(node, true);
        return before && goes_on(*before);
      }
      case Combinator::kSibling:
        for (const HtmlNode* before = sibling(node, true); before && step(); before = sibling(*before, true)) {
          if (goes_on(*before)) return true;
        }
        return false;
    }
    return false;
  }

  bool matches(const Compound& compound, const HtmlNode& node) {
    return std::all_of(compound.tests.begin(), compound.tests.end(),
                       [&](const Simple& test) { return step() && matches(test, node); });
  }

  bool matches(const Simple& test, const HtmlNode& node) {
    switch (test.test) {
      case Test::kType:
        return node.name == test.name;
      case Test::kId: {
        const std::string_view* const id = node.attribute("id");
        return id && *id == test.value;
      }
      case Test::kClass: {
        const std::string_view* const classes = node.attribute("class");
        return classes && has_word(*classes, test.value, false);
      }
      case Test::kHas:
      case Test::kEquals:
      case Test::kWord:
      case Test::kDash:
      case Test::kPrefix:
      case Test::kSuffix:
      case Test::kPart: {
        const std::string_view* const value = node.attribute(test.name);
        return value && attribute_matches(test, *value);
      }
      case Test::kNot:
        return !matches(*test.list, node) && !ended_;
      case Test::kIs:
        return matches(*test.list, node);
      case Test::kHasInside:
        return has_inside(*test.list, node);
      case Test::kNth:
      case Test::kNthLast:
      case Test::kNthOfType:
      case Test::kNthLastOfType:
        return is_nth(test, node);
      case Test::kOnlyChild:
        return !sibling(node, true) && !sibling(node, false);
      case Test::kOnlyOfType:
        return count_siblings(node, true, true, nullptr) == 0 && count_siblings(node, false, true, nullptr) == 0;
      case Test::kEmpty:
        return is_empty(node);
      case Test::kRoot:
        return !node.parent;
      case Test::kChecked:
        return is_checked(node);
      case Test::kDisabled:
        return is_form_control(node) && node.attribute("disabled");
      case Test::kEnabled:
        return is_form_control(node) && !node.attribute("disabled");
      case Test::kLink:
        return (node.name == "a" || node.name == "area") && node.attribute("href");
    }
    return false;
  }

  std::int64_t count_siblings(const HtmlNode& node, bool before, bool of_type, const List* chosen) {
    std::int64_t count = 0;
    for (const HtmlNode* one = sibling(node, before); one && step(); one = sibling(*one, before)) {
      if (of_type && one->name != node.name) continue;
      if (chosen && !matches(*chosen, *one)) continue;
      ++count;
    }
    return count;
  }

  bool is_nth(const Simple& test, const HtmlNode& node) {
    if (test.list && !matches(*test.list, node)) return false;
    const bool from_front = test.test == Test::kNth || test.test == Test::kNthOfType;
    const bool of_type = test.test == Test::kNthOfType || test.test == Test::kNthLastOfType;
    // ":first-child" and its like need to see one sibling only.
    if (test.step == 0 && test.offset == 1 && !of_type && !test.list) return !sibling(node, from_front);
    return is_in_formula(test, 1 + count_siblings(node, from_front, of_type, test.list.get()));
  }

  // Some element below it, or behind it, stands to it as a selector of the list says.
  bool has_inside(const List& list, const HtmlNode& node) {
    return std::any_of(list.selectors.begin(), list.selectors.end(), [&](const Complex& one) {
      const Combinator first = one.parts.front().before;
      if (first == Combinator::kChild || first == Combinator::kDescendant) return has_below(one, node, node);
      for (const HtmlNode* next = sibling(node, false); next && step(); next = sibling(*next, false)) {
        if (matches(one, one.parts.size() - 1, *next, &node) || has_below(one, *next, node)) return true;
      }
      return false;
    });
  }

  bool has_below(const Complex& complex, const HtmlNode& top, const HtmlNode& scope) {
    for (const HtmlNode* node = next_inside(top, top); node && step(); node = next_inside(top, *node)) {
      if (node->is_element() && matches(complex, complex.parts.size() - 1, *node, &scope)) return true;
    }
    return false;
  }

  std::stop_token stop_;
  std::size_t steps_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace css

Result<CssSelector> CssSelector::parse(std::string_view text) {
  SLUICE_TRY(css::List list, css::parse_selectors(text));
  return CssSelector(std::make_shared<const css::List>(std::move(list)));
}

CssFound CssSelector::find(const HtmlPage& page, std::size_t most, std::stop_token stop) const {
  css::Matcher matcher(std::move(stop));
  CssFound found;
  found.truncated = page.is_cut();
  for (const HtmlNode* node : page.elements()) {
    if (!matcher.matches(*list_, *node)) {
      if (matcher.ended()) break;
      continue;
    }
    if (found.elements.size() == most) {
      found.truncated = true;
      break;
    }
    found.elements.push_back(node);
  }
  found.truncated = found.truncated || matcher.ended();
  return found;
}

}  // namespace sluice::analysis
