// The policy document: who may call which tool, with which arguments, how often. Text in, a Document or all problems
// at once out. What it means: policy/engine.h. The contract: gate.md 3, policy.md 1.
// Pure; values; thread-safe. Bounded by SourceLimits.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "policy/number.h"
#include "policy/source.h"

namespace sluice::policy {

enum class Default { kAllow, kDeny };
enum class Mode { kEnforce, kMonitor };  // monitor: decided and written down, but let pass
enum class HiddenReply { kDenied, kUnknown };
enum class Window { kMinute, kHour, kDay };  // of UTC
enum class Scope { kGrant, kServer, kAll };
// From harmless to not; kUnclassified: a foreign tool that the policy's `risk` does not name.
enum class RiskClass { kRead, kWrite, kExecute, kFinancial, kDestructive, kUnclassified };
enum class Operator {
  kEq,
  kNeq,
  kLt,
  kLte,
  kGt,
  kGte,
  kIn,
  kNotIn,
  kExists,
  kRegex,
  kContains,  // policy.md 1.3
  kPathWithin,
  kHostIn,
  kCidr,
  kSchema,  // typed: gate.md 3
};
std::string_view to_string(Window window);
std::string_view article_of(Window window);  // with a space behind it
std::string_view to_string(Scope scope);
std::string_view to_string(RiskClass risk);
std::string_view to_string(Operator op);
std::optional<RiskClass> find_risk(std::string_view name);  // not kUnclassified

struct Condition {
  std::string path;  // "args.a.b", "args[\"x.y\"][*]"
  Operator op = Operator::kEq;
  Node value;
  std::size_t line = 0;
};
using Conditions = std::vector<Condition>;  // joined by AND

struct Rule {
  Conditions conditions;           // none and no any_of: always
  std::vector<Conditions> any_of;  // if there are some, one of them must hold, too
  std::optional<std::string> on_deny;
  std::size_t line = 0;
};

struct Limit {
  std::string counter;
  Window window = Window::kMinute;
  bool sliding = false;  // the last minute instead of this minute
  Micro max = 0;
  Scope scope = Scope::kGrant;
  Micro increment = kMicro;
  std::string increment_from;  // an argument's path; empty: `increment`
  std::size_t line = 0;
};

struct Approval {
  Conditions when;  // none: always
  std::chrono::seconds timeout{30 * 60}, wait{0};
  std::vector<std::string> approvers{"admin"};
  std::string message;
};

// What happens to an answer. `raw`: show_secrets is allowed.
struct ResultRules {
  struct Redact {
    std::string path, pattern;  // one of both
  };
  struct Block {
    Operator op = Operator::kContains;  // or kRegex
    std::string value, on_deny;
  };
  std::vector<Redact> redact;
  std::vector<Block> block;
  std::optional<std::uint64_t> max_bytes;
  std::optional<bool> raw;
};

// One member of `tools`: an exact name, a pattern with `*`, or "risk:CLASS".
struct Entry {
  std::string name;
  std::vector<Rule> require, deny_if;
  std::optional<Approval> approval;
  std::vector<Limit> limits;
  std::optional<ResultRules> result;
  std::size_t line = 0;

  bool is_class() const { return name.starts_with("risk:"); }
  bool is_pattern() const { return !is_class() && name.find('*') != std::string::npos; }
};

struct Named {  // a name or pattern, and what it stands for
  std::string name;
  std::size_t line = 0;
};
struct RiskEntry : Named {
  RiskClass risk = RiskClass::kRead;
};
struct MethodEntry : Named {
  bool allow = false;
};
struct Egress {  // nullopt: the member is not given, and restricts nothing; an empty list admits nothing
  std::optional<std::vector<std::string>> host_in, cidr;
  std::optional<std::vector<std::uint16_t>> ports;
};
struct MaxDenials {
  Window window = Window::kMinute;
  std::uint64_t max = 0;
};

struct Document {
  std::string description;
  Default otherwise = Default::kDeny;
  Mode mode = Mode::kEnforce;
  std::vector<Named> hide;
  HiddenReply hidden_reply = HiddenReply::kDenied;
  std::vector<RiskEntry> risk;
  std::vector<MethodEntry> methods;
  bool closed_args = false;
  std::optional<std::string> pins;  // "off", "warn", "enforce"
  bool own_only = false, handles = false;
  std::optional<Egress> egress;
  std::optional<std::uint32_t> max_in_flight;
  std::optional<MaxDenials> max_denials;
  std::vector<Limit> limits;  // all_tools
  std::vector<Entry> tools;
  Node source;  // as it was written
};

struct Problem {
  std::size_t line = 0;
  std::string path;  // a JSON pointer; empty: the document
  std::string message;
};
// What a terminal must not be made to do by a document's author: control characters become `?`.
std::string printable(std::string text);
// "FILE:LINE: /tools/x/limits/0: …", printable.
std::string to_string(const Problem& problem, std::string_view file);

struct Parsed {
  std::optional<Document> document;  // only without errors
  std::vector<Problem> errors;       // all of them, by line
  // Of Intercept's YAML: what is decided or answered in another way than there.
  std::vector<Problem> notes;
};
// A text that begins with {, [ or " is JSON; everything else is read as Intercept's YAML (policy/intercept.h), and its
// `source` is what the JSON would be.
Parsed parse_policy(std::string_view text);

// The methods that `methods` may name.
bool is_governed_method(std::string_view method);
// What no policy closes: the handshake, pings, tools/list, cancellations, and calls that are judged by their tool.
// What is neither of both is open under `"default": "allow"` only.
bool is_open_method(std::string_view method);

// `*` stands for any characters, none too; everything else for itself.
bool matches_name(std::string_view pattern, std::string_view name);

}  // namespace sluice::policy
