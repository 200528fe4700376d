// Tool calls of the command line in a running `serve`: over run/<pid>.sock, as the grant `owner` (engine.md 9).
#pragma once

#include <string>

#include "app/config.h"
#include "app/control_client.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice::app {

// The newest live one of the home, or the one of --pid; several are named on standard error. kNotFound: none runs.
Result<ControlEndpoint> find_serve(const Config& config);

// The tool's result object; a failure's text as an error. Blocks.
Result<Json> call_tool(const ControlEndpoint& serve, const std::string& tool, Json arguments);

}  // namespace sluice::app
