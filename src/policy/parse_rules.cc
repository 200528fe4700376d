// Rules and their conditions.
#include <fmt/format.h>

#include <array>

#include "policy/condition.h"
#include "policy/parse_reader.h"

namespace sluice::policy {
namespace {

constexpr std::array<std::string_view, 15> kOperators{"eq",       "neq",         "lt",      "lte",    "gt",
                                                      "gte",      "in",          "not_in",  "exists", "regex",
                                                      "contains", "path_within", "host_in", "cidr",   "schema"};
constexpr std::size_t kMaxRules = 10'000;  // of one list: a mistake, or an attack on the reader's time

std::optional<Condition> parse_condition(Reader& reader, const Place& place) {
  if (!reader.object(place, {"path", "op", "value"})) return std::nullopt;
  bool whole = true;
  for (const std::string_view name : {"path", "op", "value"}) {
    if (reader.has(place, name)) continue;
    reader.error(place, fmt::format("a condition needs \"{}\"", name));
    whole = false;
  }
  if (!whole) return std::nullopt;
  Condition condition;
  condition.line = place.node.line;
  condition.path = reader.text(place, "path");
  const auto op = reader.choice(place.at("op"), kOperators);
  if (!op || !place.node.find("path")->is(Node::Kind::kString)) return std::nullopt;
  condition.op = static_cast<Operator>(*op);
  condition.value = *place.node.find("value");
  if (const auto path = ArgumentPath::parse(condition.path); !path) {
    reader.error(place.at("path"), path.error().message);
    whole = false;
  }
  if (const auto operand = Operand::compile(condition.op, condition.value); !operand) {
    reader.error(place.at("value"), operand.error().message);
    whole = false;
  }
  if (!whole) return std::nullopt;
  return condition;
}

std::optional<Rule> parse_rule(Reader& reader, const Place& place) {
  if (!reader.object(place, {"conditions", "any_of", "on_deny"})) return std::nullopt;
  Rule rule;
  rule.line = place.node.line;
  if (!reader.has(place, "conditions") && !reader.has(place, "any_of")) {
    reader.error(place, "a rule needs \"conditions\" or \"any_of\" (\"conditions\": [] means always)");
    return std::nullopt;
  }
  if (reader.has(place, "conditions")) rule.conditions = parse_conditions(reader, place.at("conditions"));
  if (reader.has(place, "any_of")) {
    const Place any = place.at("any_of");
    if (reader.expect(any, Node::Kind::kArray) && any.node.items.empty()) reader.error(any, "any_of needs a list");
    for (std::size_t i = 0; any.node.is(Node::Kind::kArray) && i < any.node.items.size(); ++i) {
      if (any.at(i).node.is(Node::Kind::kArray) && any.at(i).node.items.empty()) {
        reader.error(any.at(i), "an empty list would always hold");
      }
      rule.any_of.push_back(parse_conditions(reader, any.at(i)));
    }
  }
  if (reader.has(place, "on_deny")) rule.on_deny = reader.text(place, "on_deny");
  return rule;
}

}  // namespace

std::string_view to_string(Operator op) { return kOperators[static_cast<std::size_t>(op)]; }

Conditions parse_conditions(Reader& reader, const Place& place) {
  Conditions out;
  if (!reader.expect(place, Node::Kind::kArray)) return out;
  for (std::size_t i = 0; i < place.node.items.size(); ++i) {
    if (auto condition = parse_condition(reader, place.at(i))) out.push_back(*std::move(condition));
  }
  return out;
}

std::vector<Rule> parse_rules(Reader& reader, const Place& place) {
  std::vector<Rule> out;
  if (!reader.expect(place, Node::Kind::kArray)) return out;
  if (place.node.items.size() > kMaxRules) {
    reader.error(place, fmt::format("more than {} rules", kMaxRules));
    return out;
  }
  for (std::size_t i = 0; i < place.node.items.size(); ++i) {
    if (auto rule = parse_rule(reader, place.at(i))) out.push_back(*std::move(rule));
  }
  return out;
}

}  // namespace sluice::policy
