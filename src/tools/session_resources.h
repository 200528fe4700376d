// What MCP resources say of one recording (proxy.md d, k): computed from its index, in one pass. Missing sessions are
// errors. Secrets in URLs are masked by whoever presents them, and in `endpoint` here, where no URL is recognised.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "tools/services.h"

namespace sluice::tools {

Result<Json> session_summary(const Services& services, const std::string& id);
Result<Json> session_timeline(const Services& services, const std::string& id);
Result<Json> session_findings(const Services& services, const std::string& id);

struct NamedSession {
  std::string id, name;  // name: may be empty
};
// Newest first.
Result<std::vector<NamedSession>> named_sessions(const Services& services);

}  // namespace sluice::tools
