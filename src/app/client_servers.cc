#include "app/client_servers.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <utility>

#include "app/gateway_servers.h"
#include "base/json_spelling.h"
#include "base/text.h"
#include "base/url.h"
#include "gateway/http_client.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

constexpr std::size_t kMaxServerName = 32;
constexpr std::string_view kBearer = "bearer ";

tl::unexpected<Error> wrong(const std::string& where, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("{}: {}", where, what));
}

std::string where_of(const std::string& name) { return "mcpServers." + gateway::visible_text(name); }

Result<Json*> servers_of(Json& document) {
  const auto found = document.is_object() ? document.find("mcpServers") : document.end();
  if (found == document.end() || !found->is_object()) {
    return fail(Code::kInvalid, "there is no `mcpServers` in it: expected {\"mcpServers\": {NAME: {…}, …}}");
  }
  return &*found;
}

// Whether this is a program of ours that begins with this argument.
bool is_ours(const Json& entry, std::string_view command) {
  const Json* program = find_member(entry, "command");
  const Json* args = find_member(entry, "args");
  if (!program || !program->is_string() || !args || !args->is_array() || args->empty()) return false;
  return std::filesystem::path(program->get<std::string>()).filename() == "sluice" && args->front() == command;
}

std::string server_name(const std::string& name) {
  std::string made;
  for (const char c : to_lower(name)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    made += good ? c : '-';
  }
  return made.substr(0, kMaxServerName);
}

Json arguments_of(const GatedBy& gate, const std::string& server) {
  Json args = Json::array({"gateway"});
  if (!gate.home.empty()) {
    args.push_back("--home");
    args.push_back(gate.home);
  }
  for (const std::string& one : {std::string("--policy"), gate.policy, std::string("--name"), server}) {
    args.push_back(one);
  }
  return args;
}

Status gate_program(Json& entry, const std::string& where, const GatedBy& gate, const std::string& server) {
  Json args = arguments_of(gate, server);
  args.push_back("--");
  if (!entry["command"].is_string()) return wrong(where + ".command", "expected a text");
  args.push_back(entry["command"]);
  if (entry.contains("args")) {
    if (!entry["args"].is_array()) return wrong(where + ".args", "expected a list of texts");
    for (const Json& one : entry["args"]) {
      if (!one.is_string()) return wrong(where + ".args", "expected a list of texts");
      args.push_back(one);
    }
  }
  entry["command"] = gate.program;
  entry["args"] = std::move(args);
  return {};
}

// A credential must not become an argument: it goes as the gateway's own variable.
Status gate_url(Json& entry, const std::string& where, const GatedBy& gate, const std::string& server) {
  const Json& text = entry["url"];
  const auto url = text.is_string() ? parse_url(text.get_ref<const std::string&>()) : fail(Code::kInvalid, "");
  if (!url || (url->scheme != "http" && url->scheme != "https")) {
    return wrong(where + ".url", "expected an http or https URL");
  }
  if (url->scheme == "http" && !gateway::is_loopback_name(url->host)) {
    return wrong(where + ".url", "http to another machine can be read and changed on its way: use https");
  }
  Json made{{"command", gate.program}, {"args", arguments_of(gate, server)}};
  made["args"].push_back("--upstream");
  made["args"].push_back(text);
  for (const auto& [member, value] : entry.items()) {
    if (member == "url") continue;
    if (member == "type") {
      made["type"] = "stdio";
    } else if (member == "headers" && value.is_object()) {
      for (const auto& [name, field] : value.items()) {
        const std::string credential = field.is_string() ? field.get<std::string>() : "";
        if (!iequals(name, "authorization") || !iequals(credential.substr(0, kBearer.size()), kBearer)) {
          return wrong(where + ".headers", "only `Authorization: Bearer …` is understood: see --upstream-header-file");
        }
        made["env"]["SLUICE_UPSTREAM_TOKEN"] = credential.substr(kBearer.size());
      }
    } else {
      return wrong(where + "." + gateway::visible_text(member), "is not understood of a server at a URL");
    }
  }
  entry = std::move(made);
  return {};
}

void write(std::string& out, const Json& value, const std::string& indent, std::size_t depth) {
  const bool nested = !is_spelling(value) && (value.is_object() || value.is_array()) && !value.empty();
  if (!nested) {
    out += dump_spelled_json(value);
    return;
  }
  const bool object = value.is_object();
  const auto line = [&](std::size_t deep) {
    out += '\n';
    for (std::size_t i = 0; i < deep; ++i) out += indent;
  };
  out += object ? '{' : '[';
  bool first = true;
  for (const auto& [name, one] : value.items()) {
    if (!std::exchange(first, false)) out += ',';
    line(depth + 1);
    if (object) out += dump_json(Json(name)) + ": ";
    write(out, one, indent, depth + 1);
  }
  line(depth);
  out += object ? '}' : ']';
}

}  // namespace

Result<std::vector<ImportedServer>> import_servers(Json& document, const GatedBy& gate) {
  SLUICE_TRY(Json* const servers, servers_of(document));
  std::vector<ImportedServer> imported;
  std::map<std::string, std::string> names;
  for (auto one = servers->begin(); one != servers->end(); ++one) {
    const std::string& name = one.key();
    Json& entry = *one;
    const std::string where = where_of(name);
    if (!entry.is_object()) return wrong(where, "expected an object");
    if (is_ours(entry, "gateway") || is_ours(entry, "mcp")) continue;
    const std::string server = server_name(name);
    if (!is_server_name(server)) return wrong(where, "this name cannot be a server's behind the gate: rename it");
    if (const auto [other, added] = names.emplace(server, name); !added) {
      return wrong(where,
                   fmt::format("{} would be called {}, too: rename one", gateway::visible_text(other->second), server));
    }
    const bool program = entry.contains("command");
    if (program == entry.contains("url")) return wrong(where, "needs `command` or `url`, and not both");
    SLUICE_CHECK(program ? gate_program(entry, where, gate, server) : gate_url(entry, where, gate, server));
    imported.push_back({name, server});
  }
  return imported;
}

Result<std::size_t> restore_servers(Json& document, const Json& before) {
  SLUICE_TRY(Json* const servers, servers_of(document));
  const Json* old = find_member(before, "mcpServers");
  std::size_t count = 0;
  for (auto one = servers->begin(); one != servers->end(); ++one) {
    if (!is_ours(*one, "gateway")) continue;
    const Json* was = old ? find_member(*old, one.key()) : nullptr;
    if (!was) return wrong(where_of(one.key()), "is behind the gate, and the backup does not know it");
    *one = *was;
    ++count;
  }
  return count;
}

std::string dump_indented(const Json& value, std::string_view like) {
  std::string indent = "  ";
  const std::size_t line = like.find('\n');
  const std::size_t text = line == std::string_view::npos ? line : like.find_first_not_of(" \t", line + 1);
  if (text != std::string_view::npos && text > line + 1) indent = like.substr(line + 1, text - line - 1);
  std::string out;
  write(out, value, indent, 0);
  return out + '\n';
}

}  // namespace sluice::app
