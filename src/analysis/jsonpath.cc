#include "analysis/jsonpath.h"

#include <algorithm>
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

// Where a node stands: a step from another one.
struct Step {
  const Step* parent = nullptr;
  const std::string* name = nullptr;  // null: an index
  std::size_t index = 0;
};

struct Node {
  const Json* value = nullptr;
  const Step* step = nullptr;  // null: the document, or paths are not wanted
};
using Nodes = std::vector<Node>;

bool is_equal(const Json& a, const Json& b);

bool is_equal_object(const Json& a, const Json& b) {
  if (a.size() != b.size()) return false;
  for (auto at = a.begin(); at != a.end(); ++at) {
    const auto other = b.find(at.key());
    if (other == b.end() || !is_equal(at.value(), *other)) return false;
  }
  return true;
}

// §2.3.5.2.2; members in any order.
bool is_equal(const Json& a, const Json& b) {
  if (a.is_number() || b.is_number()) return a.is_number() && b.is_number() && a == b;
  if (a.type() != b.type()) return false;
  if (a.is_object()) return is_equal_object(a, b);
  if (!a.is_array()) return a == b;
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), is_equal);
}

// Of numbers and strings alone; strings by code point, which is by octet in UTF-8.
bool is_less(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return a < b;
  if (!a.is_string() || !b.is_string()) return false;
  const auto& left = a.get_ref<const std::string&>();
  const auto& right = b.get_ref<const std::string&>();
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(), [](char x, char y) {
    return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
  });
}

// A value, or Nothing (§2.4.1).
struct Value {
  const Json* json = nullptr;  // null: Nothing
  Json made;                   // where it is not in the document

  static Value of(Json json) {
    Value value;
    value.made = std::move(json);
    value.owned = true;
    return value;
  }
  const Json* get() const { return owned ? &made : json; }
  bool owned = false;
};

class Finder {
 public:
  Finder(const Json& document, const JsonPathLimits& limits) : document_(document), limits_(limits) {}

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

  const Step* step(bool keep, const Step* parent, const std::string* name, std::size_t index) {
    if (!keep) return nullptr;
    steps_.push_back({parent, name, index});
    return &steps_.back();
  }

