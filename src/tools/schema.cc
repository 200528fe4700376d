#include "tools/tool.h"

namespace sluice::tools {
namespace {

Json schema_of(const Field& field);

Json object_schema(const std::vector<Field>& fields) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : fields) {
    properties[std::string(field.name)] = schema_of(field);
    if (field.required) required.push_back(field.name);
  }
  Json schema = {{"type", "object"}};
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

Json type_schema(const Field& field) {
  switch (field.type) {
    case FieldType::kString:
      return {{"type", "string"}};
    // Integers are advertised as numbers: a fraction is cut off, not refused, and the contract says number.
    case FieldType::kNumber:
    case FieldType::kInteger:
      return {{"type", "number"}};
    case FieldType::kBoolean:
      return {{"type", "boolean"}};
    case FieldType::kObject:
      return object_schema(field.fields);
    case FieldType::kStringArray: {
      Json items = {{"type", "string"}};
      if (!field.choices.empty()) items["enum"] = field.choices;
      return {{"type", "array"}, {"items", std::move(items)}};
    }
    case FieldType::kStringMap:
      return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    case FieldType::kNullableStringMap:
      return {{"type", "object"}, {"additionalProperties", {{"type", Json::array({"string", "null"})}}}};
    case FieldType::kPairs: {
      // One schema for both items: a tuple is spelled differently in draft-07 and 2020-12.
      Json pair = {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 2}, {"maxItems", 2}};
      return {{"type", "array"}, {"items", std::move(pair)}};
    }
    case FieldType::kObjects:
      return {{"type", "array"}, {"items", object_schema(field.fields)}};
    case FieldType::kAny:
      return Json::object();
  }
  return Json::object();
}

Json schema_of(const Field& field) {
  Json schema = type_schema(field);
  if (!field.choices.empty() && field.type != FieldType::kStringArray) schema["enum"] = field.choices;
  if (!field.default_value.is_null()) schema["default"] = field.default_value;
  if (!field.meaning.empty()) schema["description"] = field.meaning;
  if (field.takes_handles) schema["description"] = std::string(field.meaning).append(kTakesHandles);
  return schema;
}

Json result_schema(const ResultField& field);

Json result_object(const std::vector<ResultField>& fields, bool with_status) {
  Json schema = {{"type", "object"}};
  Json properties = Json::object();
  Json required = Json::array();
  if (with_status) {
    properties["status"] = {{"const", "success"}};
    required.push_back("status");
  }
  for (const ResultField& field : fields) {
    properties[std::string(field.name)] = result_schema(field);
    if (!field.optional) required.push_back(field.name);
  }
  if (!properties.empty()) schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json result_schema(const ResultField& field) {
  Json schema = Json::object();
  std::string_view type = field.type;
  if (type == "object") {
    schema = result_object(field.fields, false);
  } else if (type == "array") {
    schema["type"] = "array";
  } else if (type.ends_with("[]")) {
    schema["type"] = "array";
    schema["items"] =
        type == "object[]" ? result_object(field.fields, false) : Json{{"type", type.substr(0, type.size() - 2)}};
  } else if (type != "any") {
    schema["type"] = type;
  }
  if (field.nullable && schema.contains("type")) schema["type"] = Json::array({schema["type"], "null"});
  if (!field.meaning.empty()) schema["description"] = field.meaning;
  return schema;
}

}  // namespace

std::string_view to_string(Risk risk) {
  switch (risk) {
    case Risk::kRead:
      return "read";
    case Risk::kWrite:
      return "write";
    case Risk::kExecute:
      return "execute";
    case Risk::kDestructive:
      return "destructive";
  }
  return "destructive";
}

std::optional<Toolset> find_toolset(std::string_view name) {
  if (name == "proxy") return Toolset::kProxy;
  if (name == "core") return Toolset::kCore;
  if (name == "mitmproxy") return Toolset::kMitmproxy;
  if (name == "all") return Toolset::kAll;
  return std::nullopt;
}

bool belongs_to(const Tool& tool, Toolset toolset) {
  const bool mitmproxy = (tool.hints & kMitmproxy) != 0;
  switch (toolset) {
    case Toolset::kProxy:
      return !mitmproxy;
    case Toolset::kCore:
      return (tool.hints & kCore) != 0;
    case Toolset::kMitmproxy:
      return mitmproxy && (tool.hints & kBeyondContract) == 0;
    case Toolset::kAll:
      return true;
  }
  return false;
}

Json input_schema(const Tool& tool) { return object_schema(tool.fields); }

Json output_schema(const Tool& tool) { return result_object(tool.result, (tool.hints & kMitmproxy) == 0); }

}  // namespace sluice::tools
