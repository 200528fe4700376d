#include "app/policy_file.h"

#include "gateway/policy_gate.h"
#include "tools/twins.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxPolicy = 1 * kMiB;

}  // namespace

Result<std::string> load_policy_text(const std::string& path, FileMark* mark) {
  return load_trusted(path, kMaxPolicy, Readers::kAnybody, mark);
}

namespace {

// `warn`: of names and arguments, for which every tool is made: not at each start without a policy.
enum class Warn { kYes, kNo };
LoadedPolicy compile_policy(std::string_view text, const std::string& name, Warn warn,
                            policy::Tools whose = policy::Tools::kOurs) {
  LoadedPolicy loaded;
  policy::Parsed parsed = policy::parse_policy(text);
  for (const policy::Problem& error : parsed.errors) loaded.errors.push_back(to_string(error, name));
  if (!parsed.document) return loaded;
  for (const policy::Problem& one : parsed.notes) loaded.warnings.push_back(to_string(one, name));
  const std::vector<tools::Tool> all = warn == Warn::kYes ? tools::all_tools() : std::vector<tools::Tool>();
  for (const policy::Problem& one : policy::lint(*parsed.document, known_tools(all))) {
    loaded.warnings.push_back(to_string(one, name));
  }
  for (const policy::Problem& one : policy::unenforced(*parsed.document, whose)) {
    loaded.errors.push_back(to_string(one, name));
  }
  if (!loaded.errors.empty()) return loaded;
  auto engine = policy::Engine::compile(*std::move(parsed.document));
  if (engine) {
    loaded.engine = *std::move(engine);
  } else {
    loaded.errors.push_back(name + ": " + engine.error().message);
  }
  return loaded;
}

}  // namespace

LoadedPolicy load_full_policy() { return compile_policy(full_policy_text(), "policies/full.json", Warn::kNo); }

LoadedPolicy load_policy(const std::string& path, FileMark* mark, ToolsOf whose) {
  const auto text = load_policy_text(path, mark);
  if (text && whose == ToolsOf::kOurs) return compile_policy(*text, path, Warn::kYes);
  if (text) return compile_policy(*text, path, Warn::kNo, policy::Tools::kOthers);
  LoadedPolicy loaded;
  loaded.errors.push_back(text.error().message);
  return loaded;
}

std::vector<policy::KnownTool> known_tools(const std::vector<tools::Tool>& tools) {
  std::vector<policy::KnownTool> known;
  for (const tools::Tool& tool : tools) {
    policy::KnownTool one{tool.name, gateway::policy_risk(tool.risk), {}};
    for (const tools::Field& field : tool.fields) one.arguments.push_back(field.name);
    for (const auto& [mitmproxy, proxy] : tools::twins()) {
      if (tool.name == mitmproxy) one.twins.push_back(proxy);
      if (tool.name == proxy) one.twins.push_back(mitmproxy);
    }
    known.push_back(std::move(one));
  }
  return known;
}

std::string_view full_policy_text() {
  return R"({
  "version": "1",
  "description": "Every tool, secrets where asked for; everything is audited.",
  "default": "allow",
  "tools": {
    "*": {"result": {"raw": true}}
  }
}
)";
}

}  // namespace sluice::app
