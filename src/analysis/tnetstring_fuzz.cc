// Any octets are a flow file or none: the same values however they are cut, each of them parsed or refused, and what is
// an exchange has heads of its own lines only.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "analysis/flow_file.h"
#include "analysis/tnetstring.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<std::string> read(Bytes text, std::size_t step, bool& whole) {
  TnetValues values(100'000);
  std::vector<std::string> found;
  whole = true;
  for (; whole && !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    const std::string piece(text.substr(0, step));
    whole = values.feed(piece).has_value();
    while (auto value = values.next()) found.push_back(*std::move(value));
  }
  whole = whole && values.finish().has_value();
  return found;
}

std::size_t depth_of(const TnetValue& value) {
  std::size_t deepest = 0;
  for (const TnetValue& item : value.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes text(reinterpret_cast<const char*>(data), size);
  bool whole = false, slowly = false;
  const auto values = read(text, SIZE_MAX, whole), slow = read(text, 1, slowly);
  require(whole == slowly);
  require(values == slow);
  for (const std::string& one : values) {
    if (const auto value = parse_tnet(one)) require(depth_of(*value) <= 33);
    const auto flow = read_flow(one);
    if (!flow || !*flow) continue;
    for (const std::string* head : {&(*flow)->exchange.request.head, &(*flow)->exchange.response.head}) {
      require(head->empty() || head->find("\r\n\r\n") == head->size() - 4);
    }
  }
  return 0;
}
