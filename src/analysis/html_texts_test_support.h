// Whether a page is the same tree when its texts stand aside, for tests.
#pragma once

#include <string>

#include "analysis/html.h"

namespace sluice::analysis {

// Each element and text in a line of its own; in one line: why there is none.
inline std::string tree_of(std::string_view html, bool texts_aside) {
  const auto page = HtmlPage::parse(html, {}, texts_aside);
  if (!page) return page.error().message;
  std::string out;
  for (const HtmlNode* node = &page->root(); node; node = next_inside(page->root(), *node)) {
    for (const HtmlNode* at = node->parent; at; at = at->parent) out += ' ';
    out += node->is_element() ? "<" + std::string(node->name) : ":" + std::string(node->text);
    for (const auto& [name, value] : node->attributes) out += " " + std::string(name) + "=" + std::string(value);
    out += '\n';
  }
  return out;
}

}  // namespace sluice::analysis
