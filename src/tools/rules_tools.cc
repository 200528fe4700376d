// Add, update, list, remove, enable and disable rules. engine.md 6, proxy.md (b).
#include <fmt/format.h>

#include "tools/rule_fields.h"
#include "tools/rule_trial.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

rules::OnMatch on_match_of(const std::string& name) {
  return name == "continue" ? rules::OnMatch::kContinue : rules::OnMatch::kStop;
}

// Of proxy_add_rule's arguments, or of one rule of a list.
Result<rules::RuleSpec> spec_of(const Json& arguments, const CallContext& context) {
  rules::RuleSpec spec;
  spec.description = text_argument(arguments, "description").value_or("");
  spec.priority = number_argument(arguments, "priority").value_or(spec.priority);
  spec.on_match = on_match_of(text_argument(arguments, "on_match").value_or("stop"));
  spec.persist = flag_argument(arguments, "persist");
  spec.enabled = flag_argument(arguments, "enabled");
  spec.grant = context.grant;
  SLUICE_TRY(spec.matcher, rules::matcher_from_json(arguments["matcher"]));
  SLUICE_TRY(spec.handler, rules::handler_from_json(arguments["handler"]));
  return spec;
}

ToolResult add_rule(const Json& arguments, CallContext& context) {
  auto spec = spec_of(arguments, context);
  if (!spec) return thrown(std::move(spec).error());
  auto rule = context.services->rules.add(*std::move(spec));
  if (!rule) return thrown(std::move(rule).error());
  return Json{{"rule", rules::to_json(**rule)}};
}

ToolResult import_rules(const Json& arguments, CallContext& context) {
  std::vector<rules::RuleSpec> specs;
  for (const Json& rule : arguments["rules"]) {
    auto spec = spec_of(rule, context);
    if (!spec) return thrown(std::move(spec).error().with_context(fmt::format("rules[{}]", specs.size())));
    specs.push_back(*std::move(spec));
  }
  const auto imported = context.services->rules.import(std::move(specs), flag_argument(arguments, "replace"));
  if (!imported) return thrown(imported.error());
  Json ids = Json::array();
  for (const rules::RulePtr& rule : imported->added) ids.push_back(rule->id());
  Json answer = {{"count", ids.size()}, {"removed", imported->removed}};
  answer["rule_ids"] = std::move(ids);
  return answer;
}

ToolResult update_rule(const Json& arguments, CallContext& context) {
  rules::RuleStore::Update update;
  update.description = text_argument(arguments, "description");
  update.priority = number_argument(arguments, "priority");
  if (const auto on_match = text_argument(arguments, "on_match")) update.on_match = on_match_of(*on_match);
  if (find_member(arguments, "persist")) update.persist = flag_argument(arguments, "persist");
  if (const Json* json = find_member(arguments, "matcher")) {
    auto matcher = rules::matcher_from_json(*json);
    if (!matcher) return thrown(std::move(matcher).error());
    update.matcher = *std::move(matcher);
  }
  if (const Json* json = find_member(arguments, "handler")) {
    auto handler = rules::handler_from_json(*json);
    if (!handler) return thrown(std::move(handler).error());
    update.handler = *std::move(handler);
  }
  update.grant = context.grant;
  auto rule = context.services->rules.update(*text_argument(arguments, "rule_id"), std::move(update));
  if (!rule) return thrown(std::move(rule).error());
  return Json{{"rule", rules::to_json(**rule)}};
}

ToolResult list_rules(const Json& arguments, CallContext& context) {
  Json rules = Json::array();
  const std::vector<rules::RulePtr> all = context.services->rules.list();
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  for (std::size_t i = offset; i < all.size(); ++i) rules.push_back(rules::to_json(*all[i]));
  Json answer = {{"count", all.size()}};
  answer["rules"] = std::move(rules);
  return answer;
}

ToolResult remove_rule(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "rule_id");
  // No "Error: " in front here: the contract prints this one bare.
  SLUICE_CHECK(context.services->rules.remove(id));
  return Json{{"message", fmt::format("Rule '{}' removed.", id)}};
}

ToolResult switch_rule(const Json& arguments, CallContext& context, bool enabled) {
  const std::string id = *text_argument(arguments, "rule_id");
  rules::RuleStore::Update update;
  update.enabled = enabled;
  update.grant = context.grant;
  const auto rule = context.services->rules.update(id, std::move(update));
  if (!rule) return thrown(rule.error());
  return Json{{"message", fmt::format("Rule '{}' {}.", id, enabled ? "enabled" : "disabled")}};
}

ToolResult enable_rule(const Json& arguments, CallContext& context) { return switch_rule(arguments, context, true); }
ToolResult disable_rule(const Json& arguments, CallContext& context) { return switch_rule(arguments, context, false); }

Field on_match_field() {
  return {.name = "on_match",
          .meaning = "continue: apply edits and go on to later rules.",
          .choices = {"stop", "continue"}};
}

