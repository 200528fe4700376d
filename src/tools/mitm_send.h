// How the toolset `mitmproxy` sends: to where the scope lets it (analysis.md), and waiting for the answer. Private to
// this folder.
#pragma once

#include "flow/exchange.h"
#include "proxy/sender.h"
#include "tools/mitm_subjects.h"

namespace sluice::tools {

// Where requests may go while no scope is set.
enum class WithoutScope { kOwnOrigin, kLoopback };
// kRefused: not there; the sentence says what to set.
Status check_target(const flow::Exchange& exchange, const proxy::SendRequest& request, WithoutScope otherwise,
                    const CallContext& context);
// Within the call's time. kCancelled: the caller gave up.
Result<proxy::SendResult> send_and_wait(proxy::SendRequest request, const CallContext& context);

}  // namespace sluice::tools
