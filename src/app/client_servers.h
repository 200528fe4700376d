// The `mcpServers` of an MCP client, rewritten so that each server is reached through the gate, and back
// (docs/gateway.md, "A client's configuration"). Pure: files are gateway_import.cc's.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sluice::app {

struct GatedBy {
  std::string program;  // ours, as an absolute path
  std::string policy;   // an absolute path
  std::string home;     // of --home; empty: none
};

struct ImportedServer {
  std::string name;    // as the client calls it
  std::string server;  // as the gate does
};

// Changes `document`, made by parse_spelled_json(); members keep their order, and unknown ones of programs stay.
// Servers that are behind the gate, and Sluice's own, are left as they are; empty: that is all of them. kInvalid: what
// is not understood, by its path; no value is ever said, and `document` is of no use then.
Result<std::vector<ImportedServer>> import_servers(Json& document, const GatedBy& gate);

// The other way: entries of the gate in `document` become those of `before` again. How many. kInvalid: one is not
// there.
Result<std::size_t> restore_servers(Json& document, const Json& before);

// With the spelling of its numbers, and the indent of `like` (a text; two spaces where it has none).
std::string dump_indented(const Json& value, std::string_view like);

}  // namespace sluice::app
