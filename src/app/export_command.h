// `sluice traffic export`.
#pragma once

#include "app/config.h"
#include "app/serve_calls.h"

namespace sluice::app {

int export_traffic(const Config& config, const ControlEndpoint& serve);

}  // namespace sluice::app
