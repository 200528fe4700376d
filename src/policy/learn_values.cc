// What the values of one argument have in common.
#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <map>
#include <set>

#include "base/secret_names.h"
#include "policy/condition.h"
#include "policy/learn.h"
#include "policy/node_build.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;
using Values = std::vector<const Node*>;

constexpr std::size_t kMostListed = 8;  // values that are few
constexpr std::size_t kMostHosts = 16;
constexpr std::size_t kLongest = 64;    // characters of a value that is written down
constexpr std::size_t kSecretRun = 24;  // letters and digits in one piece: a key, not a word
constexpr std::size_t kMostDepth = 8;   // of a schema

bool all_are(const Values& values, Kind kind) {
  return std::all_of(values.begin(), values.end(), [&](const Node* value) { return value->is(kind); });
}

bool is_scalar(const Node& value) { return !value.is(Kind::kArray) && !value.is(Kind::kObject); }

// Whether it may stand in a policy: what is long or looks like a key may be a secret.
bool may_be_told(const Node& value) {
  if (!value.is(Kind::kString)) return true;
  if (value.text.size() > kLongest) return false;
  std::size_t run = 0;
  bool digit = false, letter = false;
  for (const char c : value.text) {
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_digit && !is_letter) {
      run = 0;
      digit = letter = false;
      continue;
    }
    digit = digit || is_digit;
    letter = letter || is_letter;
    if (++run >= kSecretRun && digit && letter) return false;
  }
  return true;
}

// Each different one once, in the order of their spelling.
std::vector<Node> distinct(const Values& values) {
  std::map<std::pair<Kind, std::string>, Node> found;
  for (const Node* value : values) {
    Node copy = *value;
    copy.line = 1;
    found.emplace(std::pair(value->kind, value->is(Kind::kBoolean) ? (value->boolean ? "1" : "0") : value->text), copy);
  }
  std::vector<Node> out;
  out.reserve(found.size());
  for (auto& [key, value] : found) out.push_back(std::move(value));
  return out;
}

bool are_few(std::size_t different, std::size_t all) { return different <= kMostListed && all >= 2 * different; }

bool is_less(const Node* a, const Node* b) {
  return std::is_lt(Number::from_spelling(a->text).compare(Number::from_spelling(b->text)));
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t longest(const Values& values) {
  std::size_t most = 0;
  for (const Node* value : values) most = std::max(most, characters(value->text));
  return most;
}

// Scalars that are few and may be told.
std::optional<Node> listed_values(const Values& values) {
  const auto fits = [](const Node* value) { return is_scalar(*value) && may_be_told(*value); };
  if (!std::all_of(values.begin(), values.end(), fits)) return std::nullopt;
  const std::vector<Node> different = distinct(values);
  if (different.size() > 1 && !are_few(different.size(), values.size())) return std::nullopt;
  return list_of(different, 1);
}

Node schema_of(const Values& values, bool secret, std::size_t depth);

Node object_schema(const Values& values, bool secret, std::size_t depth) {
  std::map<std::string, Values> members;
  for (const Node* value : values) {
    for (std::size_t i = 0; i < value->names.size(); ++i) members[value->names[i].text].push_back(&value->items[i]);
  }
  Node schema = container(Kind::kObject, 1), properties = container(Kind::kObject, 1);
  std::vector<Node> required;
  for (const auto& [name, found] : members) {
    if (found.size() == values.size()) required.push_back(text_node(name, 1));
    add(properties, name, schema_of(found, secret || find_secret_name(name), depth + 1));
  }
  add(schema, "type", text_node("object", 1));
  if (!required.empty()) add(schema, "required", list_of(required, 1));
  add(schema, "properties", std::move(properties));
  Node closed = container(Kind::kBoolean, 1);
  add(schema, "additionalProperties", std::move(closed));
  return schema;
}

// A schema that each of them fits; of several types one that says nothing.
Node schema_of(const Values& values, bool secret, std::size_t depth) {
  Node schema = container(Kind::kObject, 1);
  if (values.empty() || depth > kMostDepth) return schema;
  const auto bound = [&](std::string_view name, std::string spelling) {
    add(schema, std::string(name), number_node(std::move(spelling), 1));
  };
  if (auto listed = listed_values(values); listed && !secret) {
    add(schema, "enum", *std::move(listed));
  } else if (all_are(values, Kind::kString)) {
    add(schema, "type", text_node("string", 1));
    bound("maxLength", std::to_string(longest(values)));
  } else if (all_are(values, Kind::kNumber)) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end(), is_less);
    add(schema, "type", text_node("number", 1));
    if (!secret) {
      bound("minimum", (*least)->text);
      bound("maximum", (*most)->text);
    }
  } else if (all_are(values, Kind::kBoolean)) {
    add(schema, "type", text_node("boolean", 1));
  } else if (all_are(values, Kind::kNull)) {
    add(schema, "type", text_node("null", 1));
  } else if (all_are(values, Kind::kArray)) {
    Values items;
    std::size_t most = 0;
    for (const Node* value : values) {
      most = std::max(most, value->items.size());
      for (const Node& item : value->items) items.push_back(&item);
    }
    add(schema, "type", text_node("array", 1));
    bound("maxItems", std::to_string(most));
    if (!items.empty()) add(schema, "items", schema_of(items, secret, depth + 1));
  } else if (all_are(values, Kind::kObject)) {
    return object_schema(values, secret, depth);
  }
  return schema;
}

