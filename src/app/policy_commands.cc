// `sluice policy check|explain|test|simulate|learn|convert|scan`: work on policies without running them.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/home.h"
#include "app/policy_file.h"
#include "app/policy_simulate.h"
#include "gateway/policy_gate.h"
#include "policy/intercept.h"
#include "policy/memory_store.h"

namespace sluice::app {
namespace {

using policy::Problem;

Json problems_json(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& one : problems)
    list.push_back({{"line", one.line}, {"path", one.path}, {"message", one.message}});
  return list;
}

int usage(std::string_view sentence) {
  fmt::print(stderr, "sluice: {} (see `sluice policy --help`)\n", sentence);
  return 2;
}

// The document, or its errors on standard error.
std::optional<policy::Document> load(const std::string& file, std::vector<Problem>* notes = nullptr,
                                     bool* json = nullptr) {
  const auto text = load_policy_text(absolute_path(file));
  if (!text) {
    report(text.error());
    return std::nullopt;
  }
  if (json) *json = policy::is_json_text(*text);
  policy::Parsed parsed = policy::parse_policy(*text);
  for (const Problem& error : parsed.errors) fmt::print(stderr, "{}\n", to_string(error, file));
  if (notes) *notes = std::move(parsed.notes);
  return std::move(parsed.document);
}

std::vector<Problem> warnings_of(const policy::Document& document, const std::vector<tools::Tool>& all) {
  const std::vector<policy::KnownTool> known = known_tools(all);
  std::vector<Problem> warnings = policy::lint(document, known);
  for (Problem& problem : policy::unenforced(document)) warnings.push_back(std::move(problem));
  std::stable_sort(warnings.begin(), warnings.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  return warnings;
}

// True if the file may be put in force as far as its text goes.
bool check_file(const std::string& file, const std::vector<tools::Tool>& all, bool json) {
  const auto text = load_policy_text(absolute_path(file));
  policy::Parsed parsed;
  if (text) {
    parsed = policy::parse_policy(*text);
  } else {
    parsed.errors.push_back({0, "", text.error().message});
  }
  std::vector<Problem> warnings = parsed.document ? warnings_of(*parsed.document, all) : std::vector<Problem>();
  warnings.insert(warnings.end(), parsed.notes.begin(), parsed.notes.end());
  if (json) {
    fmt::print("{}\n", dump_json(Json{{"file", file},
                                      {"valid", parsed.document.has_value()},
                                      {"errors", problems_json(parsed.errors)},
                                      {"warnings", problems_json(warnings)}}));
    return parsed.document.has_value();
  }
  if (!text) {
    fmt::print(stderr, "sluice: {}\n", text.error().message);
    return false;
  }
  for (const Problem& error : parsed.errors) fmt::print(stderr, "{}\n", to_string(error, file));
  for (const Problem& warning : warnings) fmt::print("{} (warning)\n", to_string(warning, file));
  if (parsed.document) {
    fmt::print("{}: valid{}\n", file, warnings.empty() ? "" : fmt::format(", {} warnings", warnings.size()));
  } else {
    fmt::print(stderr, "{}: not valid, {} errors\n", file, parsed.errors.size());
  }
  return parsed.document.has_value();
}

int check(const Config& config) {
  const std::vector<tools::Tool> all = tools::all_tools();
  bool valid = true;
  for (const std::string& file : config.arguments) valid = check_file(file, all, config.json) && valid;
  return valid ? 0 : 1;
}

int explain(const Config& config) {
  const auto document = load(config.arguments.front());
  if (!document) return 1;
  const std::vector<std::string> lines = policy::explain(*document);
  if (config.json) {
    fmt::print("{}\n", dump_json(Json{{"file", config.arguments.front()}, {"sentences", lines}}));
  } else {
    for (const std::string& line : lines) fmt::print("{}\n", policy::printable(line));
  }
  return 0;
}

struct Tested {
  policy::Decision decision;
  Json counters = Json::array();
};

// Name, arguments, then one reservation in fresh counters.
Tested judge(const policy::Engine& engine, const policy::Call& call) {
  Tested tested;
  const policy::NameAnswer name = engine.judge_name(call.tool, call.risk);
  if (name != policy::NameAnswer::kListed) {
    tested.decision = engine.judged_name(call.tool, name);
    return tested;
  }
  tested.decision = engine.decide(call);
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
    if (egress) fmt::print("egress    {}\n", policy::printable(beyond));
  }
  return tested.decision.verdict == policy::Verdict::kAllow || engine.document().mode == policy::Mode::kMonitor ? 0 : 1;
}

int test(const Config& config) {
  if (config.policy_tool.empty()) return usage("`policy test` needs --tool NAME");
  const auto source = policy::parse_source(config.policy_args.empty() ? "{}" : config.policy_args);
  if (!source) return usage("--args: " + source.error().message);
  if (!source->is(policy::Node::Kind::kObject)) return usage("--args takes a JSON object");
  auto document = load(config.arguments.front());
  if (!document) return 1;
  const auto engine = policy::Engine::compile(*std::move(document));
  if (!engine) return report(engine.error());

  const std::vector<tools::Tool> all = tools::all_tools();
  const auto tool =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == config.policy_tool; });
  const Json given = policy::to_json(*source);
  const policy::Spellings spellings = policy::spellings_of(*source, given);
  if (tool == all.end()) {
    fmt::print(stderr, "sluice: no tool of Sluice's own: judged as another server's, with the arguments as they are\n");
    return print_tested(config, **engine,
                        judge(**engine, {.tool = config.policy_tool, .arguments = given, .spellings = &spellings}));
  }
  const policy::RiskClass risk = gateway::policy_risk(tool->risk);
  // Hidden and unlisted names are answered before the arguments are looked at.
  Json effective = Json::object();
  if ((*engine)->judge_name(tool->name, risk) == policy::NameAnswer::kListed) {
    auto parsed = tools::parse_arguments(*tool, given);
    if (!parsed) return report(parsed.error());
    effective = *std::move(parsed);
  }
  return print_tested(config, **engine,
                      judge(**engine, {.tool = config.policy_tool, .risk = risk, .arguments = effective}));
}

