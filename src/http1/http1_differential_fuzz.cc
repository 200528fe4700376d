// Beside another reader of HTTP/1: where both take the octets, both see the same message, and the same octets after it.
// What two readers see in two ways is how requests are smuggled. The first octet says whether it is a request or an
// answer.
#include <cstdlib>
#include <iostream>

#include "http1/http1.h"
#include "http1/test_second_reader.h"

namespace {

using namespace sluice;
using namespace sluice::http1;

template <class Head, bool kIsRequest, class Reader>
void compare(Reader& reader, Bytes octets) {
  http::AnomalySet anomalies = 0;
  auto mine = ours<Head>(reader, octets, &anomalies);
  if (!mine || known_difference(anomalies)) return;
  auto other = theirs<kIsRequest>(octets);
  if (!other) return;
  sorted(*mine);
  sorted(*other);
  if (*mine == *other) return;
  std::cerr << "ours   " << *mine << "\ntheirs " << *other << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 4096) return 0;
  const Bytes octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    RequestReader reader{HttpLimits{}};
    compare<http::RequestHead, true>(reader, octets);
  } else {
    ResponseReader reader{HttpLimits{}};
    reader.begin("GET");
    compare<http::ResponseHead, false>(reader, octets);
  }
  return 0;
}
