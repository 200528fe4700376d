// Any octets: no crash, nothing deeper or wider than the limits, and what was parsed is written and read back the same.
#include <cstdint>
#include <cstdlib>

#include "base/json.h"
#include "base/text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t depth_of(const sluice::Json& value) {
  std::size_t deepest = 0;
  if (!value.is_structured()) return 0;
  for (const auto& member : value) deepest = std::max(deepest, depth_of(member));
  return deepest + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const JsonLimits limits{.max_depth = 8, .max_members = 16};
  const auto strict = parse_json(text, limits);
  const auto lenient = parse_json(text, {.max_depth = 8, .max_members = 16, .refuse_duplicate_keys = false});
  if (!strict) {
    require(strict.error().code == Code::kInvalid || strict.error().code == Code::kTooLarge);
    if (lenient) require(dump_json(*lenient).size() <= 32 * size + 32);
    return 0;
  }
  require(is_utf8(text));
  require(lenient.has_value() && *lenient == *strict);
  require(depth_of(*strict) <= limits.max_depth);
  for (JsonStyle style : {JsonStyle::kCompact, JsonStyle::kIndented}) {
    const std::string written = dump_json(*strict, style);
    const auto again = parse_json(written, limits);
    require(again.has_value() && *again == *strict && dump_json(*again, style) == written);
  }
  return 0;
}
