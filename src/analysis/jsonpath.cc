#include "analysis/jsonpath.h"

#include <algorithm>
#include <compare>
#include <deque>
#include <map>
#include <optional>

#include "analysis/jsonpath_parse.h"
#include "analysis/jsonpath_text.h"
#include "regex/regex.h"

namespace sluice::analysis {
namespace jsonpath {
namespace {

using Kind = Expression::Kind;

constexpr std::size_t kMostPatterns = 100;   // compiled ones that are kept: a document may hold many
constexpr std::size_t kMostPattern = 2'000;  // octets
constexpr std::size_t kAskEvery = 4'096;     // visits between two looks at the stop token

using Element = JsonElement;
using simdjson::dom::element_type;

bool is_array(const Element& element) { return element.type() == element_type::ARRAY; }
bool is_object(const Element& element) { return element.type() == element_type::OBJECT; }

// Where a node stands: a step from another one.
struct Step {
  const Step* parent = nullptr;
  std::optional<std::string_view> name;  // none: an index
  std::size_t index = 0;
};

struct Node {
  Element value;
  const Step* step = nullptr;  // null: the document, or paths are not wanted
};
using Nodes = std::vector<Node>;

// A value of a comparison, or Nothing (§2.4.1).
struct Value {
  enum class Type : std::uint8_t { kNothing, kNull, kBool, kInteger, kUnsigned, kDouble, kString, kArray, kObject };
  Type type = Type::kNothing;
  bool truth = false;
  std::int64_t integer = 0;
  std::uint64_t natural = 0;  // kUnsigned: beyond the integers
  double real = 0;
  std::string_view text;
  Element element{};  // kArray, kObject

  bool is_number() const { return type == Type::kInteger || type == Type::kUnsigned || type == Type::kDouble; }
  double as_double() const {
    return type == Type::kInteger    ? static_cast<double>(integer)
           : type == Type::kUnsigned ? static_cast<double>(natural)
                                     : real;
  }
};

Value number(std::int64_t integer) {
  Value value;
  value.type = Value::Type::kInteger;
  value.integer = integer;
  return value;
}

Value read(const Element& element) {
  Value value;
  switch (element.type()) {
    case element_type::ARRAY:
      value.type = Value::Type::kArray;
      value.element = element;
      break;
    case element_type::OBJECT:
      value.type = Value::Type::kObject;
      value.element = element;
      break;
    case element_type::INT64:
      return number(element.get_int64().value_unsafe());
    case element_type::UINT64:
      value.type = Value::Type::kUnsigned;
      value.natural = element.get_uint64().value_unsafe();
      break;
    case element_type::DOUBLE:
      value.type = Value::Type::kDouble;
      value.real = element.get_double().value_unsafe();
      break;
    case element_type::STRING:
      value.type = Value::Type::kString;
      value.text = element.get_string().value_unsafe();
      break;
    case element_type::BOOL:
      value.type = Value::Type::kBool;
      value.truth = element.get_bool().value_unsafe();
      break;
    case element_type::NULL_VALUE:
      value.type = Value::Type::kNull;
      break;
  }
  return value;
}

// A literal of the expression, which must live on.
Value read(const Json& literal) {
  Value value;
  if (literal.is_string()) {
    value.type = Value::Type::kString;
    value.text = literal.get_ref<const std::string&>();
  } else if (literal.is_number_unsigned() && literal.get<std::uint64_t>() > INT64_MAX) {
    value.type = Value::Type::kUnsigned;
    value.natural = literal.get<std::uint64_t>();
  } else if (literal.is_number_integer()) {
    return number(literal.get<std::int64_t>());
  } else if (literal.is_number()) {
    value.type = Value::Type::kDouble;
    value.real = literal.get<double>();
  } else if (literal.is_boolean()) {
    value.type = Value::Type::kBool;
    value.truth = literal.get<bool>();
  } else {
    value.type = Value::Type::kNull;
  }
  return value;
}

// Both are numbers. Integers exactly, others as doubles.
std::partial_ordering compare_numbers(const Value& a, const Value& b) {
  using Type = Value::Type;
  if (a.type == Type::kDouble || b.type == Type::kDouble) return a.as_double() <=> b.as_double();
  if (a.type != b.type) return a.type == Type::kInteger ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.type == Type::kInteger ? a.integer <=> b.integer : a.natural <=> b.natural;
}

// Of numbers and strings alone; strings by code point, which is by octet in UTF-8.
bool is_less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == std::partial_ordering::less;
  return a.type == Value::Type::kString && b.type == Value::Type::kString && a.text < b.text;
}

class Finder {
 public:
  Finder(const Element& document, const JsonPathLimits& limits) : document_(document), limits_(limits) {}

