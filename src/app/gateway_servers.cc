#include "app/gateway_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/gateway_core.h"
#include "app/home.h"
#include "app/trusted_file.h"
#include "base/url.h"
#include "gateway/http_client.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

constexpr std::size_t kMaxServerName = 32;
constexpr ByteCount kMaxFile = 1 * kMiB;
constexpr std::array<std::string_view, 9> kMembers{"type",    "command", "args", "env",      "url",
                                                   "headers", "policy",  "pins", "isolation"};

tl::unexpected<Error> wrong(std::string_view where, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("{}: {}", where, what));
}

// Text without NUL: it becomes an argument, a variable or a path.
const std::string* plain_text(const Json& value) {
  if (!value.is_string()) return nullptr;
  const auto& text = value.get_ref<const std::string&>();
  return text.find('\0') == std::string::npos ? &text : nullptr;
}

Status read_text(const Json& server, const std::string& where, const char* member, std::string& into) {
  if (!server.contains(member)) return {};
  const std::string* text = plain_text(server[member]);
  if (!text || text->empty()) return wrong(where + "." + member, "expected a text");
  into = *text;
  return {};
}

Status read_command(const Json& server, const std::string& where, GatewayServer& into) {
  std::string program;
  SLUICE_CHECK(read_text(server, where, "command", program));
  into.command.push_back(std::move(program));
  if (server.contains("args")) {
    const Json& args = server["args"];
    if (!args.is_array()) return wrong(where + ".args", "expected a list of texts");
    for (const Json& one : args) {
      const std::string* text = plain_text(one);
      if (!text) return wrong(where + ".args", "expected a list of texts");
      into.command.push_back(*text);
    }
  }
  if (!server.contains("env")) return {};
  const Json& env = server["env"];
  if (!env.is_object()) return wrong(where + ".env", "expected texts by name");
  for (const auto& [name, value] : env.items()) {
    const std::string* text = plain_text(value);
    const bool named = !name.empty() && name.find('=') == std::string::npos && name.find('\0') == std::string::npos;
    if (!text || !named) return wrong(where + ".env", "expected texts by name");
    into.environment.push_back(name + "=" + *text);
  }
  return {};
}

Status read_url(const Json& server, const std::string& where, GatewayServer& into) {
  SLUICE_CHECK(read_text(server, where, "url", into.url));
  const auto url = parse_url(into.url);
  if (!url || (url->scheme != "http" && url->scheme != "https")) {
    return wrong(where + ".url", "expected an http or https URL");
  }
  if (url->scheme == "http" && !gateway::is_loopback_name(url->host)) {
    return wrong(where + ".url", "http to another machine can be read and changed on its way: use https");
  }
  if (!server.contains("headers")) return {};
  const Json& headers = server["headers"];
  if (!headers.is_object()) return wrong(where + ".headers", "expected texts by name");
  for (const auto& [name, value] : headers.items()) {
    const std::string* text = plain_text(value);
    const std::string why = text ? wrong_upstream_field(name, *text) : "expected texts by name";
    if (!why.empty()) return wrong(where + ".headers", why);
    into.fields.emplace_back(name, *text);
  }
  return {};
}

Result<GatewayServer> read_server(const std::string& name, const Json& server, const std::string& folder) {
  const std::string where = "mcpServers." + gateway::visible_text(name);
  if (!is_server_name(name)) {
    return wrong(where, "a server's name takes a-z, 0-9 and -, at most 32 of them, and is not `sluice`");
  }
  if (!server.is_object()) return wrong(where, "expected an object");
  for (const auto& [member, unused] : server.items()) {
    if (std::find(kMembers.begin(), kMembers.end(), member) == kMembers.end()) {
      return wrong(where + "." + gateway::visible_text(member), "is not understood here");
    }
  }
  GatewayServer read;
  read.name = name;
  const bool program = server.contains("command");
  if (program == server.contains("url")) return wrong(where, "needs `command` or `url`, and not both");
  if (program && server.contains("headers")) return wrong(where + ".headers", "goes with `url`");
  for (const char* member : {"args", "env"}) {
    if (!program && server.contains(member)) return wrong(where + "." + member, "goes with `command`");
  }
  std::string type;
  SLUICE_CHECK(read_text(server, where, "type", type));
  const bool fits = program ? type == "stdio" : type == "http" || type == "streamable-http" || type == "sse";
  if (!type.empty() && !fits) return wrong(where + ".type", program ? "expected stdio" : "expected http or sse");
  SLUICE_CHECK(program ? read_command(server, where, read) : read_url(server, where, read));
  SLUICE_CHECK(read_text(server, where, "policy", read.policy));
  if (!read.policy.empty()) read.policy = (std::filesystem::path(folder) / read.policy).string();
  SLUICE_CHECK(read_text(server, where, "pins", read.pins));
  if (!read.pins.empty() && read.pins != "off" && read.pins != "warn" && read.pins != "enforce") {
    return wrong(where + ".pins", "expected off, warn or enforce");
  }
  SLUICE_CHECK(read_text(server, where, "isolation", read.isolation));
  if (!read.isolation.empty() && read.isolation != "session" && read.isolation != "grant" &&
      read.isolation != "shared") {
    return wrong(where + ".isolation", "expected session, grant or shared");
  }
  return read;
}

}  // namespace

bool is_server_name(std::string_view name) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= kMaxServerName && std::all_of(name.begin(), name.end(), good) &&
         name != gateway::kServer;
}

Result<std::vector<GatewayServer>> parse_gateway_servers(const Json& document, const std::string& folder) {
  const Json* servers = find_member(document, "mcpServers");
  if (!servers || !servers->is_object() || servers->empty()) {
    return fail(Code::kInvalid, "expected {\"mcpServers\": {NAME: {…}, …}}");
  }
  if (document.size() != 1) return fail(Code::kInvalid, "there is more than `mcpServers`, which is not understood");
  if (servers->size() > kMaxGatewayServers) {
    return fail(Code::kInvalid, fmt::format("there are more than {} servers", kMaxGatewayServers));
  }
  std::vector<GatewayServer> all;
  for (const auto& [name, server] : servers->items()) {
    SLUICE_TRY(GatewayServer read, read_server(name, server, folder));
    all.push_back(std::move(read));
  }
  return all;
}

Result<std::vector<GatewayServer>> read_gateway_servers(const std::string& path) {
  const std::string whole = absolute_path(path);
  const auto read = [&](Readers readers) -> Result<std::vector<GatewayServer>> {
    SLUICE_TRY(const std::string text, load_trusted(whole, kMaxFile, readers));
    auto document = parse_json(text);
    if (!document) return wrong(path, document.error().message);
    auto servers = parse_gateway_servers(*document, std::filesystem::path(whole).parent_path().string());
    if (!servers) return wrong(path, servers.error().message);
    return servers;
  };
  SLUICE_TRY(auto servers, read(Readers::kAnybody));
  const bool secrets = std::any_of(servers.begin(), servers.end(), [](const GatewayServer& one) {
    return !one.environment.empty() || !one.fields.empty();
  });
  if (!secrets) return servers;
  return read(Readers::kSelf);
}

}  // namespace sluice::app
