// The servers of `sluice gateway --config FILE`: the `mcpServers` of MCP clients, with a policy each (docs/gateway.md).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sluice::app {

struct GatewayServer {
  std::string name;
  std::vector<std::string> command;                         // a program of ours,
  std::vector<std::string> environment;                     // NAME=value; secrets
  std::string url;                                          // or where it is,
  std::vector<std::pair<std::string, std::string>> fields;  // with these in each request; secrets
  std::string policy;                                       // a path; empty: none of its own
  std::string pins;                                         // off, warn or enforce; empty: as its policy says
  std::string isolation;                                    // session, grant or shared; empty: as --isolation says
};

constexpr std::size_t kMaxGatewayServers = 64;

// gate.md 9; `sluice` is our own tools' name.
bool is_server_name(std::string_view name);

// In the order of the file. kInvalid: what is not understood, by its path in the document; no value is ever said.
// A relative `policy` is beneath `folder`.
Result<std::vector<GatewayServer>> parse_gateway_servers(const Json& document, const std::string& folder);

// The same of a file that others cannot write, and cannot read if there are `env` or `headers` (kRefused).
Result<std::vector<GatewayServer>> read_gateway_servers(const std::string& path);

}  // namespace sluice::app
