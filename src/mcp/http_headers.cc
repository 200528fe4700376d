#include "mcp/http_headers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "base/text.h"
#include "mcp/meta.h"

namespace sluice::mcp {
namespace {

constexpr std::string_view kMark = "x-mcp-header";
constexpr double kMaxInteger = 9007199254740991.0;  // 2^53 - 1

// Where JSON Schema 2020-12, and what came before it, has schemas: one, a list of them, or a map.
constexpr std::array<std::string_view, 11> kOne{"items",
                                                "additionalItems",
                                                "contains",
                                                "additionalProperties",
                                                "not",
                                                "propertyNames",
                                                "if",
                                                "then",
                                                "else",
                                                "unevaluatedItems",
                                                "unevaluatedProperties"};
constexpr std::array<std::string_view, 5> kLists{"oneOf", "anyOf", "allOf", "prefixItems", "items"};
constexpr std::array<std::string_view, 4> kMaps{"patternProperties", "dependentSchemas", "$defs", "definitions"};

// RFC 9110 §5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

class Marks {
 public:
  Result<std::vector<ParamHeader>> find(const Json& schema) {
    walk(schema, Where::kRoot);
    if (!wrong_.empty()) return fail(Code::kInvalid, wrong_);
    return std::move(found_);
  }

 private:
  enum class Where { kRoot, kProperty, kElsewhere };

  void walk(const Json& schema, Where where) {
    if (!schema.is_object()) return;
    if (const auto mark = schema.find(std::string(kMark)); mark != schema.end()) take(schema, *mark, where);
    if (const Json* properties = find_member(schema, "properties"); properties && properties->is_object()) {
      for (const auto& [name, property] : properties->items()) {
        path_.push_back(name);
        walk(property, where == Where::kElsewhere ? where : Where::kProperty);
        path_.pop_back();
      }
    }
    for (const std::string_view key : kOne) {
      if (const Json* one = find_member(schema, key)) walk(*one, Where::kElsewhere);
    }
    for (const std::string_view key : kLists) walk_all(find_member(schema, key));
    for (const std::string_view key : kMaps) walk_all(find_member(schema, key));
  }

  void walk_all(const Json* schemas) {
    if (!schemas || !schemas->is_structured()) return;
    for (const Json& one : *schemas) walk(one, Where::kElsewhere);
  }

  void take(const Json& schema, const Json& mark, Where where) {
    const Json* type = find_member(schema, "type");
    const bool plain = type && (*type == "string" || *type == "integer" || *type == "boolean");
    if (where != Where::kProperty) {
      wrong_ = "x-mcp-header stands where no argument is";
    } else if (!mark.is_string() || !is_token(mark.get_ref<const std::string&>())) {
      wrong_ = "x-mcp-header is no field's name";
    } else if (!plain) {
      wrong_ = "x-mcp-header stands at an argument that is no string, integer or boolean";
    } else if (!names_.insert(to_lower(mark.get_ref<const std::string&>())).second) {
      wrong_ = "x-mcp-header has a name twice";
    } else {
      found_.push_back({"Mcp-Param-" + mark.get<std::string>(), path_});
    }
  }

  std::vector<ParamHeader> found_;
  std::set<std::string> names_;
  std::vector<std::string> path_;
  std::string wrong_;
};

std::optional<std::string> header_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_integer()) return value.dump();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::trunc(number) != number || std::abs(number) > kMaxInteger) return std::nullopt;
  return std::to_string(static_cast<std::int64_t>(number));
}

}  // namespace

std::string encode_header_value(std::string_view value) {
  const bool plain =
      std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= 0x20 && c <= 0x7E); });
  const bool padded = trim(value).size() != value.size();
  const bool like_base64 = value.starts_with("=?base64?") && value.ends_with("?=");
  if (plain && !padded && !like_base64) return std::string(value);
  return "=?base64?" + base64_encode(value) + "?=";
}

Result<std::vector<ParamHeader>> find_param_headers(const Json& schema) { return Marks().find(schema); }

namespace {

std::optional<std::string> value_at(const Json& params, const ParamHeader& marked) {
  const Json* value = find_member(params, "arguments");
  for (const std::string& step : marked.path) value = value ? find_member(*value, step) : nullptr;
  return value ? header_text(*value) : std::nullopt;
}

// Integers are compared as numbers: 42.0 is 42.
std::string canonical(const std::string& text) {
  const auto number = parse_json(text);
  return number && number->is_number() ? header_text(*number).value_or(text) : text;
}

}  // namespace

Status check_param_headers(const Json& params, std::span<const ParamHeader> marked,
                           std::span<const HeaderField> fields) {
  for (const ParamHeader& one : marked) {
    const auto wanted = value_at(params, one);
    std::optional<std::string> found;
    for (const HeaderField& field : fields) {
      if (!iequals(field.name, one.field)) continue;
      if (found) return fail(Code::kInvalid, one.field + " is repeated");
      found = decode_header_value(trim(field.value));
      if (!found) return fail(Code::kInvalid, one.field + " is badly encoded");
    }
    if (wanted.has_value() != found.has_value()) {
      return fail(Code::kInvalid, one.field + (wanted ? " is missing" : " stands for nothing in the body"));
    }
    if (wanted && *wanted != *found && canonical(*wanted) != canonical(*found)) {
      return fail(Code::kInvalid, one.field + " is not what the body says");
    }
  }
  return {};
}

HeaderFields modern_headers(std::string_view method, const Json& params, std::span<const ParamHeader> marked) {
  HeaderFields fields{{"MCP-Protocol-Version", encode_header_value(claimed_version(params))},
                      {"Mcp-Method", encode_header_value(method)}};
  const bool by_name = method == "tools/call" || method == "prompts/get";
  const bool by_task = method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel";
  const char* source = by_name ? "name" : by_task ? "taskId" : method == "resources/read" ? "uri" : nullptr;
  const Json* name = source ? find_member(params, source) : nullptr;
  if (name && name->is_string()) {
    fields.emplace_back("Mcp-Name", encode_header_value(name->get_ref<const std::string&>()));
  }
  for (const ParamHeader& one : marked) {
    if (const auto text = value_at(params, one)) fields.emplace_back(one.field, encode_header_value(*text));
  }
  return fields;
}

}  // namespace sluice::mcp
