// Operators: what they take, and what they say of a value that is there.
#include <fmt/format.h>

#include <algorithm>

#include "policy/condition.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

std::optional<Scalar> scalar_of(const Node& node) {
  if (node.is(Kind::kBoolean)) return Scalar{node.boolean};
  if (node.is(Kind::kString)) return Scalar{node.text};
  if (node.is(Kind::kNumber)) {
    Number number = Number::from_spelling(node.text);
    if (number.is_finite()) return Scalar{std::move(number)};
  }
  return std::nullopt;
}

// A string or an array of strings, not empty.
Result<std::vector<std::string>> strings_of(const Node& node, std::string_view what) {
  std::vector<std::string> out;
  if (node.is(Kind::kString)) out.push_back(node.text);
  for (const Node& item : node.items) {
    if (!node.is(Kind::kArray) || !item.is(Kind::kString)) {
      return fail(Code::kInvalid, fmt::format("expected {}", what));
    }
    out.push_back(item.text);
  }
  if (out.empty()) return fail(Code::kInvalid, fmt::format("expected {}", what));
  return out;
}

Number number_of(const Json& value, const Spellings* spellings) {
  if (spellings) {
    if (const auto found = spellings->find(&value); found != spellings->end()) {
      return Number::from_spelling(found->second);
    }
  }
  return Number::from_json(value);
}

Truth truth(bool value) { return value ? Truth::kTrue : Truth::kFalse; }

// Whether two scalars are equal; kMismatch: of different types, or no finite number.
Truth equal(const Scalar& scalar, const Json& value, const Spellings* spellings) {
  if (const auto* text = std::get_if<std::string>(&scalar.value)) {
    if (!value.is_string()) return Truth::kMismatch;
    return truth(value.get_ref<const std::string&>() == *text);
  }
  if (const bool* flag = std::get_if<bool>(&scalar.value)) {
    if (!value.is_boolean()) return Truth::kMismatch;
    return truth(value.get<bool>() == *flag);
  }
  if (!value.is_number()) return Truth::kMismatch;
  const Number number = number_of(value, spellings);
  if (!number.is_finite()) return Truth::kMismatch;
  return truth(number.compare(std::get<Number>(scalar.value)) == std::strong_ordering::equal);
}

// kTrue: equal to one; kMismatch: of another type than every one.
Truth equal_to_any(const std::vector<Scalar>& scalars, const Json& value, const Spellings* spellings) {
  bool comparable = false;
  for (const Scalar& scalar : scalars) {
    const Truth one = equal(scalar, value, spellings);
    if (one == Truth::kTrue) return one;
    comparable |= one == Truth::kFalse;
  }
  return comparable ? Truth::kFalse : Truth::kMismatch;
}

Truth inverted(Truth value) { return value == Truth::kMismatch ? value : truth(value == Truth::kFalse); }

}  // namespace

Status Operand::set_scalars(std::span<const Node> nodes, std::string_view what) {
  for (const Node& node : nodes) {
    auto scalar = scalar_of(node);
    if (!scalar) {
      return fail(Code::kInvalid, fmt::format("{} takes {}, not {}", to_string(op_), what, kind_name(node.kind)));
    }
    scalars_.push_back(*std::move(scalar));
  }
  return {};
}

Status Operand::set_typed(const Node& value) {
  if (op_ == Operator::kPathWithin) {
    SLUICE_TRY(const auto roots, strings_of(value, "a directory, or a list of them"));
    SLUICE_TRY(PathSet set, PathSet::compile(roots));
    paths_ = std::make_shared<const PathSet>(std::move(set));
  } else if (op_ == Operator::kHostIn) {
    SLUICE_TRY(const auto hosts, strings_of(value, "a host such as example.com or *.example.com, or a list of them"));
    SLUICE_TRY(HostSet set, HostSet::compile(hosts));
    hosts_ = std::make_shared<const HostSet>(std::move(set));
  } else if (op_ == Operator::kCidr) {
    SLUICE_TRY(const auto blocks, strings_of(value, "a block such as 10.0.0.0/8, or a list of them"));
    SLUICE_TRY(AddressSet set, AddressSet::compile(blocks));
    addresses_ = std::make_shared<const AddressSet>(std::move(set));
  } else {
    SLUICE_TRY(Schema schema, Schema::compile(value));
    schema_ = std::make_shared<const Schema>(std::move(schema));
  }
  return {};
}

