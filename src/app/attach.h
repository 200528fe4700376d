// `sluice mcp --attach [URL]`: a plain bridge from standard input and output to a running `serve`. It understands only
// what it must: the session header of the 2025 eras, and that a line is a message.
#pragma once

#include <string>

#include "app/control_client.h"

namespace sluice::app {

// Until the end of input. The exit code.
int run_attach(const ControlEndpoint& endpoint, const std::string& token);

}  // namespace sluice::app
