// The audit log of a process, as its command line wants it. Its signed heads may be kept elsewhere, too, so that what
// was cut off can be told: appended to a file, or given to syslog (LOG_AUTH). --audit-head, --audit-max-mb,
// --audit-failure.
#pragma once

#include <memory>

#include "app/config.h"
#include "app/home.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/audit.h"

namespace sluice::app {

// A head that cannot be kept is logged. All but `config` outlive the log.
Result<std::unique_ptr<gateway::AuditLog>> open_audit(const EngineConfig& config, const Home& home, FileSystem& files,
                                                      const Clock& clock, Entropy& entropy, Log& log);

}  // namespace sluice::app
