// Strict reading of a tool's arguments by its own fields (engine.md 8): unknown names are refused with the nearest one
// at every depth, null means absent, fractions are cut off, numbers are clamped, defaults are filled in.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "tools/tool.h"

namespace sluice::tools {
namespace {

// Integers beyond this lose digits in a double, and every field is far smaller.
constexpr double kLargestInteger = 9007199254740991.0;
// Names of the caller are repeated in errors up to this length.
constexpr std::size_t kMaxEcho = 64;

std::string echo_name(std::string_view name) {
  const std::string repaired = repair_utf8(name);
  const std::string_view kept = utf16_prefix(repaired, kMaxEcho);
  return dump_json(Json(kept.size() < repaired.size() ? std::string(kept) + "..." : std::string(kept)));
}

std::string join(std::string_view path, std::string_view name) {
  if (path.empty()) return std::string(name);
  return fmt::format("{}.{}", path, name);
}

tl::unexpected<Error> refuse(std::string message) { return fail(Code::kInvalid, std::move(message)); }

Result<Json> parse_object(const std::vector<Field>& fields, const Json& value, const std::string& path);

Result<Json> parse_number(const Field& field, const Json& value, const std::string& path) {
  if (!value.is_number()) return refuse(fmt::format("{} must be a number", path));
  double number = value.get<double>();
  if (!std::isfinite(number)) return refuse(fmt::format("{} must be a finite number", path));
  if (field.type == FieldType::kInteger) number = std::clamp(std::trunc(number), -kLargestInteger, kLargestInteger);
  if (field.minimum) number = std::max(number, *field.minimum);
  if (field.maximum) number = std::min(number, *field.maximum);
  if (number == std::trunc(number) && std::abs(number) <= kLargestInteger)
    return Json(static_cast<std::int64_t>(number));
  return Json(number);
}

Result<Json> parse_choice(const Field& field, const Json& value, const std::string& path) {
  if (!value.is_string()) return refuse(fmt::format("{} must be a string", path));
  const auto& text = value.get_ref<const std::string&>();
  if (!field.choices.empty() && std::find(field.choices.begin(), field.choices.end(), text) == field.choices.end()) {
    return refuse(fmt::format("{} must be one of \"{}\"", path, fmt::join(field.choices, "\", \"")));
  }
  return value;
}

Result<Json> parse_map(const Json& value, const std::string& path, bool nullable) {
  if (!value.is_object()) return refuse(fmt::format("{} must be an object of strings", path));
  for (const auto& [name, member] : value.items()) {
    if (member.is_string() || (nullable && member.is_null())) continue;
    return refuse(fmt::format("{} of {} must be a string{}", echo_name(name), path, nullable ? " or null" : ""));
  }
  return value;
}

Result<Json> parse_strings(const Field& field, const Json& value, const std::string& path) {
  if (!value.is_array()) return refuse(fmt::format("{} must be an array of strings", path));
  for (std::size_t i = 0; i < value.size(); ++i) {
    SLUICE_CHECK(parse_choice(field, value[i], fmt::format("{}[{}]", path, i)));
  }
  return value;
}

Result<Json> parse_pairs(const Json& value, const std::string& path) {
  const auto bad = [](const Json& pair) {
    return !pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string();
  };
  if (!value.is_array()) return refuse(fmt::format("{} must be an array of pairs of strings", path));
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (bad(value[i])) return refuse(fmt::format("{}[{}] must be an array of exactly 2 strings", path, i));
  }
  return value;
}

Result<Json> parse_value(const Field& field, const Json& value, const std::string& path) {
  switch (field.type) {
    case FieldType::kString:
      return parse_choice(field, value, path);
    case FieldType::kNumber:
    case FieldType::kInteger:
      return parse_number(field, value, path);
    case FieldType::kBoolean:
      if (!value.is_boolean()) return refuse(fmt::format("{} must be a boolean", path));
      return value;
    case FieldType::kObject:
      return parse_object(field.fields, value, path);
    case FieldType::kStringArray:
      return parse_strings(field, value, path);
    case FieldType::kStringMap:
      return parse_map(value, path, false);
    case FieldType::kNullableStringMap:
      return parse_map(value, path, true);
    case FieldType::kPairs:
      return parse_pairs(value, path);
    case FieldType::kObjects: {
      if (!value.is_array()) return refuse(fmt::format("{} must be an array of objects", path));
      Json parsed = Json::array();
      for (std::size_t i = 0; i < value.size(); ++i) {
        SLUICE_TRY(Json item, parse_object(field.fields, value[i], fmt::format("{}[{}]", path, i)));
        parsed.push_back(std::move(item));
      }
      return parsed;
    }
    case FieldType::kAny:
      return value;
  }
  return refuse(fmt::format("{} cannot be read", path));
}

std::string unknown_name(const std::vector<Field>& fields, std::string_view name, const std::string& path) {
  std::vector<std::string_view> names;
  for (const Field& field : fields) names.push_back(field.name);
  std::string text = fmt::format("unknown argument {}", echo_name(name));
  if (!path.empty()) text += fmt::format(" in {}", path);
  if (names.empty()) return text + " (it takes none)";
  if (const auto near = nearest(name, names)) return text + fmt::format(", did you mean \"{}\"?", *near);
  return text + fmt::format(" (it takes {})", fmt::join(names, ", "));
}

Result<Json> parse_object(const std::vector<Field>& fields, const Json& value, const std::string& path) {
  if (!value.is_object()) return refuse(fmt::format("{} must be an object", path.empty() ? "arguments" : path));
  for (const auto& [name, member] : value.items()) {
    const auto known = [&n = name](const Field& field) { return field.name == n; };
    if (std::none_of(fields.begin(), fields.end(), known)) return refuse(unknown_name(fields, name, path));
  }
  Json parsed = Json::object();
  for (const Field& field : fields) {
    const Json* member = find_member(value, field.name);
    if (!member && field.type == FieldType::kAny && value.contains(field.name))
      member = &value[std::string(field.name)];
    if (member) {
      SLUICE_TRY(parsed[std::string(field.name)], parse_value(field, *member, join(path, field.name)));
    } else if (field.required) {
      return refuse(fmt::format("{} is required", join(path, field.name)));
    } else if (field.default_filled && !field.default_value.is_null()) {
      parsed[std::string(field.name)] = field.default_value;
    }
  }
  return parsed;
}

}  // namespace

Result<Json> parse_arguments(const Tool& tool, const Json& arguments) {
  static const Json kNone = Json::object();
  auto parsed = parse_object(tool.fields, arguments.is_null() ? kNone : arguments, "");
  if (parsed) return parsed;
  return fail(Code::kInvalid, fmt::format("MCP error -32602: Input validation error: Invalid arguments for tool {}: {}",
                                          tool.name, parsed.error().message));
}

}  // namespace sluice::tools
