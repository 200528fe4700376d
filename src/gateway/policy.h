// The decision in front of every call, as the dispatcher sees it (gate.md 2, 3): names first, then effective arguments,
// then counters. What a policy says is policy/'s matter; policy_gate.h joins the two.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "policy/result_filter.h"
#include "policy/source.h"
#include "policy/state_store.h"
#include "tools/tool.h"

namespace sluice::gateway {

// Asks the client's user within the call, where its era can (MCP 2025-06-18 and 2025-11-25 `elicitation/create`):
// `answered` gets the client's result, or null where it gave none that can be read; once, not from within, and not
// after the function that is returned was called, which takes the question back.
using AskUser = std::function<std::function<void()>(Json params, std::function<void(Json result)> answered)>;

// Whose call it is. `owner` is the command line over the 0600 socket, never masked and never limited (gate.md 2).
struct Caller {
  std::string grant = "default";
  std::string session;  // legacy session id or connection; empty for stateless calls
  bool unmasked = false;
  bool can_ask_user = false;     // this request's client shows its user a form,
  AskUser ask_user = {};         // while the call waits; empty: it is answered input_required (MCP 2026-07-28)
  std::string tool_prefix = {};  // what stands before the tools' own names where the caller sees them
  std::string credential = {};   // the hash of the token that was shown; empty: none was needed
};

// What is to be judged. `arguments` are effective: parsed, defaults filled in.
struct Subject {
  const Caller& caller;
  std::string_view server;
  std::string_view method;          // "tools/call", "resources/read", …
  std::string_view name;            // the tool's name or the resource's URI
  std::optional<tools::Risk> risk;  // absent: a foreign tool's, see the policy's `risk`
  const Json& arguments;
  std::size_t in_flight = 0;                     // calls of this grant that run
  const policy::Spellings* spellings = nullptr;  // of numbers in `arguments`
  const Json* schema = nullptr;                  // a foreign tool's, for `"args": "closed"`
};

// The key of the question among a result's inputRequests, and of its answer among inputResponses.
inline constexpr std::string_view kQuestion = "approval";

// A call that a person must decide about first.
struct PendingApproval {
  std::string id;
  std::int64_t expires_ms = 0;
  std::chrono::seconds wait{0};                // how long the call may be held
  std::string text;                            // what the caller is told
  std::string question, state;                 // not empty: the caller's own user may decide, and is asked
  std::optional<std::int64_t> decisions = {};  // Policy::decisions() before the look
};

struct Decision {
  bool allow = true;
  std::string rule;         // what decided: a JSON pointer or "(default deny)"; empty when allowed
  std::string message;      // what the caller is told; without the "[POLICY DENIED] " in front
  bool as_unknown = false;  // denied, but answered as if there were no such name
  bool would_deny = false;  // allowed only because the policy's mode is monitor
  std::uint64_t revision = 0;
  policy::Reservation reserved;            // of limits; consumed unless given back
  std::string approval;                    // its id, where a person was asked
  std::string approver;                    // who let the call pass
  std::optional<PendingApproval> pending;  // denied only for now
  // What happens to the answer; null: nothing. In monitor mode it is only looked at.
  std::shared_ptr<const policy::ResultFilter> results;
  bool results_observed = false;
  bool handles = false;  // masks in answers are handles (gate.md 7)
};

// Control thread only.
class Policy {
 public:
  virtual ~Policy() = default;
  // Whether lists name this tool.
  virtual bool may_see(const Caller& caller, std::string_view server, std::string_view name,
                       std::optional<tools::Risk> risk) const = 0;
  // Of methods that are no tool calls. What no policy knows is closed under `"default": "deny"`.
  virtual Decision judge_method(const Caller& caller, std::string_view method) const = 0;
  // Of a tool's name, before anything else of the call is read.
  virtual Decision judge_name(const Caller& caller, std::string_view server, std::string_view name,
                              std::optional<tools::Risk> risk) const = 0;
  // Of a tool call whose name passed; reserves.
  virtual Decision decide(const Subject& subject) = 0;
  // The same of whoever may have to ask a store over a network: `decided` is called once, from within where there is
  // nothing to wait for, and the answer is empty then. Else it takes the question back: `decided` is not called, and
  // what is reserved meanwhile is given back. What the subject refers to stays as it is until either.
  using Decided = std::function<void(Decision)>;
  using Withdraw = std::function<void()>;
  virtual Withdraw decide_later(const Subject& subject, Decided decided) {
    decided(decide(subject));
    return {};
  }
  // What a caller's own user answered to the question about this call, before it is decided: the state that was given
  // with it, and the responses. What does not verify changes nothing. False: the state is none of ours.
  virtual bool take_answer(const Subject&, std::string_view /*state*/, const Json& /*responses*/) { return false; }
  // How often what people decide had changed a moment ago: while it is what it was, no call that waits is decided.
  // Absent: it is not known. Cheap, however many calls ask.
  virtual std::optional<std::int64_t> decisions() { return std::nullopt; }
  // What becomes of tools that changed since they were accepted (gate.md 6).
  enum class Pins { kOff, kWarn, kEnforce };
  virtual Pins pins(const Caller&) const { return Pins::kOff; }
  // A denial of this caller was given. An answer: it has passed `max_denials`, and nothing is answered until then.
  virtual std::optional<WallTime> count_denial(const Caller&) { return std::nullopt; }
  // The same, as of decide_later(): `reached` is called with that, from within or later.
  virtual void count_denial_later(const Caller& caller, std::function<void(WallTime until)> reached) {
    if (const auto until = count_denial(caller)) reached(*until);
  }
  // The call did not run.
  virtual void give_back(policy::Reservation& reserved) = 0;
};

}  // namespace sluice::gateway
