// The operator `schema`.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "policy/condition.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

constexpr std::array<std::string_view, 7> kTypes{"null", "boolean", "object", "array", "number", "string", "integer"};
constexpr std::array<std::string_view, 8> kAnnotations{"$schema",     "$id",     "$comment", "title",
                                                       "description", "default", "examples", "deprecated"};

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_type(std::string_view type, const Json& value, const Number& number) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  return value.is_number() && (type == "number" ? number.is_finite() : number.is_whole());
}

bool equal(const Node& node, const Json& value, const Spellings* spellings) {
  switch (node.kind) {
    case Kind::kNull:
      return value.is_null();
    case Kind::kBoolean:
      return value.is_boolean() && value.get<bool>() == node.boolean;
    case Kind::kString:
      return value.is_string() && value.get_ref<const std::string&>() == node.text;
    case Kind::kNumber: {
      const auto found = spellings ? spellings->find(&value) : Spellings::const_iterator{};
      if (spellings && found != spellings->end())
        return Number::from_spelling(found->second).equals_spelling(node.text);
      return value.is_number() && Number::from_json(value).equals_spelling(node.text);
    }
    default:
      return false;  // compile() refuses them
  }
}

}  // namespace

struct Schema::Rules {
  std::vector<std::string> types;
  std::vector<Node> values;  // of enum and const
  bool closed_values = false;
  std::vector<std::string> required;
  std::vector<std::pair<std::string, std::shared_ptr<const Rules>>> properties;
  bool additional = true;
  std::shared_ptr<const Rules> items;
  std::optional<std::size_t> min_items, max_items, min_length, max_length;
  std::optional<Number> minimum, maximum;
  std::optional<regex::Regex> pattern;

  static Result<std::shared_ptr<const Rules>> compile(const Node& node);
  static Error wrong(const std::string& name);
  std::optional<Status> bound(const std::string& name, const Node& value);
  std::optional<Status> list(const std::string& name, const Node& value);
  Status keyword(const std::string& name, const Node& value);
  bool holds(const Json& value, const Spellings* spellings) const;
  bool holds_for_object(const Json& value, const Spellings* spellings) const;
};

Result<std::shared_ptr<const Schema::Rules>> Schema::Rules::compile(const Node& node) {
  if (!node.is(Kind::kObject)) return fail(Code::kInvalid, "a schema is an object");
  auto rules = std::make_shared<Rules>();
  for (std::size_t i = 0; i < node.items.size(); ++i) SLUICE_CHECK(rules->keyword(node.names[i].text, node.items[i]));
  return rules;
}

Error Schema::Rules::wrong(const std::string& name) {
  return {Code::kInvalid, fmt::format("the schema's \"{}\" has a value of a wrong type", name)};
}

// minItems and the like, minimum, maximum; nullopt: none of them.
std::optional<Status> Schema::Rules::bound(const std::string& name, const Node& value) {
  const Number number = value.is(Kind::kNumber) ? Number::from_spelling(value.text) : Number();
  if (name == "minimum" || name == "maximum") {
    (name == "minimum" ? minimum : maximum) = number;
    return number.is_finite() ? Status() : fail(wrong(name));
  }
  std::optional<std::size_t>* target = name == "minItems"    ? &min_items
                                       : name == "maxItems"  ? &max_items
                                       : name == "minLength" ? &min_length
                                       : name == "maxLength" ? &max_length
                                                             : nullptr;
  if (!target) return std::nullopt;
  const auto micro = number.micro();
  if (!micro || !number.is_whole()) return fail(wrong(name));
  *target = static_cast<std::size_t>(*micro / kMicro);
  return Status();
}

