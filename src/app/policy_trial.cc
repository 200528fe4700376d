// `sluice policy test`: what becomes of one call.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/home.h"
#include "app/pinned_tools.h"
#include "app/policy_simulate.h"
#include "base/file.h"
#include "gateway/policy_gate.h"
#include "gateway/visible_text.h"
#include "policy/memory_store.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxSchema = 1 * kMiB;
constexpr std::string_view kUnjudged =
    "\"args\": \"closed\" was not: the tool's schema is not known (--server NAME or --schema FILE)";

int usage(std::string_view sentence) {
  fmt::print(stderr, "sluice: {} (see `sluice policy --help`)\n", sentence);
  return 2;
}

struct Tested {
  policy::Decision decision;
  Json counters = Json::array();
  bool args_unjudged = false;  // "args": "closed" of a tool whose schema is not known
};

// Name, arguments, then one reservation in fresh counters. `schema`: of another server's tool; null: nobody knows it.
Tested judge(const policy::Engine& engine, const policy::Call& call, const Json* schema = nullptr) {
  Tested tested;
  const policy::NameAnswer name = engine.judge_name(call.tool, call.risk);
  if (name != policy::NameAnswer::kListed) {
    tested.decision = engine.judged_name(call.tool, name);
    return tested;
  }
  tested.decision = engine.decide(call);
  if (tested.decision.verdict != policy::Verdict::kDeny && engine.document().closed_args && !call.risk) {
    tested.args_unjudged = !schema;
    auto denied = schema ? gateway::denied_by_schema(*schema, call.arguments) : std::nullopt;
    if (denied) {
      tested.decision = *std::move(denied);
      return tested;
    }
  }
  for (std::size_t i = 0; i < tested.decision.uses.size(); ++i) {
    const policy::LimitUse& use = tested.decision.uses[i];
    const auto units = [](policy::Micro micro) {
      return micro % policy::kMicro == 0 ? Json(micro / policy::kMicro)
                                         : Json(static_cast<double>(micro) / static_cast<double>(policy::kMicro));
    };
    tested.counters.push_back({{"rule", *tested.decision.limit_rules[i]},
                               {"counts", units(use.amount)},
                               {"max", units(use.max)},
                               {"window", to_string(use.window)},
                               {"sliding", use.sliding}});
  }
  policy::MemoryStore store;
  const auto reserved = store.reserve(tested.decision.uses, SystemClock().wall());
  if (!reserved) return tested;
  if (const auto* reached = std::get_if<policy::LimitReached>(&*reserved)) {
    tested.decision = policy::Engine::limit_reached(tested.decision, *reached);
  }
  return tested;
}

std::string_view verdict_text(policy::Verdict verdict, policy::Mode mode) {
  if (verdict == policy::Verdict::kAllow) return "allow";
  if (mode == policy::Mode::kMonitor) return "would_deny";
  return verdict == policy::Verdict::kDeny ? "deny" : "ask";
}

int print_tested(const Config& config, const policy::Engine& engine, const Tested& tested) {
  const std::string_view verdict = verdict_text(tested.decision.verdict, engine.document().mode);
  // What a call sends is judged where it is dialled, so that no answer here is the whole one.
  const auto& egress = engine.document().egress;
  const std::string beyond = egress ? policy::explain(*egress) : "";
  if (config.json) {
    Json answer = {{"tool", config.policy_tool},   {"decision", verdict},
                   {"rule", tested.decision.rule}, {"message", tested.decision.message},
                   {"counters", tested.counters},  {"revision", engine.revision()}};
    if (egress) answer["egress"] = beyond;
    if (tested.args_unjudged) answer["unjudged"] = Json::array({"args"});
    fmt::print("{}\n", dump_json(answer));
  } else {
    fmt::print("decision  {}\n", verdict);
    if (!tested.decision.rule.empty()) fmt::print("rule      {}\n", policy::printable(tested.decision.rule));
    if (!tested.decision.message.empty()) fmt::print("message   {}\n", policy::printable(tested.decision.message));
    for (const Json& one : tested.counters) {
      fmt::print("counter   {}: counts {} of {} in {} {}\n", policy::printable(one["rule"].get<std::string>()),
                 dump_json(one["counts"]), dump_json(one["max"]), one["sliding"].get<bool>() ? "any" : "each UTC",
                 one["window"].get<std::string>());
    }
    if (tested.args_unjudged) fmt::print("unjudged  {}\n", kUnjudged);
    if (egress) fmt::print("egress    {}\n", policy::printable(beyond));
  }
  return tested.decision.verdict == policy::Verdict::kAllow || engine.document().mode == policy::Mode::kMonitor ? 0 : 1;
}

