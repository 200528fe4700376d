// `sluice rules export|import`: the rules of a running `serve` as a file, and back.
#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "app/commands.h"
#include "app/serve_calls.h"
#include "base/limits.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMostFile = 256 * kMiB;  // as many octets of text as all rules may hold

constexpr ByteCount kEnvelope = 1 * kKiB;  // of the call around the arguments

// What a rule is made of; the rest is what this process knows of it.
constexpr std::array<const char*, 7> kMembers{"description", "priority", "enabled", "on_match",
                                              "persist",     "matcher",  "handler"};

Json made_of(const Json& rule) {
  Json made = Json::object();
  for (const char* member : kMembers) {
    if (const Json* value = find_member(rule, member)) made[member] = *value;
  }
  return made;
}

// All of them, in order of evaluation, however long the list is.
Result<Json> list_rules(const ControlEndpoint& serve) {
  Json all = Json::array();
  for (std::size_t total = 1; all.size() < total;) {
    SLUICE_TRY(const Json page, call_tool(serve, "proxy_list_rules", Json{{"offset", all.size()}}));
    const Json* rules = find_member(page, "rules");
    const Json* count = find_member(page, "count");
    total = count ? count->get<std::size_t>() : 0;
    if (total == all.size()) break;
    if (!rules || rules->empty()) return fail(Code::kTooLarge, "a rule is too large to be listed");
    if (find_member(page, "cut")) return fail(Code::kTooLarge, "a rule is too large to be listed whole");
    for (const Json& rule : *rules) all.push_back(rule);
  }
  return all;
}

Status write_text(const std::string& file, const std::string& text) {
  if (file.empty() || file == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? Status{} : fail(Code::kIo, "standard output cannot be written");
  }
  SystemFileSystem files;
  return files.save_file(file, text);
}

Result<std::string> read_text(const std::string& file) {
  if (!file.empty() && file != "-") return SystemFileSystem().load_file(file, kMostFile);
  std::string text;
  std::array<char, 65536> space;
  for (std::size_t got; (got = std::fread(space.data(), 1, space.size(), stdin)) > 0;) {
    text.append(space.data(), got);
    if (text.size() > kMostFile) return fail(Code::kTooLarge, "standard input holds more than 256 MiB");
  }
  return text;
}

int export_rules(const Config& config, const ControlEndpoint& serve) {
  const auto rules = list_rules(serve);
  if (!rules) return report(rules.error());
  Json list = Json::array();
  for (const Json& rule : *rules) list.push_back(made_of(rule));
  const Status written = write_text(config.subject, dump_json(Json{{"rules", list}}, JsonStyle::kIndented) + "\n");
  if (!written) return report(written.error());
  if (!config.subject.empty() && config.subject != "-") fmt::print(stderr, "{} rules written\n", list.size());
  return 0;
}

// The list in what an export, or proxy_list_rules, has said.
Result<Json> parse_rules(const std::string& text) {
  auto json = parse_json(text);
  if (!json) return fail(Code::kInvalid, "not JSON: " + json.error().message);
  const Json* list = json->is_array() ? &*json : json->is_object() ? find_member(*json, "rules") : nullptr;
  if (!list || !list->is_array())
    return fail(Code::kInvalid, "expected {\"rules\": [...]}, as `sluice rules export` writes");
  for (const Json& rule : *list) {
    if (!rule.is_object()) return fail(Code::kInvalid, "a rule must be an object");
  }
  return *list;
}

int import_rules(const Config& config, const ControlEndpoint& serve) {
  const auto text = read_text(config.subject);
  if (!text) return report(text.error());
  const auto list = parse_rules(*text);
  if (!list)
    return report({Code::kRefused, (config.subject.empty() ? "-" : config.subject) + ": " + list.error().message});
  Json rules = Json::array();
  for (const Json& rule : *list) rules.push_back(made_of(rule));
  Json arguments = {{"rules", std::move(rules)}, {"replace", config.replace}};
  if (dump_json(arguments).size() + kEnvelope > McpLimits().max_owner_message) {
    return report({Code::kTooLarge, fmt::format("{} rules take more than 64 MiB: import them in several files; nothing "
                                                "was imported",
                                                list->size())});
  }
  const auto done = call_tool(serve, "proxy_import_rules", std::move(arguments));
  if (!done) return report({Code::kRefused, done.error().message + "; nothing was imported"});
  const Json* removed = find_member(*done, "removed");
  fmt::print(stderr, "{} rules imported{}\n", list->size(),
             removed && *removed != 0 ? fmt::format(", {} that were there removed", removed->dump()) : "");
  return 0;
}

}  // namespace

int run_rules(const Config& config) {
  const auto serve = find_serve(config);
  if (!serve) return report(serve.error());
  return config.action == "export" ? export_rules(config, *serve) : import_rules(config, *serve);
}

}  // namespace sluice::app