Field persist_field() { return {.name = "persist", .type = FieldType::kBoolean, .meaning = "Survives a restart."}; }

Field rule_id_field() { return {.name = "rule_id", .meaning = "rule_N", .required = true}; }

// Of proxy_add_rule, and of each rule of proxy_import_rules.
std::vector<Field> spec_fields() {
  Field on_match = on_match_field();
  on_match.default_value = "stop";
  return {{.name = "description", .meaning = "Shown in lists.", .required = true},
          {.name = "priority", .type = FieldType::kNumber, .meaning = "Smallest first.", .default_value = 100},
          {.name = "matcher",
           .type = FieldType::kObject,
           .meaning = "All must hold; {} matches everything.",
           .required = true,
           .fields = matcher_fields()},
          {.name = "handler",
           .type = FieldType::kObject,
           .meaning = "What to do.",
           .required = true,
           .fields = handler_fields()},
          std::move(on_match),
          persist_field(),
          {.name = "enabled", .type = FieldType::kBoolean, .default_value = true}};
}

Tool add_tool() {
  return {
      .name = "proxy_add_rule",
      .title = "Add a rule",
      .summary =
          "Change traffic from now on: mock, forward, drop, or pass with edits what a matcher selects. The first "
          "match by priority wins. A bad pattern or target is refused whole.",
      .group = "rules",
      .risk = Risk::kExecute,
      .hints = kCore | kSlow,
      .fields = spec_fields(),
      .result = {{"rule", "object", "", false, false, rule_result()}},
      .function = add_rule,
  };
}

Tool import_tool() {
  std::vector<Field> fields = spec_fields();
  fields.front().required = false;  // description
  return {
      .name = "proxy_import_rules",
      .title = "Add many rules",
      .summary = "Add a list of rules in one step, or put it in the place of those that are there: all or none.",
      .group = "rules",
      .risk = Risk::kExecute,
      .hints = kSlow,
      .fields = {{.name = "rules",
                  .type = FieldType::kObjects,
                  .meaning = "Each as for proxy_add_rule.",
                  .required = true,
                  .fields = std::move(fields)},
                 {.name = "replace",
                  .type = FieldType::kBoolean,
                  .meaning = "Remove all other rules.",
                  .default_value = false}},
      .result = {{"count", "number", ""}, {"removed", "number", ""}, {"rule_ids", "string[]", ""}},
      .function = import_rules,
  };
}

Tool update_tool() {
  return {
      .name = "proxy_update_rule",
      .title = "Change a rule",
      .summary = "Replace the given parts of a rule; matcher and handler as a whole.",
      .group = "rules",
      .risk = Risk::kWrite,
      .hints = kCore | kSlow | kIdempotent,
      .fields = {rule_id_field(),
                 {.name = "description"},
                 {.name = "priority", .type = FieldType::kNumber},
                 {.name = "matcher", .type = FieldType::kObject, .fields = matcher_fields()},
                 {.name = "handler", .type = FieldType::kObject, .fields = handler_fields()},
                 on_match_field(),
                 persist_field()},
      .result = {{"rule", "object", "", false, false, rule_result()}},
      .function = update_rule,
  };
}

// proxy_remove_rule, proxy_enable_rule, proxy_disable_rule.
Tool by_id(std::string_view name, std::string_view title, std::string_view summary, Risk risk, ToolFunction function) {
  return {.name = name,
          .title = title,
          .summary = summary,
          .group = "rules",
          .risk = risk,
          .hints = kSlow | kIdempotent,
          .fields = {rule_id_field()},
          .result = {{"message", "string", ""}},
          .function = function};
}

}  // namespace

std::vector<Tool> rules_tools() {
  Tool list = {
      .name = "proxy_list_rules",
      .title = "List rules",
      .summary = "All rules in order of evaluation, with hit counts.",
      .group = "rules",
      .risk = Risk::kRead,
      .hints = kCore | kSlow | kUncapped | kReturnsTraffic | kIdempotent | kPagesByItem,
      .fields = {{.name = "offset", .type = FieldType::kInteger, .default_value = 0, .minimum = 0}},
      .result = {{"count", "number", ""}, {"rules", "object[]", "", false, false, rule_result()}},
      .function = list_rules,
  };
  Tool remove = by_id("proxy_remove_rule", "Remove a rule", "Delete a rule.", Risk::kDestructive, remove_rule);
  remove.hints = kCore | kSlow;
  return {
      add_tool(),
      update_tool(),
      std::move(remove),
      std::move(list),
      rule_test_tool(),
      by_id("proxy_enable_rule", "Enable a rule", "Let a rule apply again.", Risk::kWrite, enable_rule),
      by_id("proxy_disable_rule", "Disable a rule", "Keep a rule but stop applying it.", Risk::kWrite, disable_rule),
      import_tool()};
}

}  // namespace sluice::tools
