// Who may act, as rows: the admin credential's hash, grants, approvals and pins, shared by any number of processes, and
// a revision of each part that tells them that it changed. Where the rows lie is an implementation's (gate_db.h:
// state.db of a home; redis_state.h: several machines); what they mean is said once, by the stores on top
// (grant_store.h, approval_store.h, pin_store.h). Looking makes nothing: where nothing was written yet there are no
// rows. Changes are as durable as the implementation says before they are answered. One thread at a time. Errors: kIo,
// kConflict (another version's), kUnavailable and kRefused (it cannot be used now, or as it is); one sentence each,
// which callers may read. gate.md 2, 5, 6.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::gateway {

struct Grant {
  std::string name;
  std::string server = "sluice";
  std::string policy;             // an absolute path; empty: none, so every call is denied
  std::string hash;               // of its token (credential.h); empty: made for stdio, without one
  std::string old_hash;           // of the token before a rotation, which is good until
  std::int64_t old_until_ms = 0;  // then
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0, revoked_ms = 0;  // 0: not
  bool stdio = false;

  bool is_live(std::int64_t now_ms) const { return revoked_ms == 0 && (expires_ms == 0 || now_ms < expires_ms); }
};

struct Approval {
  std::string id;  // no secret: the caller is told
  std::string grant, server, tool;
  std::string digest;     // of the call (approval_digest)
  std::string rule;       // that asks
  std::string message;    // the rule's
  std::string arguments;  // all of them, as JSON; empty once nobody has to look at them any more
  std::int64_t created_ms = 0, expires_ms = 0;
  std::string status = "pending";  // then approved or denied; used; expired; void: its grant ended
  std::string approver;            // "admin"
  std::int64_t decided_ms = 0;

  bool is_open(std::int64_t now_ms) const { return status == "pending" && now_ms < expires_ms; }
  // Whether it still says something about its call, before its time ends.
  bool is_live() const { return status == "pending" || status == "approved" || status == "denied"; }
};

struct Pin {
  std::string server, target, tool;
  std::string accepted;  // the text that was agreed to; empty: none
  std::string seen;      // the newest one
  std::string rejected;  // the one that was refused; empty: none
  std::int64_t changed_ms = 0;
  bool is_quarantined() const { return accepted != seen; }
};

class GateRows {
 public:
  virtual ~GateRows() = default;

  enum class Part { kGrants, kApprovals, kPins };
  // How often the part has changed, by any process.
  virtual Result<std::int64_t> revision(Part part) = 0;

  virtual Result<std::vector<Grant>> grants() = 0;  // by name
  virtual Result<std::string> admin_hash() = 0;     // empty: there is none
  // The one of the grant that is live (Approval::is_live) and ends after that, of the call with this digest; whole.
  virtual Result<std::optional<Approval>> standing_approval(const std::string& grant, const std::string& digest,
                                                            std::int64_t after_ms) = 0;
  // How many are pending and end after that.
  struct Waiting {
    std::size_t of_grant = 0, of_all = 0;
  };
  virtual Result<Waiting> count_waiting(const std::string& grant, std::int64_t after_ms) = 0;
  // All that are live and end after that; oldest first.
  enum class Arguments { kWithout, kWith };
  virtual Result<std::vector<Approval>> live_approvals(std::int64_t after_ms, Arguments arguments) = 0;
  virtual Result<std::optional<Approval>> approval(const std::string& id) = 0;  // whole
  // By server, target and tool; an empty name stands for any.
  virtual Result<std::vector<Pin>> pins(const std::string& server, const std::string& target) = 0;

  // `work`, which answers a Status or a Result, as one change: what it reads is what is there when all that it puts
  // becomes true, or it fails and nothing has happened. It may be called again where another process was faster, so it
  // has no other effects; what it put it does not read again. What it puts counts as a change of `tells`, if any.
  template <class Work>
  auto change(std::optional<Part> tells, const Work& work) -> decltype(work()) {
    std::optional<decltype(work())> done;
    Status ended = transact(tells, [&]() -> Status {
      done.emplace(work());
      return done->has_value() ? Status() : fail(done->error());
    });
    if (!ended) return fail(std::move(ended).error());
    return *std::move(done);
  }

  // Within a change alone: the row in place of that of its name, its id, or its server, target and tool; without it.
  virtual Status put(const Grant& grant) = 0;
  virtual Status put(const Approval& approval) = 0;
  virtual Status put(const Pin& pin) = 0;
  virtual Status erase(const Pin& pin) = 0;
  virtual Status put_admin_hash(const std::string& hash) = 0;
  // Within a change: approvals whose time is over lose their arguments and are `expired`, unless they were denied or
  // used; those for longer than `kept_ms` may go.
  virtual Status retire_approvals(std::int64_t now_ms, std::int64_t kept_ms) = 0;

 protected:
  virtual Status transact(std::optional<Part> tells, const std::function<Status()>& work) = 0;
};

}  // namespace sluice::gateway