int simulate(const Config& config) {
  if (config.policy_audit.empty() == config.policy_calls.empty()) {
    return usage("`policy simulate` needs --calls DIR or --audit LOG");
  }
  auto document = load(config.arguments.front());
  if (!document) return 2;
  const auto engine = policy::Engine::compile(*std::move(document));
  return engine ? simulate_policy(config, **engine) : report(engine.error());
}

// Intercept's YAML to our JSON, or back; without --to, whichever the file is not.
int convert(const Config& config) {
  const std::string& file = config.arguments.front();
  std::vector<Problem> notes;
  bool json = false;
  const auto document = load(file, &notes, &json);
  if (!document) return 1;
  const bool to_json = config.policy_to.empty() ? !json : config.policy_to == "json";
  policy::Written written;
  if (to_json) {
    written.yaml = policy::dump_source(document->source, JsonStyle::kIndented) + "\n";
  } else {
    written = policy::to_intercept(*document);
    if (json) notes.clear();
    notes.insert(notes.end(), written.notes.begin(), written.notes.end());
  }
  for (const Problem& refused : written.refused) fmt::print(stderr, "{}\n", to_string(refused, file));
  if (!written.refused.empty()) return 1;
  for (const Problem& note : notes) fmt::print(stderr, "{} (note)\n", to_string(note, file));
  fmt::print("{}", written.yaml);
  return 0;
}

}  // namespace

int run_policy(const Config& config) {
  if (config.action == "scan")
    return config.arguments.empty() ? scan_policy(config) : usage("`policy scan` takes no FILE");
  if (config.action == "learn") {
    if (!config.arguments.empty()) return usage("`policy learn` takes no FILE");
    if (config.policy_audit.empty() != config.policy_calls.empty()) return learn_policy(config);
    return usage("`policy learn` needs --calls DIR or --audit LOG");
  }
  if (config.arguments.empty()) return usage("`policy " + config.action + "` needs a FILE");
  if (config.action == "check") return check(config);
  if (config.arguments.size() > 1) return usage("`policy " + config.action + "` takes one FILE");
  if (config.action == "simulate") return simulate(config);
  if (config.action == "convert") return convert(config);
  return config.action == "explain" ? explain(config) : test(config);
}

}  // namespace sluice::app
