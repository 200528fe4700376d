#include "app/audit_open.h"

#include <syslog.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace sluice::app {
namespace {

// Empty for an empty `where`.
Result<std::function<void(const Json& head)>> keep_heads(const std::string& where, FileSystem& files, Log& log) {
  if (where.empty()) return std::function<void(const Json&)>();
  if (where == "syslog") {
    return [](const Json& head) { ::syslog(LOG_AUTH | LOG_INFO, "sluice audit head %s", dump_json(head).c_str()); };
  }
  SLUICE_TRY(auto opened, files.open(absolute_path(where), OpenMode::kAppend));
  return [file = std::shared_ptr<File>(std::move(opened)), &log](const Json& head) {
    const Status written = file->append(dump_json(head) + "\n");
    if (!written) log.error("audit_head", {{"reason", written.error().message}});
  };
}

}  // namespace

Result<std::unique_ptr<gateway::AuditLog>> open_audit(const EngineConfig& config, const Home& home, FileSystem& files,
                                                      const Clock& clock, Entropy& entropy, Log& log) {
  gateway::AuditLog::Options options;
  options.directory = home.audit();
  options.key_file = home.audit_key();
  options.pid = ::getpid();
  options.total_size = config.audit_max_mb * kMiB;
  options.required = !config.audit_optional;
  SLUICE_TRY(options.on_head, keep_heads(config.audit_head, files, log));
  return gateway::AuditLog::create(files, clock, entropy, std::move(options));
}

}  // namespace sluice::app