// The host of a URL as it is written.
std::string host_of(std::string_view url) {
  const std::size_t begin = url.find("://");
  if (begin == std::string_view::npos) return "";
  std::string_view host = url.substr(begin + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) host = host.substr(0, colon);
  return std::string(host);
}

std::optional<LearnedCondition> same_hosts(const Values& values) {
  std::set<std::string> hosts;
  for (const Node* value : values) hosts.insert(host_of(value->text));
  if (hosts.contains("") || hosts.size() > kMostHosts) return std::nullopt;
  Node list = container(Kind::kArray, 1);
  for (const std::string& host : hosts) list.items.push_back(text_node(host, 1));
  return LearnedCondition{"host_in", std::move(list), fmt::format("URLs of {} hosts", hosts.size())};
}

// The deepest folder that holds all of them, unless that is the root.
std::optional<LearnedCondition> same_folder(const Values& values) {
  std::optional<std::string> common;
  for (const Node* value : values) {
    if (!value->text.starts_with('/')) return std::nullopt;
    const std::string parent = value->text.substr(0, value->text.rfind('/'));
    if (!common) {
      common = parent;
      continue;
    }
    const auto [a, b] = std::mismatch(common->begin(), common->end(), parent.begin(), parent.end());
    const bool whole_a = a == common->end() || *a == '/', whole_b = b == parent.end() || *b == '/';
    std::string shared(common->begin(), a);
    if (!whole_a || !whole_b) shared = shared.substr(0, shared.rfind('/'));
    common = shared;
  }
  if (!common || common->empty()) return std::nullopt;
  return LearnedCondition{"path_within", text_node(*common, 1), "paths below one folder"};
}

bool holds_for_all(const LearnedCondition& condition, const Values& values) {
  static const std::map<std::string, Operator, std::less<>> kOperators{{"eq", Operator::kEq},
                                                                       {"in", Operator::kIn},
                                                                       {"host_in", Operator::kHostIn},
                                                                       {"path_within", Operator::kPathWithin},
                                                                       {"schema", Operator::kSchema}};
  const auto operand = Operand::compile(kOperators.at(condition.op), condition.value);
  return operand && std::all_of(values.begin(), values.end(), [&](const Node* value) {
           const Json json = to_json(*value);
           const Spellings spellings = spellings_of(*value, json);
           return operand->judge(json, &spellings) == Truth::kTrue;
         });
}

// The narrowest first.
std::vector<LearnedCondition> candidates(const Values& values) {
  std::vector<LearnedCondition> out;
  const bool told = std::all_of(values.begin(), values.end(), [](const Node* value) { return may_be_told(*value); });
  const bool texts = all_are(values, Kind::kString);
  const bool urls = texts && std::all_of(values.begin(), values.end(), [](const Node* value) {
                      return value->text.find("://") != std::string::npos;
                    });
  const bool scalars = std::all_of(values.begin(), values.end(), [](const Node* value) { return is_scalar(*value); });
  if (scalars && told && !urls) {
    const std::vector<Node> different = distinct(values);
    if (different.size() == 1) out.push_back({"eq", different.front(), "always the same value"});
    const bool both = all_are(values, Kind::kBoolean) && different.size() == 2;
    if (different.size() > 1 && !both && are_few(different.size(), values.size())) {
      out.push_back({"in", list_of(different, 1), fmt::format("one of {} values", different.size())});
    }
  }
  if (urls) {
    if (auto hosts = same_hosts(values)) out.push_back(*std::move(hosts));
  }
  if (texts && !urls) {
    if (auto folder = same_folder(values)) out.push_back(*std::move(folder));
  }
  return out;
}

std::string schema_reason(const Values& values, bool secret) {
  if (secret) return "its values are not looked at: the name says that they are secret";
  if (all_are(values, Kind::kNumber)) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end(), is_less);
    return fmt::format("numbers from {} to {}", (*least)->text, (*most)->text);
  }
  if (all_are(values, Kind::kString)) return fmt::format("texts of at most {} characters", longest(values));
  if (all_are(values, Kind::kBoolean)) return "true and false";
  if (all_are(values, Kind::kArray)) return "lists of what was in them";
  if (all_are(values, Kind::kObject)) return "objects of the members that were in them";
  return "values of several types: not narrowed";
}

}  // namespace

LearnedCondition learn_condition(const std::string& name, const Values& values) {
  const bool secret = find_secret_name(name) != nullptr;
  if (!secret) {
    for (LearnedCondition& one : candidates(values)) {
      if (holds_for_all(one, values)) return std::move(one);
    }
  }
  LearnedCondition schema{"schema", schema_of(values, secret, 0), schema_reason(values, secret)};
  if (!schema.value.items.empty() && holds_for_all(schema, values)) return schema;
  Node there = container(Kind::kBoolean, 1);
  there.boolean = true;
  return {"exists", std::move(there), schema_reason(values, secret)};
}

}  // namespace sluice::policy
