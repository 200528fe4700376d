// Audit lines for other programs: a decision and its outcome become one row. Pure; one thread at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.h"

namespace sluice::gateway {

// kJsonl: our own members; kCsv: RFC 4180 with a header line, cells that a spreadsheet would compute disarmed; kOcsf:
// API Activity (6003) of OCSF 1.3 with the security_control profile; kEcs: Elastic Common Schema 8.11.
enum class AuditFormat { kJsonl, kCsv, kOcsf, kEcs };

class AuditExporter {
 public:
  using Write = std::function<void(std::string_view line)>;  // with its end
  AuditExporter(AuditFormat format, Write write);

  // A line of an audit file; of lines that are none of calls nothing becomes. `file`, `line`: where it stands.
  void feed(const Json& content, std::string_view file, std::uint64_t line);
  // Rows of calls that have no outcome (yet).
  void end();

 private:
  void put(const Json& row);
  AuditFormat format_;
  Write write_;
  std::unordered_map<std::string, Json> open_;  // by id
};

// Milliseconds since 1970 of a line's `time`; 0: it is none.
std::int64_t audit_time_ms(const std::string& text);

// One line for people: time, decision, grant, tool, rule, message; or empty for lines without news (checkpoints).
std::string audit_line_text(const Json& content);

}  // namespace sluice::gateway
