// The entries that flags and config.yaml make (engine.md 6).
#pragma once

#include "proxy/engine.h"

namespace sluice::proxy {

// From --passthrough, --upstream-client-cert, --upstream-insecure, --keep-alt-svc and --host-options. kInvalid, kIo,
// kConflict: one sentence that names the flag.
Status start_host_options(HostOptionsStore& store, const EngineOptions& options);

}  // namespace sluice::proxy
