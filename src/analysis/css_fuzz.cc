// A line that is a selector, then a page: both are taken apart or refused; what is found is written again as HTML.
#include <cstdint>
#include <cstdlib>

#include "analysis/css.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::analysis;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const auto selector = CssSelector::parse(text.substr(0, line));
  if (line == std::string_view::npos) return 0;
  int asked = 0;
  const auto page = HtmlPage::parse(text.substr(line + 1), [&asked] { return ++asked > 1'000; });
  if (!page || !selector) return 0;
  const CssFound found = selector->find(*page, 20);
  if (found.elements.size() > 20) std::abort();
  for (const HtmlNode* node : found.elements) {
    (void)text_of(*node);
    if (outer_html(*node, 1'000).size() > 1'000) std::abort();
  }
  return 0;
}