  Nodes select(const Query& query, const Json& from, bool keep) {
    Nodes nodes{{&from, nullptr}};
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
      if (child.value->is_structured()) descend(segment, child, keep, out);
    });
  }

  template <class Visit>
  void for_children(const Node& node, bool keep, const Visit& to) {
    if (node.value->is_array()) {
      for (std::size_t i = 0; i < node.value->size() && !ended_; ++i) {
        to(Node{&(*node.value)[i], step(keep, node.step, nullptr, i)});
      }
    } else if (node.value->is_object()) {
      for (const auto& [name, member] : node.value->get_ref<const Json::object_t&>()) {
        if (ended_) return;
        to(Node{&member, step(keep, node.step, &name, 0)});
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
          if (visit() && holds(*selector.filter, *child.value)) out.push_back(child);
        });
    }
  }

  void by_name(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!node.value->is_object() || !visit()) return;
    const auto found = node.value->find(selector.name);
    if (found != node.value->end()) out.push_back({&*found, step(keep, node.step, &selector.name, 0)});
  }

  void put_item(const Node& node, std::int64_t index, bool keep, Nodes& out) {
    const auto place = static_cast<std::size_t>(index);
    if (visit()) out.push_back({&(*node.value)[place], step(keep, node.step, nullptr, place)});
  }

  void by_index(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!node.value->is_array()) return;
    const auto size = static_cast<std::int64_t>(node.value->size());
    const std::int64_t index = selector.index < 0 ? selector.index + size : selector.index;
    if (index >= 0 && index < size) put_item(node, index, keep, out);
  }

  // §2.3.4.2.2.
  void by_slice(const Selector& selector, const Node& node, bool keep, Nodes& out) {
    if (!node.value->is_array() || selector.step == 0) return;
    const auto size = static_cast<std::int64_t>(node.value->size());
    const bool forward = selector.step > 0;
    const auto normal = [size](std::int64_t i) { return i >= 0 ? i : size + i; };
    const std::int64_t start = normal(selector.start.value_or(forward ? 0 : size - 1));
    const std::int64_t end = selector.end ? normal(*selector.end) : (forward ? size : -1);
    if (forward) {
      const std::int64_t upper = std::clamp<std::int64_t>(end, 0, size);
      for (std::int64_t i = std::clamp<std::int64_t>(start, 0, size); i < upper && !ended_; i += selector.step) {
        put_item(node, i, keep, out);
      }
    } else {
      const std::int64_t lower = std::clamp<std::int64_t>(end, -1, size - 1);
      for (std::int64_t i = std::clamp<std::int64_t>(start, -1, size - 1); i > lower && !ended_; i += selector.step) {
        put_item(node, i, keep, out);
      }
    }
  }

  // --- filters ---

  Nodes select_in(const Query& query, const Json& current) {
    return select(query, query.relative ? current : document_, false);
  }

  bool holds(const Expression& expression, const Json& current) {
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

  bool compare(const Expression& expression, const Json& current) {
    const Value left = value_of(*expression.parts[0], current), right = value_of(*expression.parts[1], current);
    const Json *a = left.get(), *b = right.get();
    const bool equal = a && b ? is_equal(*a, *b) : !a && !b;
    switch (expression.comparison) {
      case Comparison::kEqual:
        return equal;
      case Comparison::kNotEqual:
        return !equal;
      case Comparison::kLess:
        return a && b && is_less(*a, *b);
      case Comparison::kGreater:
        return a && b && is_less(*b, *a);
      case Comparison::kLessEqual:
        return equal || (a && b && is_less(*a, *b));
      case Comparison::kGreaterEqual:
        return equal || (a && b && is_less(*b, *a));
    }
    return false;
  }

  Value value_of(const Expression& expression, const Json& current) {
    Value value;
    if (expression.kind == Kind::kLiteral) {
      value.json = &expression.literal;
    } else if (expression.kind == Kind::kQuery) {
      value.json = single(select_in(expression.query, current));
    } else if (expression.function == Function::kLength) {
      const Value of = value_of(*expression.parts.front(), current);
      if (const Json* json = of.get()) return length(*json);
    } else if (expression.function == Function::kCount) {
      return Value::of(select_in(expression.parts.front()->query, current).size());
    } else if (expression.function == Function::kValue) {
      value.json = single(select_in(expression.parts.front()->query, current));
    }
    return value;
  }

  static const Json* single(const Nodes& nodes) { return nodes.size() == 1 ? nodes.front().value : nullptr; }

  static Value length(const Json& json) {
    if (json.is_string()) return Value::of(characters_of(json.get_ref<const std::string&>()));
    return json.is_structured() ? Value::of(json.size()) : Value();
  }

  bool matches(const Expression& expression, const Json& current) {
    const Value text = value_of(*expression.parts[0], current), pattern = value_of(*expression.parts[1], current);
    if (!text.get() || !pattern.get() || !text.get()->is_string() || !pattern.get()->is_string()) return false;
    const auto& source = pattern.get()->get_ref<const std::string&>();
    const regex::Regex* compiled = this->pattern(source, expression.function == Function::kMatch);
    return compiled && compiled->is_in(text.get()->get_ref<const std::string&>());
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

  const Json& document_;
  const JsonPathLimits& limits_;
  std::deque<Step> steps_;
  std::map<std::string, std::optional<regex::Regex>> patterns_[2];
  std::size_t visits_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace jsonpath

Result<JsonPath> JsonPath::parse(std::string_view text) {
  SLUICE_TRY(jsonpath::Query query, jsonpath::parse_query(text));
  return JsonPath(std::make_shared<const jsonpath::Query>(std::move(query)));
}

JsonPathFound JsonPath::find(const Json& document, const JsonPathLimits& limits) const {
  return jsonpath::Finder(document, limits).run(*query_);
}

}  // namespace sluice::analysis