// A schema, or an entry of tools/list that has one.
Result<Json> load_schema(const std::string& path) {
  SystemFileSystem files;
  SLUICE_TRY(const std::string text, files.load_file(absolute_path(path), kMaxSchema));
  SLUICE_TRY(Json json, parse_json(text));
  if (!json.is_object()) return fail(Code::kInvalid, path + " is no JSON Schema: it is no object");
  const Json* inner = find_member(json, "inputSchema");
  return inner && inner->is_object() ? *inner : json;
}

// Null: nobody has said.
Result<std::optional<Json>> schema_of(const Config& config) {
  if (!config.policy_schema.empty()) {
    SLUICE_TRY(Json schema, load_schema(config.policy_schema));
    return std::optional(std::move(schema));
  }
  if (config.policy_server.empty()) return std::optional<Json>();
  SLUICE_TRY(const PinnedTools tools, pinned_tools(config, config.policy_server));
  const auto found = tools.find(config.policy_tool);
  if (found == tools.end()) {
    return fail(Code::kNotFound,
                fmt::format("{} has no tool '{}' among those that are pinned here",
                            gateway::visible_text(config.policy_server), gateway::visible_text(config.policy_tool)));
  }
  return std::optional(found->second.is_null() ? Json::object() : found->second);
}

int test_others(const Config& config, const policy::Engine& engine, const policy::Node& source) {
  const auto schema = schema_of(config);
  if (!schema) return report(schema.error());
  if (config.policy_server.empty() && !*schema) {
    fmt::print(stderr, "sluice: no tool of Sluice's own: judged as another server's, with the arguments as they are\n");
  }
  const Json effective = gateway::with_defaults(schema->value_or(Json()), policy::to_json(source));
  const policy::Spellings spellings = policy::spellings_of(source, effective);
  return print_tested(config, engine,
                      judge(engine, {.tool = config.policy_tool, .arguments = effective, .spellings = &spellings},
                            *schema ? &**schema : nullptr));
}

}  // namespace

int test_policy(const Config& config, policy::Document document) {
  if (!config.policy_server.empty() && !config.policy_schema.empty()) {
    return usage("`policy test` takes --server NAME or --schema FILE, not both");
  }
  const auto source = policy::parse_source(config.policy_args.empty() ? "{}" : config.policy_args);
  if (!source) return usage("--args: " + source.error().message);
  if (!source->is(policy::Node::Kind::kObject)) return usage("--args takes a JSON object");
  const auto engine = policy::Engine::compile(std::move(document));
  if (!engine) return report(engine.error());

  const std::vector<tools::Tool> all = tools::all_tools();
  const auto tool =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == config.policy_tool; });
  const bool ours = (config.policy_server.empty() || config.policy_server == "sluice") && config.policy_schema.empty();
  if (!ours || tool == all.end()) return test_others(config, **engine, *source);
  const policy::RiskClass risk = gateway::policy_risk(tool->risk);
  // Hidden and unlisted names are answered before the arguments are looked at.
  Json effective = Json::object();
  if ((*engine)->judge_name(tool->name, risk) == policy::NameAnswer::kListed) {
    auto parsed = tools::parse_arguments(*tool, policy::to_json(*source));
    if (!parsed) return report(parsed.error());
    effective = *std::move(parsed);
  }
  return print_tested(config, **engine,
                      judge(**engine, {.tool = config.policy_tool, .risk = risk, .arguments = effective}));
}

}  // namespace sluice::app
