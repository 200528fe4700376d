// Any octets as a multipart body: parts lie inside it, in order, and never hold the boundary's line.
#include <cstdint>
#include <cstdlib>

#include "analysis/multipart.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  if (size < 2) return 0;
  const std::size_t length = 1 + data[0] % 4;
  const Bytes all(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view boundary = all.substr(0, length);
  const Bytes body = all.substr(boundary.size());
  (void)analysis::field_parameter(all, "name");
  const auto multipart = analysis::parse_multipart(body, boundary);
  if (!multipart) return 0;
  require(multipart->parts.size() <= analysis::kMostParts);
  const char* at = body.data();
  for (const auto& part : multipart->parts) {
    for (const Bytes piece : {part.head, part.content}) {
      if (piece.empty()) continue;
      require(piece.data() >= at && piece.data() + piece.size() <= body.data() + body.size());
      at = piece.data() + piece.size();
    }
  }
  return 0;
}
