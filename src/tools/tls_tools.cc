// proxy_get_tls_fingerprints (proxy.md h).
#include <fmt/format.h>

#include "tools/exchange_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

ToolResult get_tls_fingerprints(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_id");
  capture::Ring& ring = context.services->ring;
  ring.sync();
  const auto exchange = ring.find(id);
  if (!exchange) return fail(Code::kNotFound, fmt::format("Exchange '{}' not found", id));
  return Json{{"exchange_id", exchange->id}, {"hostname", exchange->host}, {"tls", tls_json(*exchange)}};
}

}  // namespace

std::vector<Tool> tls_tools() {
  return {{
      .name = "proxy_get_tls_fingerprints",
      .title = "TLS fingerprints",
      .summary = "JA3, JA4 and ALPN of the client and JA3S, protocol and cipher of the server for one exchange.",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "From a list.", .required = true}},
      .result = {{"exchange_id", "string", ""},
                 {"hostname", "string", ""},
                 {"tls", "object", "null without TLS", false, true, tls_result()}},
      .function = get_tls_fingerprints,
  }};
}

}  // namespace sluice::tools