// type, enum, const, required: lists of what is allowed or needed; nullopt: none of them.
std::optional<Status> Schema::Rules::list(const std::string& name, const Node& value) {
  const std::vector<Node> given = value.is(Kind::kArray) && name != "const" ? value.items : std::vector<Node>{value};
  if (name == "type") {
    for (const Node& type : given) {
      const bool known = type.is(Kind::kString) && std::find(kTypes.begin(), kTypes.end(), type.text) != kTypes.end();
      if (!known) return fail(wrong(name));
      types.push_back(type.text);
    }
    return types.empty() ? fail(wrong(name)) : Status();
  }
  if (name == "enum" || name == "const") {
    if (name == "enum" && (!value.is(Kind::kArray) || given.empty())) return fail(wrong(name));
    if (closed_values) return fail(Code::kInvalid, "the schema has both enum and const");
    closed_values = true;
    values = given;
    const auto compound = [](const Node& one) { return one.is(Kind::kArray) || one.is(Kind::kObject); };
    if (std::none_of(values.begin(), values.end(), compound)) return Status();
    return fail(Code::kInvalid, "enum and const take no arrays and objects yet");
  }
  if (name != "required") return std::nullopt;
  for (const Node& item : given) {
    if (!item.is(Kind::kString)) return fail(wrong(name));
    required.push_back(item.text);
  }
  return value.is(Kind::kArray) ? Status() : fail(wrong(name));
}

Status Schema::Rules::keyword(const std::string& name, const Node& value) {
  if (auto done = bound(name, value)) return *std::move(done);
  if (auto done = list(name, value)) return *std::move(done);
  if (name == "properties") {
    if (!value.is(Kind::kObject)) return fail(wrong(name));
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      SLUICE_TRY(auto property, compile(value.items[i]));
      properties.emplace_back(value.names[i].text, std::move(property));
    }
    return {};
  }
  if (name == "additionalProperties") {
    additional = value.boolean;
    if (value.is(Kind::kBoolean)) return {};
    return fail(Code::kInvalid, "additionalProperties takes true or false only, yet");
  }
  if (name == "items") {
    SLUICE_TRY(items, compile(value));
    return {};
  }
  if (name == "pattern") {
    if (!value.is(Kind::kString)) return fail(wrong(name));
    SLUICE_TRY(pattern, regex::Regex::compile(value.text));
    return {};
  }
  if (std::find(kAnnotations.begin(), kAnnotations.end(), name) != kAnnotations.end()) return {};
  return fail(Code::kInvalid,
              fmt::format("the schema's keyword \"{}\" is not supported yet (docs/policy.md lists those that are)",
                          std::string(utf16_prefix(name, 60))));
}

bool Schema::Rules::holds_for_object(const Json& value, const Spellings* spellings) const {
  const auto& members = value.get_ref<const Json::object_t&>();
  const auto there = [&](const std::string& name) {
    return std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
  };
  if (!std::all_of(required.begin(), required.end(), there)) return false;
  return std::all_of(members.begin(), members.end(), [&](const auto& member) {
    const auto found = std::find_if(properties.begin(), properties.end(),
                                    [&](const auto& property) { return property.first == member.first; });
    return found == properties.end() ? additional : found->second->holds(member.second, spellings);
  });
}

bool Schema::Rules::holds(const Json& value, const Spellings* spellings) const {
  Number number;
  if (value.is_number()) {
    const auto found = spellings ? spellings->find(&value) : Spellings::const_iterator{};
    number = spellings && found != spellings->end() ? Number::from_spelling(found->second) : Number::from_json(value);
    if (!number.is_finite()) return false;
    if (minimum && number.compare(*minimum) < 0) return false;
    if (maximum && number.compare(*maximum) > 0) return false;
  }
  const auto is = [&](const std::string& type) { return is_type(type, value, number); };
  if (!types.empty() && std::none_of(types.begin(), types.end(), is)) return false;
  const auto same = [&](const Node& one) { return equal(one, value, spellings); };
  if (closed_values && std::none_of(values.begin(), values.end(), same)) return false;
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    if (min_length && characters(text) < *min_length) return false;
    if (max_length && characters(text) > *max_length) return false;
    if (pattern && !pattern->is_in(text)) return false;
  }
  if (value.is_array()) {
    if (min_items && value.size() < *min_items) return false;
    if (max_items && value.size() > *max_items) return false;
    const auto fits = [&](const Json& item) { return items->holds(item, spellings); };
    if (items && !std::all_of(value.begin(), value.end(), fits)) return false;
  }
  return !value.is_object() || holds_for_object(value, spellings);
}

Result<Schema> Schema::compile(const Node& node) {
  Schema schema;
  SLUICE_TRY(schema.rules_, Rules::compile(node));
  return schema;
}

Truth Schema::judge(const Json& value, const Spellings* spellings) const {
  return rules_->holds(value, spellings) ? Truth::kTrue : Truth::kFalse;
}

}  // namespace sluice::policy
