// Any octets are a HAR file or none: the same entries however they are cut, and each of them an exchange or an error.
// What is written as lines of a head are the lines of the head.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "analysis/har_entries.h"
#include "analysis/har_read.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Read {
  bool whole = false;
  std::vector<std::string> texts;
};

Read read(Bytes text, std::size_t step) {
  HarEntries entries(10'000);
  Read out;
  bool good = true;
  for (; good && !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    const std::string piece(text.substr(0, step));
    good = entries.feed(piece).has_value();
    while (auto entry = entries.next()) out.texts.push_back(entry->too_large ? "" : entry->text);
  }
  out.whole = good && entries.finish().has_value();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes text(reinterpret_cast<const char*>(data), size);
  const Read whole = read(text, SIZE_MAX), slow = read(text, 1);
  require(whole.whole == slow.whole);
  if (whole.whole) require(whole.texts == slow.texts);
  for (const std::string& one : whole.texts) {
    const auto entry = read_har_entry(one, WallTime{});
    if (!entry) continue;
    for (const std::string* head : {&entry->loaded.exchange.request.head, &entry->loaded.exchange.response.head}) {
      require(head->empty() || head->find("\r\n\r\n") == head->size() - 4);
      require(static_cast<std::size_t>(std::count(head->begin(), head->end(), '\n')) ==
              static_cast<std::size_t>(std::count(head->begin(), head->end(), '\r')));
    }
  }
  return 0;
}
