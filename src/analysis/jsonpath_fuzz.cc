// A line that is a JSONPath, then a document: it parses or says where it is wrong; every value found stands where its
// normalised path says, which is a JSONPath that finds that value alone.
#include <cstdint>
#include <cstdlib>

#include "analysis/jsonpath.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool same(const sluice::analysis::JsonElement& a, const sluice::analysis::JsonElement& b) {
  std::size_t left = std::size_t{1} << 30, right = left;
  return sluice::analysis::to_json(a, left) == sluice::analysis::to_json(b, right);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::analysis;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const auto path = JsonPath::parse(text.substr(0, line));
  if (!path || line == std::string_view::npos) return 0;
  const auto document = JsonDocument::parse(text.substr(line + 1), {.refuse_duplicate_keys = false});
  if (!document) return 0;
  const JsonPathFound found = path->find(*document, {.visits = 10'000, .results = 20, .paths = true});
  require(found.values.size() == found.paths.size() && found.values.size() <= 20);
  for (std::size_t i = 0; i < found.values.size(); ++i) {
    if (found.paths[i].size() > kMaxJsonPath) continue;
    const auto normal = JsonPath::parse(found.paths[i]);
    require(normal.has_value());
    const JsonPathFound again = normal->find(*document, {.paths = true});
    require(again.values.size() == 1 && same(again.values[0], found.values[i]) && again.paths[0] == found.paths[i]);
  }
  return 0;
}
