// Whether an audit log is what was written (gate.md 8): every hash, every signature, every file that another one
// names, and that each call that began has an outcome. What a file alone cannot tell is said, too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "gateway/audit_key.h"

namespace sluice::gateway {

struct AuditFinding {
  std::string file;
  std::uint64_t line = 0;  // from 1; 0: the file as a whole
  std::string what;
};
std::string to_string(const AuditFinding& finding);

struct AuditReport {
  std::vector<AuditFinding> bad;      // tampered with or missing: the first bad line of each file
  std::vector<AuditFinding> torn;     // last lines that are not whole: a process was killed while it wrote
  std::vector<AuditFinding> unknown;  // decisions without an outcome, of processes that are gone
  std::vector<std::string> cannot_know;
  std::uint64_t files = 0, lines = 0, decisions = 0, outcomes = 0, running = 0, lost = 0, unsigned_lines = 0;
};

struct AuditVerification {
  std::string directory;
  std::uint64_t from = 1;   // the number of the first file: those before were moved away
  std::vector<Json> heads;  // kept elsewhere: AuditLog::Options::on_head
  bool have_heads = false;  // even if there are none in them
};
// An error: the folder cannot be read. Memory grows with the calls that have no outcome, not with the lines.
Result<AuditReport> verify_audit(FileSystem& files, const AuditKey& key, const AuditVerification& wanted);

// The heads in a text that was kept elsewhere: one JSON object a line, whatever stands before it (syslog). kInvalid
// where a line that holds an object is none.
Result<std::vector<Json>> read_kept_heads(std::string_view text);

}  // namespace sluice::gateway
