// The audit log: one JSON line before a call runs (`decision`) and one after (`outcome`), same request id; a decision
// without outcome is an unknown outcome. Names of arguments are kept, values never: only a keyed HMAC of them, by
// which equal calls can be seen to be equal. One file for each process, `<home>/audit/<pid>-<start>.jsonl`, 0600.
// gate.md 8, policy.md 1.9.
// Thread-safety: one thread at a time (the control thread).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice::gateway {

class AuditLog {
 public:
  struct Options {
    std::string directory;  // made if absent
    int pid = 0;
    std::string key;  // of the HMAC, 32 octets; empty: made at random, so equal only within this file
  };
  static Result<std::unique_ptr<AuditLog>> create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                  Options options);

  struct DecisionRecord {
    std::string_view id, grant, session, server, method, tool;
    const Json* arguments = nullptr;      // effective
    std::string_view decision = "allow";  // or "deny", "would_deny" (monitor mode)
    std::string_view rule, message;
    std::uint64_t policy_revision = 0;
    std::string_view approval, approver;  // its id, and whose decision let the call pass
  };
  // Must succeed before the call runs: no log, no call.
  Status append(const DecisionRecord& record);

  struct OutcomeRecord {
    std::string_view id;
    std::string_view status;  // "ok", "error", "cancelled", "timeout"
    Duration latency{};
    ByteCount bytes = 0;  // of the answer
  };
  // The call has run: a failure is counted and reported by lost().
  void append(const OutcomeRecord& record);

  std::uint64_t lost() const { return lost_; }
  const std::string& path() const { return path_; }

 private:
  AuditLog(const Clock& clock, std::unique_ptr<File> file, std::string path, std::string key);
  Status write(const Json& line);
  std::string keyed_hash(std::string_view octets) const;

  const Clock& clock_;
  std::unique_ptr<File> file_;
  std::string path_, key_;
  ByteCount size_ = 0;
  bool torn_ = false;  // the last line is not whole and could not be taken back
  std::uint64_t lost_ = 0;
};

}  // namespace sluice::gateway
