// Conditions, compiled: a path into the arguments, an operator and its operand, and the truth table of gate.md 3.
// Immutable; copies share what is compiled; thread-safe. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "policy/number.h"
#include "policy/operators.h"
#include "policy/policy.h"
#include "regex/regex.h"

namespace sluice::policy {

// What a path finds: a value, nothing (absent or null), or something on the way that is of another type than the path
// goes through.
struct Found {
  const Json* value = nullptr;
  bool mismatch = false;
};

// args.a.b, args["x.y"], args.items[0], args.items[*].
class ArgumentPath {
 public:
  // kInvalid with a sentence.
  static Result<ArgumentPath> parse(std::string_view text);

  // Never empty: what is absent is one Found without a value; a [*] over n elements gives n of them.
  void find(const Json& arguments, std::vector<Found>& out) const;
  Found find_one(const Json& arguments) const;  // of a path without [*]
  bool has_wildcard() const { return wildcard_; }
  const std::string& first() const { return steps_.front().name; }  // the argument's name
  // args.a.b, if names without dots are all it has.
  std::optional<std::string> dotted() const;

 private:
  struct Step {
    enum class Kind { kName, kIndex, kEach } kind = Kind::kName;
    std::string name;
    std::size_t index = 0;
  };
  Status parse_bracket(std::string_view& rest);
  void walk(const Json& value, std::size_t step, std::vector<Found>& out) const;

  std::vector<Step> steps_;
  bool wildcard_ = false;
};

// What a value is compared with.
struct Scalar {
  std::variant<bool, Number, std::string> value;
};

enum class Truth { kFalse, kTrue, kMismatch };

class Operand {
 public:
  // kInvalid: what the operator takes instead.
  static Result<Operand> compile(Operator op, const Node& value);
  // Of a value that is there. `spelling`: of a number that `value` does not hold exactly, else null.
  Truth judge(const Json& value, const Spellings* spellings) const;
  bool wants_existence() const { return exists_; }  // of exists

 private:
  Status set(const Node& value);
  Status set_scalars(std::span<const Node> nodes, std::string_view what);
  Status set_typed(const Node& value);
  Truth judge_number(const Json& value, const Spellings* spellings) const;
  Truth judge_contains(const Json& value, const Spellings* spellings) const;

  Operator op_ = Operator::kEq;
  bool exists_ = true;
  std::vector<Scalar> scalars_;  // one, or those of in and not_in
  std::shared_ptr<const regex::Regex> regex_;
  std::shared_ptr<const HostSet> hosts_;
  std::shared_ptr<const AddressSet> addresses_;
  std::shared_ptr<const PathSet> paths_;
  std::shared_ptr<const Schema> schema_;
};

// In which list a condition stands: they differ in what absence and mismatches mean.
enum class List { kRequire, kDenyIf };

class CompiledCondition {
 public:
  static Result<CompiledCondition> compile(const Condition& condition);
  // Whether it holds. A [*] holds in `require` if all elements do, in `deny_if` if one does.
  bool holds(const Json& arguments, const Spellings* spellings, List list) const;
  // "args.amount-gt": the end of its rule id.
  const std::string& label() const { return label_; }

 private:
  bool holds_for(const Found& found, const Spellings* spellings, List list) const;

  ArgumentPath path_;
  Operator op_ = Operator::kEq;
  Operand operand_;
  std::string label_;
};

}  // namespace sluice::policy
