// A page is the same tree whether its texts stand aside or not.
#include <cstdint>
#include <cstdlib>

#include "analysis/html_texts_test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::analysis;
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  if (tree_of(page, true) != tree_of(page, false)) std::abort();
  return 0;
}
