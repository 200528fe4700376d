// Any octets as MessagePack: JSON that prints and parses again, or a reason.
#include <cstdint>
#include <cstdlib>

#include "analysis/binary_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const auto json = analysis::parse_msgpack(Bytes(reinterpret_cast<const char*>(data), size));
  if (!json) {
    if (json.error().message.empty()) std::abort();
    return 0;
  }
  const std::string text = dump_json(*json);
  const auto again = parse_json(text, {.max_members = SIZE_MAX, .refuse_duplicate_keys = false});
  if (!again) std::abort();
  return 0;
}
