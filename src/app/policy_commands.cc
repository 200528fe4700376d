// `sluice policy check|explain|test|simulate|learn|convert|scan`: work on policies without running them.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/home.h"
#include "app/pinned_tools.h"
#include "app/policy_file.h"
#include "app/policy_simulate.h"
#include "policy/intercept.h"

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

// Whose tools a policy is compared with.
struct Compared {
  std::vector<policy::KnownTool> tools;
  std::string server;  // empty: our own
};

std::vector<Problem> warnings_of(const policy::Document& document, const Compared& compared) {
  std::vector<Problem> warnings = policy::lint(document, compared.tools, compared.server);
  const auto whose = compared.server.empty() ? policy::Tools::kOurs : policy::Tools::kOthers;
  for (Problem& problem : policy::unenforced(document, whose)) warnings.push_back(std::move(problem));
  std::stable_sort(warnings.begin(), warnings.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  return warnings;
}

// True if the file may be put in force as far as its text goes.
bool check_file(const std::string& file, const Compared& compared, bool json) {
  const auto text = load_policy_text(absolute_path(file));
  policy::Parsed parsed;
  if (text) {
    parsed = policy::parse_policy(*text);
  } else {
    parsed.errors.push_back({0, "", text.error().message});
  }
  std::vector<Problem> warnings = parsed.document ? warnings_of(*parsed.document, compared) : std::vector<Problem>();
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
  const bool ours = config.policy_server.empty() || config.policy_server == "sluice";
  const std::vector<tools::Tool> all = ours ? tools::all_tools() : std::vector<tools::Tool>();
  Result<PinnedTools> pinned = ours ? PinnedTools() : pinned_tools(config, config.policy_server);
  if (!pinned) return report(pinned.error());
  const Compared compared{ours ? known_tools(all) : known_tools(*pinned), ours ? "" : config.policy_server};
  bool valid = true;
  for (const std::string& file : config.arguments) valid = check_file(file, compared, config.json) && valid;
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

int test(const Config& config) {
  if (config.policy_tool.empty()) return usage("`policy test` needs --tool NAME");
  auto document = load(config.arguments.front());
  return document ? test_policy(config, *std::move(document)) : 1;
}

// A flag that says nothing to this action, so that whoever gives it means something else; empty: there is none.
std::string wrong_flag(const Config& config) {
  struct Flag {
    std::string_view name;
    bool given;
    std::string_view actions;
  };
  const Flag flags[] = {
      {"--tool", !config.policy_tool.empty(), "test"},
      {"--args", !config.policy_args.empty(), "test"},
      {"--schema", !config.policy_schema.empty(), "test"},
      {"--audit", !config.policy_audit.empty(), "simulate learn"},
      {"--calls", !config.policy_calls.empty(), "simulate learn"},
      {"--grant", !config.policy_grant.empty(), "simulate learn"},
      {"--endpoint", !config.policy_endpoint.empty(), "simulate learn"},
      {"--server", !config.policy_server.empty(), "check test simulate learn"},
      {"--to", !config.policy_to.empty(), "convert"},
      {"--state", !config.engine.state.empty(), "check test"},
      {"--upstream", !config.engine.upstream.empty(), "scan"},
      {"--upstream-header-file", !config.upstream_header_file.empty(), "scan"},
      {"--upstream-ca", !config.engine.upstream_ca.empty(), "scan"},
      {"--insecure-upstream", config.insecure_upstream, "scan"},
      {"--wait", config.policy_wait != Config().policy_wait, "scan"},
  };
  for (const Flag& flag : flags) {
    if (flag.given && flag.actions.find(config.action) == std::string_view::npos) {
      return fmt::format("`policy {}` takes no {}", config.action, flag.name);
    }
  }
  return "";
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
  if (const std::string wrong = wrong_flag(config); !wrong.empty()) return usage(wrong);
  if (config.action == "scan") return scan_policy(config);
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