  JsonPathFound run(const Query& query) {
    JsonPathFound found;
    const Nodes nodes = select(query, document_, limits_.paths);
    for (const Node& node : nodes) {
      if (found.values.size() == limits_.results) {
        ended_ = true;
        break;
      }
      found.values.push_back(node.value);
      if (limits_.paths) found.paths.push_back(path_of(node.step));
    }
    found.truncated = ended_;
    return found;
  }

 private:
  static std::string path_of(const Step* step) {
    std::vector<const Step*> steps;
    for (; step; step = step->parent) steps.push_back(step);
    std::string path = "$";
    for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
      if ((*at)->name) {
        append_normal_name(path, *(*at)->name);
      } else {
        path += "[" + std::to_string((*at)->index) + "]";
      }
    }
    return path;
  }

  // False: enough was looked at.
  bool visit() {
    if (++visits_ >= limits_.visits) ended_ = true;
    if (visits_ % kAskEvery == 0 && limits_.stop.stop_requested()) ended_ = true;
    return !ended_;
  }

  // simdjson knows no way to an item but past those before it. False: enough were passed by.
  bool pass(std::size_t count) {
    passed_ += count;
    if (passed_ > limits_.passed) ended_ = true;
    return !ended_;
  }

  const Step* step(bool keep, const Step* parent, std::optional<std::string_view> name, std::size_t index) {
    if (!keep) return nullptr;
    steps_.push_back({parent, name, index});
    return &steps_.back();
  }

  Nodes select(const Query& query, const Element& from, bool keep) {
    Nodes nodes{{from, nullptr}};
    for (const Segment& segment : query.segments) {
      Nodes next;
      for (const Node& node : nodes) {
        if (ended_) break;
        if (segment.descendant) {
          descend(segment, node, keep, next);
        } else {
          for (const Selector& selector : segment.selectors) apply(selector, node, keep, next);
        }
      }
      nodes = std::move(next);
    }
    return nodes;
  }

  // The node before what is in it (§2.5.2.2). As deep as the document, which parse_json bounds.
  void descend(const Segment& segment, const Node& node, bool keep, Nodes& out) {
    if (!visit()) return;
    for (const Selector& selector : segment.selectors) apply(selector, node, keep, out);
    for_children(node, keep, [&](const Node& child) {
      if (is_array(child.value) || is_object(child.value)) descend(segment, child, keep, out);
    });
  }

  template <class Visit>
  void for_children(const Node& node, bool keep, const Visit& to) {
    if (is_array(node.value)) {
      std::size_t i = 0;
      for (const Element item : array_of(node.value)) {
        if (!pass(1)) return;
        to(Node{item, step(keep, node.step, std::nullopt, i++)});
      }
    } else if (is_object(node.value)) {
      for (const auto member : object_of(node.value)) {
        if (!pass(1)) return;
        to(Node{member.value, step(keep, node.step, member.key, 0)});
      }
    }
  }

  void apply(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    switch (selector.kind) {
      case Selector::Kind::kName:
        return by_name(selector, node, keep, out);
      case Selector::Kind::kIndex:
        return by_index(selector, node, keep, out);
      case Selector::Kind::kSlice:
        return by_slice(selector, node, keep, out);
      case Selector::Kind::kWildcard:
        return for_children(node, keep, [&](const Node& child) {
          if (visit()) out.push_back(child);
        });
      case Selector::Kind::kFilter:
        return for_children(node, keep, [&](const Node& child) {
          if (visit() && holds(*selector.filter, child.value)) out.push_back(child);
        });
    }
  }

  std::optional<Element> member(const Element& object, std::string_view name) {
    std::size_t passed = 0;
    std::optional<Element> found;
    for (const auto member : object_of(object)) {
      ++passed;
      if (member.key != name) continue;
      found = member.value;
      break;
    }
    pass(passed);
    return found;
  }

