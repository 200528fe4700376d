// Calls that wait for a person, in state.db: a decision by any process reaches the waiting one (gate.md 5). An approval
// is for one call, whose digest it holds, of one grant; it is used once and ends at its time whatever was decided.
// One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/gate_db.h"

namespace sluice::gateway {

struct Approval {
  std::string id;  // no secret: the caller is told
  std::string grant, server, tool;
  std::string digest;     // of the call (approval_digest)
  std::string rule;       // that asks
  std::string message;    // the rule's
  std::string arguments;  // all of them, as JSON; empty once nobody has to look at them any more
  std::int64_t created_ms = 0, expires_ms = 0;
  std::string status = "pending";  // then approved or denied; used; void: its grant ended
  std::string approver;            // "admin"
  std::int64_t decided_ms = 0;

  bool is_open(std::int64_t now_ms) const { return status == "pending" && now_ms < expires_ms; }
};

// SHA-256 over what is approved, each part with its length in front; `arguments` canonical (policy/canonical.h),
// `rules` the texts of the rules that ask.
std::string approval_digest(std::string_view server, std::string_view tool, std::string_view arguments,
                            std::string_view grant, std::string_view rules);

class ApprovalStore {
 public:
  static constexpr std::size_t kMostOfGrant = 16, kMost = 256;  // that wait
  static constexpr std::size_t kMostArguments = 64 * 1024;      // octets; nobody approves what cannot be looked at

  explicit ApprovalStore(GateDb& db) : db_(db) {}

  Result<std::int64_t> revision() { return db_.revision(GateDb::Part::kApprovals); }
  enum class State { kPending, kApproved, kDenied, kFull };
  struct Asked {
    State state = State::kPending;
    Approval approval;  // the one that stands for this call; of kFull: none
    bool is_new = false;
  };
  // What is known of this call. Identical ones are one.
  Result<Asked> ask(const Approval& wanted, std::int64_t now_ms);
  // True once: for whoever runs the call.
  Result<bool> use(const std::string& id, std::int64_t now_ms);

  // kNotFound; kConflict: decided already; kTimeout: too late.
  Result<Approval> decide(const std::string& id, bool approve, const std::string& approver, std::int64_t now_ms);
  Result<std::vector<Approval>> load();  // newest last
  Result<Approval> find(const std::string& id);

 private:
  Result<std::vector<Approval>> select(const std::string& where, const std::string& text);
  Result<std::size_t> count(const std::string& where, const std::string& text, std::int64_t now_ms);
  Status make_room(std::int64_t now_ms);
  Status insert(const Approval& approval);

  GateDb& db_;
};

}  // namespace sluice::gateway
