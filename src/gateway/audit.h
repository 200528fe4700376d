// The audit log: one JSON line before a call runs (`decision`) and one after (`outcome`), same request id; a decision
// without outcome is an unknown outcome. Names of arguments are kept, values never: only a keyed HMAC of them, by
// which equal calls can be seen to be equal. gate.md 8, policy.md 1.9.
//
// Lines hang together (audit_chain.h). Each process writes files of its own, `<directory>/<number>-<pid>.jsonl`, 0600
// and locked while they are written; numbers are given under a lock and have no gaps. Whoever verifies: audit_verify.h.
// Thread-safety: one thread at a time (the control thread).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/json.h"
#include "base/result.h"
#include "gateway/audit_chain.h"
#include "gateway/audit_key.h"
#include "gateway/digest.h"

namespace sluice::gateway {

class AuditLog {
 public:
  struct Options {
    std::string directory;  // made if absent
    std::string key_file;   // made if absent; beside it `<key_file>.pub`
    int pid = 0;
    ByteCount file_size = 64 * kMiB;   // then the next file begins
    ByteCount total_size = 10 * kGiB;  // of all files: no call runs beyond; 0: no bound
    bool required = true;              // no log, no call; else calls run and lost() counts
    // Each signed line, for those who keep them elsewhere: {"file", "seq", "hash", "signature", "time"}.
    std::function<void(const Json& head)> on_head;
  };
  static Result<std::unique_ptr<AuditLog>> create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                  Options options);
  ~AuditLog();  // writes the signed end

  struct DecisionRecord {
    std::string_view id, grant, session, server, method, tool;
    const Json* arguments = nullptr;      // effective
    std::string_view decision = "allow";  // or "deny", "would_deny" (monitor mode)
    std::string_view rule, message;
    std::uint64_t policy_revision = 0;
    std::string_view approval, approver;  // its id, and whose decision let the call pass
    bool has_outcome = true;              // nothing runs behind it: no outcome will follow

    // What a person did, as `owner`. `approver`: empty, or "admin" where the credential was shown. Keeps views of all.
    static DecisionRecord by_person(std::string_view id, std::string_view method, std::string_view subject,
                                    std::string_view decision, std::string_view rule, std::string_view approval,
                                    std::string_view approver);
  };
  // Must succeed before the call runs: no log, no call.
  Status append(const DecisionRecord& record);

  struct OutcomeRecord {
    std::string_view id;
    std::string_view status;  // "ok", "error", "cancelled", "timeout"
    Duration latency{};
    ByteCount bytes = 0;      // of the answer
    std::string_view rule{};  // that withheld the answer; "/egress": that refused what the call sent
    int http_status = 0;      // of another server that answered with nothing else; 0: none
    int error_code = 0;       // of the JSON-RPC error that the call ended with; 0: none
  };
  // The call has run: a failure is counted and reported by lost().
  void append(const OutcomeRecord& record);

  // Denials that have no line each, because there were too many: one line for all of a grant.
  struct SummaryRecord {
    std::string_view grant, rule;  // of the last of them
    std::uint64_t count = 0;
    WallTime since{};
  };
  void append(const SummaryRecord& record);
  // Anything else that belongs in the log, {"type": …, …}; the link is put behind it.
  Status append_event(Json event);

  // Signs what is new since the last time and writes it through to the disk: each second.
  void checkpoint();

  std::uint64_t lost() const { return lost_; }
  const std::string& path() const { return chain_.path; }

 private:
  enum class Signed { kNo, kYes };
  enum class Room { kNeeded, kLeft };  // whether the bound of all files counts
  struct Chain {
    std::unique_ptr<File> file;
    std::string path, name;
    ChainHash last{};
    std::uint64_t seq = 0;  // of the next line
    ByteCount size = 0;
    bool torn = false;   // the last line is not whole and could not be taken back
    bool fresh = false;  // there are lines that no signature covers
  };
  AuditLog(FileSystem& files, const Clock& clock, Options options, AuditKey key, std::string run);

  Status write(Json line, Room room);
  Status write_line(Chain& chain, Json content, Signed how);
  Status write_lost();
  Status open_file(std::string_view reason);  // with the folder locked
  Status open_next(std::string_view reason);
  Status mend();
  void rotate();
  Result<Json> describe_newest(const std::vector<std::string>& names);
  void tell_head(const Chain& chain, const LinkedLine& line, const Json& content);
  std::string keyed_hash(std::string_view octets);

  FileSystem& files_;
  const Clock& clock_;
  const Options options_;
  const AuditKey key_;
  KeyedSha256 arguments_key_;
  const std::string run_;  // of this process's files
  Chain chain_;
  ByteCount total_ = 0;      // of all files, others' as they were when this one was begun
  ByteCount rotate_at_ = 0;  // octets of this file
  std::uint64_t lost_ = 0, lost_told_ = 0;
};

}  // namespace sluice::gateway