  void by_name(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!is_object(node.value) || !visit()) return;
    if (const auto found = member(node.value, selector.name))
      out.push_back({*found, step(keep, node.step, selector.name, 0)});
  }

  void by_index(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!is_array(node.value)) return;
    const auto size = static_cast<std::int64_t>(array_of(node.value).size());
    const std::int64_t index = selector.index < 0 ? selector.index + size : selector.index;
    if (index >= 0 && index < size) put_items(node, index, 1, 1, keep, out);
  }

  // §2.3.4.2.2.
  void by_slice(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!is_array(node.value) || selector.step == 0) return;
    const auto size = static_cast<std::int64_t>(array_of(node.value).size());
    const bool forward = selector.step > 0;
    const auto normal = [size](std::int64_t i) { return i >= 0 ? i : size + i; };
    const std::int64_t start = normal(selector.start.value_or(forward ? 0 : size - 1));
    const std::int64_t end = selector.end ? normal(*selector.end) : (forward ? size : -1);
    if (forward) {
      const std::int64_t lower = std::clamp<std::int64_t>(start, 0, size),
                         upper = std::clamp<std::int64_t>(end, 0, size);
      if (lower < upper) put_items(node, lower, selector.step, 1 + (upper - lower - 1) / selector.step, keep, out);
    } else {
      const std::int64_t upper = std::clamp<std::int64_t>(start, -1, size - 1);
      const std::int64_t lower = std::clamp<std::int64_t>(end, -1, size - 1);
      if (upper > lower) put_items(node, upper, selector.step, 1 + (upper - lower - 1) / -selector.step, keep, out);
    }
  }

  // `count` items, `by` apart, the first of them the one at `first`.
  void put_items(const Node& node, std::int64_t first, std::int64_t by, std::int64_t count, bool keep, Nodes& out) {
    const auto left = static_cast<std::int64_t>(limits_.visits - std::min(limits_.visits, visits_));
    const std::int64_t wanted = std::min(count, left);
    const std::int64_t last = first + by * (wanted - 1), stride = by < 0 ? -by : by;
    const std::size_t begin = out.size();
    std::int64_t next = std::min(first, last), i = 0, put = 0;
    for (const Element item : array_of(node.value)) {
      if (put == wanted || !pass(1)) break;
      if (i++ != next) continue;
      if (!visit()) break;
      out.push_back({item, step(keep, node.step, std::nullopt, static_cast<std::size_t>(next))});
      next += stride;
      ++put;
    }
    if (by < 0) std::reverse(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end());
    if (wanted < count) ended_ = true;
  }

  // --- filters ---

  // What the whole document says does not depend on the node that is judged: it is looked for once.
  const Nodes& select_in(const Query& query, const Element& current) {
    if (query.relative) return judged_ = select(query, current, false);
    const auto [at, is_new] = absolute_.try_emplace(&query);
    if (is_new) at->second = select(query, document_, false);
    return at->second;
  }

  bool holds(const Expression& expression, const Element& current) {
    const auto part = [&](const ExpressionPtr& one) { return holds(*one, current); };
    switch (expression.kind) {
      case Kind::kOr:
        return std::any_of(expression.parts.begin(), expression.parts.end(), part);
      case Kind::kAnd:
        return std::all_of(expression.parts.begin(), expression.parts.end(), part);
      case Kind::kNot:
        return !part(expression.parts.front());
      case Kind::kExists:
        return !select_in(expression.query, current).empty();
      case Kind::kCompare:
        return compare(expression, current);
      case Kind::kCall:
        return matches(expression, current);
      case Kind::kLiteral:
      case Kind::kQuery:
        break;
    }
    return false;
  }

  bool compare(const Expression& expression, const Element& current) {
    const Value a = value_of(*expression.parts[0], current), b = value_of(*expression.parts[1], current);
    switch (expression.comparison) {
      case Comparison::kEqual:
        return is_equal(a, b);
      case Comparison::kNotEqual:
        return !is_equal(a, b);
      case Comparison::kLess:
        return is_less(a, b);
      case Comparison::kGreater:
        return is_less(b, a);
      case Comparison::kLessEqual:
        return is_less(a, b) || is_equal(a, b);
      case Comparison::kGreaterEqual:
        return is_less(b, a) || is_equal(a, b);
    }
    return false;
  }

  // §2.3.5.2.2; members in any order.
  bool is_equal(const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) return compare_numbers(a, b) == std::partial_ordering::equivalent;
    if (a.type != b.type) return false;
    if (a.type == Value::Type::kString) return a.text == b.text;
    if (a.type == Value::Type::kBool) return a.truth == b.truth;
    if (a.type == Value::Type::kArray) return is_equal_array(a.element, b.element);
    return a.type != Value::Type::kObject || is_equal_object(a.element, b.element);
  }

  bool is_equal_array(const Element& a, const Element& b) {
    const simdjson::dom::array left = array_of(a), right = array_of(b);
    if (left.size() != right.size()) return false;
    auto other = right.begin();
    for (const Element item : left) {
      if (!pass(1) || !is_equal(read(item), read(*other))) return false;
      ++other;
    }
    return true;
  }

  bool is_equal_object(const Element& a, const Element& b) {
    if (object_of(a).size() != object_of(b).size()) return false;
    for (const auto one : object_of(a)) {
      const auto other = member(b, one.key);
      if (!other || !pass(1) || !is_equal(read(one.value), read(*other))) return false;
    }
    return true;
  }

  Value value_of(const Expression& expression, const Element& current) {
    if (expression.kind == Kind::kLiteral) return read(expression.literal);
    if (expression.kind == Kind::kQuery) return single(select_in(expression.query, current));
    switch (expression.function) {
      case Function::kLength:
        return length(value_of(*expression.parts.front(), current));
      case Function::kCount:
        return number(static_cast<std::int64_t>(select_in(expression.parts.front()->query, current).size()));
      case Function::kValue:
        return single(select_in(expression.parts.front()->query, current));
      case Function::kMatch:
      case Function::kSearch:
        break;
    }
    return {};
  }

  static Value single(const Nodes& nodes) { return nodes.size() == 1 ? read(nodes.front().value) : Value(); }

  static Value length(const Value& value) {
    if (value.type == Value::Type::kString) return number(static_cast<std::int64_t>(characters_of(value.text)));
    if (value.type == Value::Type::kArray) return number(static_cast<std::int64_t>(array_of(value.element).size()));
    if (value.type == Value::Type::kObject) return number(static_cast<std::int64_t>(object_of(value.element).size()));
    return {};
  }

  bool matches(const Expression& expression, const Element& current) {
    const Value text = value_of(*expression.parts[0], current), pattern = value_of(*expression.parts[1], current);
    if (text.type != Value::Type::kString || pattern.type != Value::Type::kString) return false;
    const regex::Regex* compiled = this->pattern(std::string(pattern.text), expression.function == Function::kMatch);
    return compiled && compiled->is_in(text.text);
  }

  // Null: it is none.
  const regex::Regex* pattern(const std::string& source, bool whole) {
    if (source.size() > kMostPattern) return nullptr;
    auto& known = patterns_[whole ? 1 : 0];
    if (const auto found = known.find(source); found != known.end()) return found->second ? &*found->second : nullptr;
    if (known.size() >= kMostPatterns) known.clear();
    const std::string re2 = whole ? "\\A(?:" + re2_of(source) + ")\\z" : re2_of(source);
    auto compiled = regex::Regex::compile(re2);
    auto& kept = known[source];
    if (compiled) kept = *std::move(compiled);
    return kept ? &*kept : nullptr;
  }

  const Element document_;
  const JsonPathLimits& limits_;
  std::deque<Step> steps_;
  std::map<std::string, std::optional<regex::Regex>> patterns_[2];
  std::map<const Query*, Nodes> absolute_;
  Nodes judged_;  // of select_in
  std::size_t visits_ = 0, passed_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace jsonpath

Result<JsonPath> JsonPath::parse(std::string_view text) {
  SLUICE_TRY(jsonpath::Query query, jsonpath::parse_query(text));
  return JsonPath(std::make_shared<const jsonpath::Query>(std::move(query)));
}

JsonPathFound JsonPath::find(const JsonDocument& document, const JsonPathLimits& limits) const {
  return jsonpath::Finder(document.root(), limits).run(*query_);
}

}  // namespace sluice::analysis
