// Any octets are a stream of events: the same ones however they are cut, never more kept than allowed, and none
// invented.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "analysis/events.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<ServerEvent> parse(Bytes body, std::size_t step, ByteCount keep) {
  EventParser parser(keep);
  std::vector<ServerEvent> events;
  while (!body.empty()) {
    const std::string piece(body.substr(0, step));  // of its own size: a view kept too long is found
    body.remove_prefix(piece.size());
    parser.feed(piece);
    while (auto event = parser.next()) events.push_back(*std::move(event));
  }
  if (auto event = parser.finish()) events.push_back(*std::move(event));
  return events;
}

bool same(const ServerEvent& a, const ServerEvent& b) {
  return a.type == b.type && a.data == b.data && a.id == b.id && a.retry_ms == b.retry_ms &&
         a.data_size == b.data_size && a.complete == b.complete;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteCount keep = data[0];
  const std::size_t step = 1 + data[1] % 16;
  const Bytes body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::vector<ServerEvent> whole = parse(body, body.size() + 1, keep), cut = parse(body, step, keep);
  require(std::equal(whole.begin(), whole.end(), cut.begin(), cut.end(), same));
  ByteCount all = 0;
  for (const ServerEvent& event : whole) {
    require(event.data.value_or("").size() <= std::min(keep, event.data_size));
    require(event.complete || &event == &whole.back());
    all += event.data_size;
  }
  require(all <= body.size());
  return 0;
}
