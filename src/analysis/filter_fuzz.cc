// Any octets as a filter: it parses or says where it is wrong; what parses is printed and parsed again to the same; and
// it says of an exchange what it said before, and the opposite with '!' before it.
#include <cstdint>
#include <cstdlib>

#include "analysis/filter.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

class Body : public FilterBodies {
  Result<bool> hold(flow::Direction direction, const TextPattern& pattern) override {
    return pattern.is_in(direction == flow::Direction::kRequest ? "user=ada" : "{\"page\": 1}");
  }
};

flow::Exchange exchange() {
  flow::Exchange made;
  made.method = "GET";
  made.scheme = "https";
  made.host = "example.com";
  made.port = 443;
  made.target = "/a?b=c";
  made.status = 200;
  made.request.head = "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n";
  made.response.head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
  made.request.body = made.response.body = {.size = 8, .stored = 8};
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto expression = FilterExpression::parse(text);
  if (!expression) {
    require(!expression.error().message.empty());
    return 0;
  }
  static const flow::Exchange seen = exchange();
  Body bodies;
  const bool holds = *expression->matches(seen, nullptr, bodies);
  const std::string printed = expression->text();
  if (printed.size() + 3 > kMaxFilterText) return 0;  // quotes and names made it longer
  const auto again = FilterExpression::parse(printed);
  require(again && again->text() == printed);
  require(*again->matches(seen, nullptr, bodies) == holds);
  if (const auto opposite = FilterExpression::parse("!(" + printed + ")")) {
    require(*opposite->matches(seen, nullptr, bodies) != holds);
  }
  return 0;
}
