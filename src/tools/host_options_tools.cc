// proxy_set_host_options, proxy_list_host_options, proxy_remove_host_options (engine.md 3, 6).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/url.h"
#include "proxy/host_options_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

ToolResult set_host_options(const Json& arguments, CallContext& context) {
  Json named = Json::object();
  for (const std::string_view name : proxy::option_names()) {
    if (const Json* value = find_member(arguments, name)) named[std::string(name)] = *value;
  }
  std::vector<std::string> reset;
  if (const Json* names = find_member(arguments, "reset")) reset = names->get<std::vector<std::string>>();
  if (named.empty() && reset.empty()) {
    return fail(Code::kInvalid, fmt::format("Error: name an option: {}", fmt::join(proxy::option_names(), ", ")));
  }
  auto options = proxy::host_options_from_json(named);
  if (!options) return thrown(std::move(options).error());
  const std::string host = *text_argument(arguments, "host");
  auto entry = context.services->engine.host_options().set(host, *options, reset, proxy::FileAccess::kRoots);
  if (!entry) return thrown(std::move(entry).error());
  return Json{{"message", fmt::format("Options of '{}' set. They hold from the next request on.", entry->host)},
              {"host", entry->host},
              {"options", proxy::to_json(entry->options)}};
}

std::string_view origin_name(proxy::HostOrigin origin) {
  switch (origin) {
    case proxy::HostOrigin::kStart:
      return "start";
    case proxy::HostOrigin::kTool:
      return "tool";
    case proxy::HostOrigin::kScope:
      return "scope";
  }
  return "";
}

ToolResult list_host_options(const Json&, CallContext& context) {
  Json list = Json::array();
  for (const proxy::HostEntry& entry : context.services->engine.host_options().list()) {
    list.push_back({{"host", entry.port == 0 ? entry.host : authority_text(entry.host, entry.port, 0)},
                    {"options", proxy::to_json(entry.options)},
                    {"from", origin_name(entry.origin)}});
  }
  for (const proxy::LearnedPassthrough& one : context.services->engine.learned_passthrough()) {
    list.push_back({{"host", one.host},
                    {"options", {{"tls", "passthrough"}}},
                    {"from", "learned"},
                    {"clientAddress", one.client_address},
                    {"ja4", one.client_ja4},
                    {"until", unix_ms(one.until)}});
  }
  return Json{{"options", std::move(list)}};
}

ToolResult remove_host_options(const Json& arguments, CallContext& context) {
  proxy::Engine& engine = context.services->engine;
  const std::string given = *text_argument(arguments, "host");
  const std::string host = proxy::HostTable::normal_pattern(given).value_or(to_lower(given));
  const bool had = engine.host_options().remove(host);
  const std::size_t learned = engine.forget_passthrough(host);
  if (!had && learned == 0) return fail(Code::kNotFound, fmt::format("No options are set for '{}'", host));
  return Json{
      {"message", fmt::format("Options of '{}' removed.", host)}, {"host", host}, {"removed", learned + (had ? 1 : 0)}};
}

std::vector<ResultField> options_result() {
  return {{"tls", "string", "", true},
          {"record", "boolean", "", true},
          {"verify_upstream", "boolean", "", true},
          {"ca_file", "string", "", true},
          {"client_cert_file", "string", "", true},
          {"client_key_file", "string", "", true},
          {"min_tls", "string", "", true},
          {"legacy_server", "boolean", "", true},
          {"alt_svc", "string", "", true}};
}

Tool set_tool() {
  return {
      .name = "proxy_set_host_options",
      .title = "Options of a host",
      .summary =
          "Say how a host is treated, from the next request on, without touching open connections: intercepted or "
          "passed through, recorded or not, how its certificate is verified, our client certificate there, old TLS. "
          "Adds to what the host has; `reset` takes options back. Each option is decided by the most specific host "
          "that names it.",
      .group = "tls",
      .risk = Risk::kWrite,
      .hints = kSlow | kIdempotent,
      .fields =
          {{.name = "host", .meaning = "A name, *.suffix (names below it) or *.", .required = true},
           {.name = "tls",
            .meaning = "passthrough: relay it unseen; intercept: also where a wider entry or learning says otherwise.",
            .choices = {"intercept", "passthrough"}},
           {.name = "record", .type = FieldType::kBoolean, .meaning = "false: forward, apply rules, keep nothing."},
           {.name = "verify_upstream",
            .type = FieldType::kBoolean,
            .meaning = "false: accept any certificate of the server."},
           {.name = "ca_file", .meaning = "PEM, beneath an allowed root: CAs to trust as well."},
           {.name = "client_cert_file", .meaning = "PEM: given to the server if it asks. Replaces the key, too."},
           {.name = "client_key_file", .meaning = "PEM, no passphrase; absent: in client_cert_file."},
           {.name = "min_tls",
            .meaning = "What the server must speak at least (1.2).",
            .choices = {"1.0", "1.1", "1.2", "1.3"}},
           {.name = "legacy_server",
            .type = FieldType::kBoolean,
            .meaning = "Allow unsafe renegotiation, weak keys and old suites."},
           {.name = "alt_svc", .meaning = "keep: pass Alt-Svc on.", .choices = {"strip", "keep"}},
           {.name = "reset",
            .type = FieldType::kStringArray,
            .meaning = "Options that a wider entry or the default shall decide again.",
            .choices = proxy::option_names()}},
      .result = {{"message", "string", ""},
                 {"host", "string", ""},
                 {"options", "object", "all that the host's entry names now", false, false, options_result()}},
      .function = set_host_options,
  };
}

}  // namespace

std::vector<Tool> host_options_tools() {
  return {set_tool(),
          {
              .name = "proxy_list_host_options",
              .title = "Options of all hosts",
              .summary = "What flags, config.yaml and proxy_set_host_options say of hosts, and hosts that are passed "
                         "through because a client pins their certificate.",
              .group = "tls",
              .risk = Risk::kRead,
              .hints = kSlow | kIdempotent,
              .result = {{"options",
                          "object[]",
                          "",
                          false,
                          false,
                          {{"host", "string", ""},
                           {"options", "object", "what it names", false, false, options_result()},
                           {"from", "string", "start, tool, scope or learned"},
                           {"clientAddress", "string", "learned: for this client alone", true},
                           {"ja4", "string", "... with this print", true},
                           {"until", "number", "... ms", true}}}},
              .function = list_host_options,
          },
          {
              .name = "proxy_remove_host_options",
              .title = "Forget a host's options",
              .summary = "Take all options of a host back, and intercept it again where pass-through was learned.",
              .group = "tls",
              .risk = Risk::kWrite,
              .hints = kSlow | kIdempotent,
              .fields = {{.name = "host", .meaning = "As in the list.", .required = true}},
              .result = {{"message", "string", ""},
                         {"host", "string", ""},
                         {"removed", "number", "entries, and clients for which it was learned"}},
              .function = remove_host_options,
          }};
}

}  // namespace sluice::tools
