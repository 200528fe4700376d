// --host-options, and the map of the same name in config.yaml (docs/tls.md).
#pragma once

#include <string>
#include <utility>

#include "proxy/host_options.h"

namespace sluice::app {

// `HOST={tls: passthrough, …}`: what is behind the first '=' is a YAML map (JSON is one, too). kInvalid, naming the
// flag.
Result<std::pair<std::string, proxy::HostOptions>> parse_host_options(const std::string& text);

}  // namespace sluice::app
