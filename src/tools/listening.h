// How the proxy's listeners are opened and closed by tools (engine.md 9). Private to this folder.
#pragma once

#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

// Opens the listeners, or adopts those that `serve` has. `port` absent: the last one under `serve`, else where this
// process listens by itself, else `usual_port` (0: any free port). What listens then. kConflict: it runs already;
// kUnavailable and others: it could not be opened, and nothing was started.
Result<proxy::EngineStatus> start_listening(CallContext& context, std::optional<std::int64_t> port,
                                            std::uint16_t usual_port = 0);
// For everyone, the transparent one too; what is recorded is sealed. kConflict: it does not run.
Status stop_listening(CallContext& context);

}  // namespace sluice::tools
