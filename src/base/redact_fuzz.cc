// Any text: no crash, and what was not masked is as it was. Masking twice is masking once, but for text that only looks
// like JSON: where quotes behind backslashes balance nowhere, a mask in place of some of them changes what the others
// may be taken for.
#include <cstdint>
#include <cstdlib>

#include "base/json.h"
#include "base/redact.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  if (size == 0) return 0;
  static SeededEntropy entropy(1);
  static const Redactor redactor(entropy);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto mask = [&](std::string_view from) -> Redacted {
    switch (data[0] % 8) {
      case 0:
        return redactor.mask_body(from, "application/json");
      case 1:
        return redactor.mask_body(from, "application/x-www-form-urlencoded");
      case 2:
        return redactor.mask_body(from, "multipart/form-data; boundary=B");
      case 3:
        return redactor.mask_url(from);
      case 4:
        return redactor.mask_head(from);
      case 5:
        return redactor.mask_header_value("cookie", from);
      case 6:
        return redactor.mask_header_value("authorization", from);
      default:
        return redactor.mask_text(from);
    }
  };
  const Redacted once = mask(text);
  require(once.masked || once.text == text);
  if (text.find('\\') != text.npos && !parse_json(text)) return 0;
  const Redacted twice = mask(once.text);
  require(twice.text == once.text && !twice.masked);
  return 0;
}
