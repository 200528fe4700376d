// A stream of events is read whole and in pieces. Properties: nothing crashes; how the octets are cut changes nothing;
// data holds no line end but LF and is never beyond the limit; an id can be sent back in a field.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mcp/sse_reader.h"

namespace sluice::mcp {
namespace {

constexpr ByteCount kMost = 256;

void require(bool property) {
  if (!property) std::abort();
}

std::string read(Bytes octets, std::size_t slice) {
  SseReader reader(kMost);
  std::string seen;
  while (!octets.empty()) {
    Bytes part = octets.substr(0, slice);
    octets.remove_prefix(part.size());
    while (!part.empty()) {
      const auto event = reader.next(part);
      if (!event) return seen + "too large";
      if (!*event) continue;
      require(!(*event)->data.empty() && (*event)->data.find('\r') == std::string::npos);
      require((*event)->data.size() + (*event)->type.size() <= kMost + 1);
      seen += (*event)->type + "|" + (*event)->data + "\n";
    }
  }
  for (const char c : reader.last_event_id()) require(c >= 0x20 && c <= 0x7E);
  seen += reader.last_event_id();
  if (reader.retry()) seen += std::to_string(reader.retry()->count());
  return seen;
}

}  // namespace
}  // namespace sluice::mcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::mcp;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t slice = 1 + static_cast<unsigned char>(text.front()) % 16;
  const std::string_view octets = text.substr(1);
  require(read(octets, octets.size()) == read(octets, slice));
  return 0;
}
