// Calls that wait for a person: a decision by any process reaches the waiting one (gate.md 5). An approval is for one
// call, whose digest it holds, of one grant; it is used once and ends at its time whatever was decided. Over rows
// wherever they lie (gate_rows.h, whose errors these are, and those named below). One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/gate_rows.h"

namespace sluice::gateway {

// SHA-256 over what is approved, each part with its length in front; `arguments` canonical (policy/canonical.h),
// `rules` the texts of the rules that ask.
std::string approval_digest(std::string_view server, std::string_view tool, std::string_view arguments,
                            std::string_view grant, std::string_view rules);

class ApprovalStore {
 public:
  static constexpr std::size_t kMostOfGrant = 16, kMost = 256;  // that wait
  static constexpr std::size_t kMostArguments = 64 * 1024;      // octets; nobody approves what cannot be looked at

  explicit ApprovalStore(GateRows& state) : state_(state) {}

  Result<std::int64_t> revision() { return state_.revision(GateRows::Part::kApprovals); }
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

  // kConflict: decided already; kTimeout: too late.
  static Status may_decide(const Approval& approval, std::int64_t now_ms);
  // kNotFound, and the same.
  Result<Approval> decide(const std::string& id, bool approve, const std::string& approver, std::int64_t now_ms);
  Result<std::vector<Approval>> waiting(std::int64_t now_ms);  // whole, newest last
  Result<std::size_t> count_waiting(std::int64_t now_ms);
  Result<Approval> find(const std::string& id);

 private:
  // What is known of this call, or that it does not fit; nullopt: neither, so it may begin to wait.
  Result<std::optional<Asked>> look(const Approval& wanted, std::int64_t now_ms);
  GateRows& state_;
};

}  // namespace sluice::gateway
