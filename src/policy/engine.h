// A policy, compiled: decides calls. Names first, then effective arguments; then whoever asks reserves the limits that
// the decision carries (state_store.h), and only then the call runs. gate.md 3 has the truth table and the precedence.
//
//   NameAnswer name = engine.judge_name(call.tool, call.risk);
//   if (name != NameAnswer::kListed) return engine.judged_name(call.tool, name);  // on the name alone
//   Decision decision = engine.decide(call);
//   if (decision.verdict == Verdict::kAllow) store.reserve(decision.uses, now);
//
// Immutable after compile(); thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "policy/policy.h"
#include "policy/result_filter.h"
#include "policy/state_store.h"

namespace sluice::policy {

// What a name is to a caller.
enum class NameAnswer { kListed, kHidden, kUnlisted };

struct Call {
  std::string_view grant = "default";
  std::string_view server = "sluice";
  std::string_view tool;
  std::optional<RiskClass> risk;         // of our own tools; absent: a foreign tool, see the policy's `risk`
  const Json& arguments;                 // effective: defaults filled in
  const Spellings* spellings = nullptr;  // of numbers that `arguments` does not hold exactly
};

enum class Verdict { kAllow, kDeny, kAskPerson };

// What a person is asked, put together from every entry that asks: restrictions only add up.
struct ApprovalNeed {
  std::chrono::seconds timeout{0}, wait{0};  // the shortest
  bool caller = false;                       // the caller's own user may decide: every one of them says so
  std::string message;                       // of the first that has one
  std::string rules;                         // the texts of all: what an approval is bound to
};

struct Decision {
  Verdict verdict = Verdict::kAllow;
  std::string rule;                              // what decided; empty when allowed
  std::string message;                           // for the caller, without "[POLICY DENIED] "
  std::shared_ptr<const ApprovalNeed> approval;  // of kAskPerson
  std::vector<LimitUse> uses;                    // of kAllow: to be reserved together
  std::vector<const std::string*> limit_rules;   // the rule of each; live as long as the engine
};

class Engine {
 public:
  // A parsed document compiles: kInternal otherwise.
  static Result<std::shared_ptr<const Engine>> compile(Document document);

  NameAnswer judge_name(std::string_view tool, std::optional<RiskClass> risk) const;
  Decision judged_name(std::string_view tool, NameAnswer answer) const;  // the denial of kHidden and kUnlisted
  // Of a listed name.
  Decision decide(const Call& call) const;
  // The denial when reserve() said so.
  static Decision limit_reached(const Decision& decision, const LimitReached& reached);
  // What becomes of an answer: null where nothing is said. Of what is no tool's answer: all entries together.
  std::shared_ptr<const ResultFilter> results_of(std::string_view tool, std::optional<RiskClass> risk) const;
  std::shared_ptr<const ResultFilter> results_of_others() const { return all_results_; }
  bool allows_method(std::string_view method) const;
  RiskClass class_of(std::string_view tool) const;  // of a foreign tool

  const Document& document() const { return document_; }
  // Of the document's content: the same in every process that reads the same, below 2^48.
  std::uint64_t revision() const { return revision_; }
  ~Engine();

 private:
  struct CompiledEntry;
  struct CompiledRule;
  struct CompiledLimit;
  using Entries = std::vector<const CompiledEntry*>;

  explicit Engine(Document document);
  Status compile_entries();
  Result<CompiledEntry> compile_entry(const Entry& entry) const;
  bool is_hidden(std::string_view tool) const;
  void find_entries(std::string_view tool, std::optional<RiskClass> risk, Entries& out) const;
  void add_uses(const Call& call, const std::vector<CompiledLimit>& limits, Decision& decision) const;
  static void ask_for(const Entries& entries, const Call& call, Decision& decision);
  static bool denied_by(const CompiledEntry& entry, const Call& call, Decision& decision);

  Document document_;
  std::uint64_t revision_ = 0;
  std::vector<CompiledEntry> entries_;  // as the document orders them
  std::vector<CompiledLimit> all_tools_;
  std::shared_ptr<const ResultFilter> all_results_;
  struct Index;
  std::unique_ptr<Index> index_;
};

}  // namespace sluice::policy
