// Never a crash; a part of a good header asks for more; what was read is written so that it is read as the same.
#include <cstdlib>

#include "socks/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::socks;
  const Bytes octets(reinterpret_cast<const char*>(data), size);
  const auto whole = parse_proxy_header(octets);
  if (whole && !whole->has_value() && size >= kMaxProxyHeader) std::abort();  // never waits for ever
  if (!whole || !whole->has_value()) return 0;
  const ProxyHeader& header = **whole;
  if (header.size > size || header.size > kMaxProxyHeader) std::abort();
  for (std::size_t cut = 0; cut < header.size; ++cut) {
    const auto part = parse_proxy_header(octets.substr(0, cut));
    if (!part || part->has_value()) std::abort();
  }
  if (!header.addresses) return 0;
  for (const auto& written : {write_proxy_v1(*header.addresses), write_proxy_v2(*header.addresses)}) {
    if (!written) std::abort();
    const auto again = parse_proxy_header(*written);
    if (!again || !again->has_value() || (*again)->addresses != header.addresses) std::abort();
  }
  return 0;
}
