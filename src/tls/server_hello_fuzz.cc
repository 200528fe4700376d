// Never a crash; however the octets are cut, the same hello is found or none.
#include <cstdlib>

#include "tls/server_hello_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::tls;
  const sluice::Bytes octets(reinterpret_cast<const char*>(data), size);
  ServerHelloReader whole;
  whole.feed(octets);
  if (whole.hello() && !whole.done()) std::abort();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    ServerHelloReader reader;
    for (std::size_t at = 0; at < size; at += piece) reader.feed(octets.substr(at, piece));
    // Beyond the limit it depends on where it was when it gave up.
    if (size > 16 * 1024) continue;
    if (reader.done() != whole.done() || reader.hello().has_value() != whole.hello().has_value()) std::abort();
    if (reader.hello() && reader.hello()->cipher_suite != whole.hello()->cipher_suite) std::abort();
  }
  return 0;
}