Status Operand::set(const Node& value) {
  switch (op_) {
    case Operator::kEq:
    case Operator::kNeq:
    case Operator::kContains:
      if (value.is(Kind::kNull)) return fail(Code::kInvalid, "null is as if absent: use \"op\": \"exists\"");
      return set_scalars(std::span(&value, 1), "a string, a finite number, true or false");
    case Operator::kLt:
    case Operator::kLte:
    case Operator::kGt:
    case Operator::kGte:
      if (!value.is(Kind::kNumber)) return fail(Code::kInvalid, fmt::format("{} takes a number", to_string(op_)));
      return set_scalars(std::span(&value, 1), "a finite number");
    case Operator::kIn:
    case Operator::kNotIn:
      if (!value.is(Kind::kArray) || value.items.empty()) {
        return fail(Code::kInvalid, fmt::format("{} takes a list that is not empty", to_string(op_)));
      }
      return set_scalars(value.items, "strings, finite numbers, true or false");
    case Operator::kExists:
      exists_ = value.boolean;
      return value.is(Kind::kBoolean) ? Status() : fail(Code::kInvalid, "exists takes true or false");
    case Operator::kRegex: {
      if (!value.is(Kind::kString)) return fail(Code::kInvalid, "regex takes a string");
      SLUICE_TRY(regex::Regex made, regex::Regex::compile(value.text));
      regex_ = std::make_shared<const regex::Regex>(std::move(made));
      return {};
    }
    case Operator::kPathWithin:
    case Operator::kHostIn:
    case Operator::kCidr:
    case Operator::kSchema:
      return set_typed(value);
  }
  return fail(Code::kInternal, "no such operator");
}

Result<Operand> Operand::compile(Operator op, const Node& value) {
  Operand made;
  made.op_ = op;
  SLUICE_CHECK(made.set(value));
  return made;
}

Truth Operand::judge_number(const Json& value, const Spellings* spellings) const {
  if (!value.is_number()) return Truth::kMismatch;
  const Number number = number_of(value, spellings);
  if (!number.is_finite()) return Truth::kMismatch;
  const auto order = number.compare(std::get<Number>(scalars_.front().value));
  switch (op_) {
    case Operator::kLt:
      return truth(order < 0);
    case Operator::kLte:
      return truth(order <= 0);
    case Operator::kGt:
      return truth(order > 0);
    default:
      return truth(order >= 0);
  }
}

// In a text, a text; in an array, an element. An element of another type counts as a mismatch unless one is equal.
Truth Operand::judge_contains(const Json& value, const Spellings* spellings) const {
  if (value.is_string()) {
    const auto* wanted = std::get_if<std::string>(&scalars_.front().value);
    return wanted ? truth(value.get_ref<const std::string&>().find(*wanted) != std::string::npos) : Truth::kMismatch;
  }
  if (!value.is_array()) return Truth::kMismatch;
  bool mismatch = false;
  for (const Json& item : value) {
    const Truth one = equal(scalars_.front(), item, spellings);
    if (one == Truth::kTrue) return one;
    mismatch |= one == Truth::kMismatch && !item.is_null();
  }
  return mismatch ? Truth::kMismatch : Truth::kFalse;
}

Truth Operand::judge(const Json& value, const Spellings* spellings) const {
  const auto text = [&]() -> std::string_view { return value.get_ref<const std::string&>(); };
  switch (op_) {
    case Operator::kEq:
      return equal(scalars_.front(), value, spellings);
    case Operator::kNeq:
      return inverted(equal(scalars_.front(), value, spellings));
    case Operator::kIn:
      return equal_to_any(scalars_, value, spellings);
    case Operator::kNotIn:
      return inverted(equal_to_any(scalars_, value, spellings));
    case Operator::kLt:
    case Operator::kLte:
    case Operator::kGt:
    case Operator::kGte:
      return judge_number(value, spellings);
    case Operator::kContains:
      return judge_contains(value, spellings);
    case Operator::kExists:
      return Truth::kTrue;
    case Operator::kRegex:
      return value.is_string() ? truth(regex_->is_in(text())) : Truth::kMismatch;
    case Operator::kPathWithin:
      return value.is_string() ? paths_->judge(text()) : Truth::kMismatch;
    case Operator::kHostIn:
      return value.is_string() ? hosts_->judge(text()) : Truth::kMismatch;
    case Operator::kCidr:
      return value.is_string() ? addresses_->judge(text()) : Truth::kMismatch;
    case Operator::kSchema:
      return schema_->judge(value, spellings);
  }
  return Truth::kMismatch;
}

}  // namespace sluice::policy
