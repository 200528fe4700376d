// Host options as tools take and answer them, and as config.yaml spells them: {"tls": "passthrough", "min_tls": "1.0"}.
#pragma once

#include "base/json.h"
#include "proxy/host_options.h"

namespace sluice::proxy {

// Strict: kInvalid with one sentence for what is no option (the nearest name is given) or no value of it.
Result<HostOptions> host_options_from_json(const Json& object);
// What the entry names. Paths as they were given; nothing of what the files hold.
Json to_json(const HostOptions& options);

}  // namespace sluice::proxy
