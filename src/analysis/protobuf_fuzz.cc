// Any octets as a protocol buffer: no crash, limits hold, and every view lies inside what was given.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "analysis/protobuf.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t count(const std::vector<ProtoField>& fields, Bytes within, std::size_t depth_left) {
  std::size_t all = fields.size();
  for (const ProtoField& field : fields) {
    require(field.number > 0 && field.number <= 0x1fffffff);
    if (!field.octets.empty()) {
      require(field.octets.data() >= within.data() &&
              field.octets.data() + field.octets.size() <= within.data() + within.size());
    }
    require(field.fields.empty() || field.type == ProtoType::kMessage);
    if (field.fields.empty()) continue;
    require(depth_left > 0);
    all += count(field.fields, field.octets, depth_left - 1);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ProtoLimits limits{.depth = data[0] % 16u, .fields = data[1]};
  const std::string octets(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto fields = parse_protobuf(octets, limits);
  if (fields) require(count(*fields, octets, limits.depth) <= limits.fields);
  return 0;
}
