#include "app/owner_audit.h"

#include <unistd.h>

#include "base/ids.h"

namespace sluice::app {

Result<OwnerAudit> OwnerAudit::begin(FileSystem& files, const Clock& clock, Entropy& entropy, const Home& home,
                                     std::string_view tool, const Json& arguments) {
  auto log = gateway::AuditLog::create(files, clock, entropy,
                                       {.directory = home.audit(), .key_file = home.audit_key(), .pid = ::getpid()});
  if (!log) return fail(Error(log.error()).with_context("No log, no call"));
  OwnerAudit audit(*std::move(log), make_uuid(entropy), clock);
  gateway::AuditLog::DecisionRecord record;
  record.id = audit.id_;
  record.grant = "owner";
  record.server = "sluice";
  record.method = "tools/call";
  record.tool = tool;
  record.arguments = &arguments;
  SLUICE_CHECK(audit.log_->append(record));
  return audit;
}

void OwnerAudit::end(bool good) {
  gateway::AuditLog::OutcomeRecord record;
  record.id = id_;
  record.status = good ? "ok" : "error";
  record.latency = clock_.mono() - began_;
  log_->append(record);
}

}  // namespace sluice::app
