// What parses is written and parsed again to the same parts; nothing crashes.
#include <cstdlib>

#include "base/url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto url = parse_url(text)) {
    const auto written = to_string(*url);
    const auto again = parse_url(written);
    if (!again || to_string(*again) != written || again->scheme != url->scheme || again->host != url->host ||
        again->port != url->port || again->target != url->target || !is_valid_host(url->host)) {
      std::abort();
    }
  }
  if (const auto where = parse_authority(text, 443)) {
    const auto again = parse_authority(authority_text(where->host, where->port, 443), 443);
    if (!again || *again != *where) std::abort();
  }
  return 0;
}
