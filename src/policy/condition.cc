#include "policy/condition.h"

#include <fmt/format.h>

#include <charconv>

#include "base/json_pointer.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxPath = 1'000;
constexpr std::string_view kStart = "a path begins with args., such as args.amount or args[\"a.b\"][0]";

// Member `name`, null included.
const Json* member(const Json& object, std::string_view name) {
  for (const auto& [key, value] : object.get_ref<const Json::object_t&>()) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool holds_when_absent(Operator op, List list) {
  return list == List::kDenyIf && (op == Operator::kNeq || op == Operator::kNotIn);
}

}  // namespace

Result<ArgumentPath> ArgumentPath::parse(std::string_view text) {
  ArgumentPath path;
  if (text.size() > kMaxPath) return fail(Code::kTooLarge, fmt::format("a path has at most {} characters", kMaxPath));
  if (!text.starts_with("args")) return fail(Code::kInvalid, std::string(kStart));
  std::string_view rest = text.substr(4);
  while (!rest.empty()) {
    if (rest.front() == '[') {
      SLUICE_CHECK(path.parse_bracket(rest));
      continue;
    }
    if (rest.front() != '.') return fail(Code::kInvalid, std::string(kStart));
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find_first_of(".["));
    if (name.empty()) return fail(Code::kInvalid, "a name is missing in the path; an odd one stands in [\"…\"]");
    if (name.find_first_of("]\"*") != std::string_view::npos) {
      return fail(Code::kInvalid, "a name with ], \" or * stands in [\"…\"]; elements are [0] or [*]");
    }
    path.steps_.push_back({Step::Kind::kName, std::string(name), 0});
    rest.remove_prefix(name.size());
  }
  if (path.steps_.empty() || path.steps_.front().kind != Step::Kind::kName) {
    return fail(Code::kInvalid, std::string(kStart));
  }
  return path;
}

std::optional<std::string> ArgumentPath::dotted() const {
  std::string out = "args";
  for (const Step& step : steps_) {
    if (step.kind != Step::Kind::kName || step.name.empty() || step.name.find('.') != std::string::npos) {
      return std::nullopt;
    }
    out.append(".").append(step.name);
  }
  return out;
}

Status ArgumentPath::parse_bracket(std::string_view& rest) {
  if (rest.starts_with("[*]")) {
    steps_.push_back({Step::Kind::kEach, "", 0});
    wildcard_ = true;
    rest.remove_prefix(3);
    return {};
  }
  if (rest.starts_with("[\"")) {
    // The name as JSON writes it; its end is the first quote that no backslash takes.
    std::size_t end = 2;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end + 1 >= rest.size() || rest[end + 1] != ']') return fail(Code::kInvalid, "a [\" is not closed by \"]");
    const auto name = parse_source(rest.substr(1, end));
    if (!name || !name->is(Node::Kind::kString)) return fail(Code::kInvalid, "a name in [\"…\"] is written as in JSON");
    steps_.push_back({Step::Kind::kName, name->text, 0});
    rest.remove_prefix(end + 2);
    return {};
  }
  const std::size_t close = rest.find(']');
  const std::string_view inside = close == std::string_view::npos ? "" : rest.substr(1, close - 1);
  std::size_t index = 0;
  const auto parsed = std::from_chars(inside.data(), inside.data() + inside.size(), index);
  if (inside.empty() || parsed.ec != std::errc() || parsed.ptr != inside.data() + inside.size()) {
    return fail(Code::kInvalid, "in brackets stands an index, * or a name in quotes");
  }
  steps_.push_back({Step::Kind::kIndex, "", index});
  rest.remove_prefix(close + 1);
  return {};
}

void ArgumentPath::walk(const Json& value, std::size_t step, std::vector<Found>& out) const {
  if (value.is_null()) return out.push_back({});
  if (step == steps_.size()) return out.push_back({&value, false});
  const Step& next = steps_[step];
  const bool fits = next.kind == Step::Kind::kName ? value.is_object() : value.is_array();
  if (!fits) return out.push_back({nullptr, true});
  if (next.kind == Step::Kind::kName) {
    const Json* found = member(value, next.name);
    return found ? walk(*found, step + 1, out) : out.push_back({});
  }
  if (next.kind == Step::Kind::kIndex) {
    return next.index < value.size() ? walk(value[next.index], step + 1, out) : out.push_back({});
  }
  if (value.empty()) return out.push_back({});
  for (const Json& item : value) walk(item, step + 1, out);
}

void ArgumentPath::find(const Json& arguments, std::vector<Found>& out) const { walk(arguments, 0, out); }

Found ArgumentPath::find_one(const Json& arguments) const {
  const Json* value = &arguments;
  for (const Step& step : steps_) {
    if (value->is_null()) return {};
    if (step.kind == Step::Kind::kName ? !value->is_object() : !value->is_array()) return {nullptr, true};
    if (step.kind == Step::Kind::kName) {
      value = member(*value, step.name);
    } else {
      value = step.index < value->size() ? &(*value)[step.index] : nullptr;
    }
    if (!value) return {};
  }
  return {value->is_null() ? nullptr : value, false};
}

Result<CompiledCondition> CompiledCondition::compile(const Condition& condition) {
  CompiledCondition made;
  SLUICE_TRY(made.path_, ArgumentPath::parse(condition.path));
  SLUICE_TRY(made.operand_, Operand::compile(condition.op, condition.value));
  made.op_ = condition.op;
  made.label_ = pointer_segment(condition.path) + "-" + std::string(to_string(condition.op));
  return made;
}

bool CompiledCondition::holds_for(const Found& found, const Spellings* spellings, List list) const {
  if (op_ == Operator::kExists) return (found.value != nullptr) == operand_.wants_existence();
  if (found.mismatch) return list == List::kDenyIf;
  if (!found.value) return holds_when_absent(op_, list);
  const Truth truth = operand_.judge(*found.value, spellings);
  return truth == Truth::kMismatch ? list == List::kDenyIf : truth == Truth::kTrue;
}

bool CompiledCondition::holds(const Json& arguments, const Spellings* spellings, List list) const {
  if (!path_.has_wildcard()) return holds_for(path_.find_one(arguments), spellings, list);
  std::vector<Found> found;
  path_.find(arguments, found);
  for (const Found& one : found) {
    const bool held = holds_for(one, spellings, list);
    if (held != (list == List::kRequire)) return held;  // one element decides
  }
  return list == List::kRequire;
}

}  // namespace sluice::policy
