// What a client of a 2026-07-28 server writes beside a body: Mcp-Method, Mcp-Name, and Mcp-Param-* for the properties
// that a tool's schema marks with `x-mcp-header`. The other half of http_rules.h. Pure; thread-safe. MCP 2026-07-28
// "Streamable HTTP: Request Metadata".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "mcp/http_rules.h"

namespace sluice::mcp {

// As a field's value: as it stands, or in base64 where it could not stand so, or would be read as base64.
std::string encode_header_value(std::string_view value);

struct ParamHeader {
  std::string field;              // "Mcp-Param-Region"
  std::vector<std::string> path;  // of the argument
};
// Of a tool's inputSchema. kInvalid with the reason: the tool must not be used over HTTP.
Result<std::vector<ParamHeader>> find_param_headers(const Json& schema);

using HeaderFields = std::vector<std::pair<std::string, std::string>>;
// The version, the method, the name and the parameters of one modern request; a parameter that is absent, null or of a
// type that no header can say is left out.
HeaderFields modern_headers(std::string_view method, const Json& params, std::span<const ParamHeader> marked);

// Whether the fields of a tools/call say of these parameters what its body says (MCP 2026-07-28 "Server Behavior for
// Custom Headers"); the reason otherwise.
Status check_param_headers(const Json& params, std::span<const ParamHeader> marked,
                           std::span<const HeaderField> fields);

}  // namespace sluice::mcp
