// docs/tools.md from the definitions.
#include <fmt/format.h>

#include "tools/tool.h"

namespace sluice::tools {
namespace {

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::kString:
      return "string";
    case FieldType::kNumber:
      return "number";
    case FieldType::kInteger:
      return "integer";
    case FieldType::kBoolean:
      return "boolean";
    case FieldType::kObject:
      return "object";
    case FieldType::kStringArray:
      return "array of strings";
    case FieldType::kStringMap:
      return "object of strings";
    case FieldType::kNullableStringMap:
      return "object of strings or null";
    case FieldType::kPairs:
      return "array of pairs of strings";
    case FieldType::kObjects:
      return "array of objects";
    case FieldType::kAny:
      return "any";
  }
  return "";
}

void add_fields(std::string& out, const std::vector<Field>& fields, const std::string& prefix) {
  for (const Field& field : fields) {
    std::string about(field.meaning);
    if (field.takes_handles) about += kTakesHandles;
    if (!field.choices.empty()) {
      about += fmt::format("{}`{}`", about.empty() ? "" : " ", fmt::join(field.choices, "`, `"));
    }
    const std::string when = field.required                  ? "required"
                             : field.default_value.is_null() ? ""
                                                             : fmt::format("`{}`", dump_json(field.default_value));
    out += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix, field.name, type_name(field.type), when, about);
    add_fields(out, field.fields, fmt::format("{}{}.", prefix, field.name));
  }
}

void add_tool(std::string& out, const Tool& tool) {
  out += fmt::format("\n## {}\n\n{}\n\nRisk: {}.{} Answers", tool.name, tool.summary, to_string(tool.risk),
                     (tool.hints & kCore) ? " In `core`." : "");
  for (std::size_t i = 0; i < tool.result.size(); ++i) {
    const ResultField& field = tool.result[i];
    out += fmt::format("{} `{}`{}", i == 0 ? "" : ",", field.name, field.optional ? "?" : "");
  }
  out += ".\n";
  if (tool.fields.empty()) return;
  out += "\n| argument | type | default | meaning |\n|---|---|---|---|\n";
  add_fields(out, tool.fields, "");
}

}  // namespace

std::string tools_markdown(const std::vector<Tool>& tools) {
  std::string out =
      "# Tools\n\n"
      "Made from the definitions by `sluice tools --markdown`; a test keeps it true.\n\n"
      "Unknown arguments are refused with the nearest name, `null` means absent, numbers are clamped. An answer is one "
      "JSON object whose first member is `status`; a failure has `isError`. Secrets are masked unless `show_secrets` "
      "is true; an answer that was cut says so (`truncated`, `next_offset`, `cut`).\n";
  for (const Tool& tool : tools) add_tool(out, tool);
  return out;
}

}  // namespace sluice::tools
