// TLS prints and what is configured of them: proxy.md (h), engine.md 3.
#include <fmt/format.h>

#include "tools/exchange_json.h"
#include "tools/print_counts.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

constexpr std::int64_t kDefaultRows = 20, kMostRows = 1'000;
constexpr const char* kNoSpoofing =
    "This build of Sluice cannot imitate other programs' TLS: servers see its own ClientHello.";

ToolResult get_tls_fingerprints(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_id");
  capture::Ring& ring = context.services->ring;
  ring.sync();
  const auto exchange = ring.find(id);
  if (!exchange) return fail(Code::kNotFound, fmt::format("Exchange '{}' not found", id));
  return Json{{"exchange_id", exchange->id},
              {"hostname", exchange->host},
              {"tls", tls_json(*exchange, context.services->server_tls_shown->load())}};
}

ToolResult list_tls_fingerprints(const Json& arguments, CallContext& context) {
  const auto rows = static_cast<std::size_t>(integer_argument(arguments, "limit").value_or(kDefaultRows));
  context.services->ring.sync();
  const TlsPrints prints =
      count_prints(context.services->ring, text_argument(arguments, "hostname_filter").value_or(""));
  return Json{{"totalExchangesWithTls", prints.exchanges},
              {"ja3", prints.ja3.top(rows, PrintCounts::Hosts::kNamed)},
              {"ja4", prints.ja4.top(rows, PrintCounts::Hosts::kNamed)}};
}

ToolResult list_fingerprint_presets(const Json&, CallContext&) { return Json{{"presets", Json::array()}}; }

ToolResult check_fingerprint_runtime(const Json&, CallContext&) {
  const Json runtime = {{"name", "built-in"}, {"ready", false}, {"detail", kNoSpoofing}};
  return Json{{"ready", false}, {"backend", "built-in"}, {"runtimes", Json::array({runtime})}};
}

ToolResult clear_ja3_spoof(const Json&, CallContext&) { return Json{{"message", "JA3 spoofing disabled"}}; }

ToolResult get_tls_config(const Json&, CallContext& context) {
  return Json{{"serverTlsCaptureEnabled", context.services->server_tls_shown->load()}, {"ja3SpoofConfig", nullptr}};
}

ToolResult enable_server_tls_capture(const Json& arguments, CallContext& context) {
  const bool enabled = flag_argument(arguments, "enabled");
  context.services->server_tls_shown->store(enabled);
  return Json{{"serverTlsCaptureEnabled", enabled}};
}

std::vector<ResultField> print_rows() {
  return {{"fingerprint", "string", ""}, {"count", "number", ""}, {"hostnames", "string[]", "the first 5"}};
}

Tool get_tool() {
  return {
      .name = "proxy_get_tls_fingerprints",
      .title = "TLS fingerprints",
      .summary = "JA3, JA4 and ALPN of the client and JA3S, protocol and cipher of the server for one exchange.",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "From a list.", .required = true}},
      .result = {{"exchange_id", "string", ""},
                 {"hostname", "string", ""},
                 {"tls", "object", "null without TLS", false, true, tls_result()}},
      .function = get_tls_fingerprints,
  };
}

Tool list_tool() {
  return {
      .name = "proxy_list_tls_fingerprints",
      .title = "TLS fingerprints of all clients",
      .summary = "How often each JA3 and JA4 was seen, commonest first, and with which hosts: which programs speak.",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Rows of each kind.",
                  .default_value = kDefaultRows,
                  .minimum = 1,
                  .maximum = kMostRows},
                 {.name = "hostname_filter", .meaning = "Part of the host's name, any case."}},
      .result = {{"totalExchangesWithTls", "number", ""},
                 {"ja3", "object[]", "", false, false, print_rows()},
                 {"ja4", "object[]", "", false, false, print_rows()}},
      .function = list_tls_fingerprints,
  };
}

Tool presets_tool() {
  return {
      .name = "proxy_list_fingerprint_presets",
      .title = "Fingerprint presets",
      .summary = "Programs whose TLS could be imitated. There are none in this build.",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kIdempotent,
      .result = {{"presets", "object[]", "", false, false, {{"name", "string", ""}, {"description", "string", ""}}}},
      .function = list_fingerprint_presets,
  };
}

Tool runtime_tool() {
  return {
      .name = "proxy_check_fingerprint_runtime",
      .title = "Can fingerprints be spoofed?",
      .summary = "Whether other programs' TLS can be imitated towards servers. Not in this build.",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kIdempotent,
      .result = {{"ready", "boolean", ""},
                 {"backend", "string", ""},
                 {"runtimes",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"name", "string", ""}, {"ready", "boolean", ""}, {"detail", "string", "", true}}}},
      .function = check_fingerprint_runtime,
  };
}

Tool config_tool() {
  return {
      .name = "proxy_get_tls_config",
      .title = "TLS settings",
      .summary = "Whether answers show the server's TLS, and which fingerprint is spoofed (none in this build).",
      .group = "tls",
      .risk = Risk::kRead,
      .hints = kIdempotent,
      .result = {{"serverTlsCaptureEnabled", "boolean", ""},
                 {"ja3SpoofConfig",
                  "object",
                  "null: none",
                  false,
                  true,
                  {{"userAgent", "string", "", true},
                   {"hostPatterns", "string[]", "", true},
                   {"disableRedirect", "boolean", "", true},
                   {"insecureSkipVerify", "boolean", "", true},
                   {"preset", "string", "", true}}}},
      .function = get_tls_config,
  };
}

}  // namespace

std::vector<Tool> tls_tools() {
  return {
      get_tool(),
      list_tool(),
      presets_tool(),
      runtime_tool(),
      {
          .name = "proxy_clear_ja3_spoof",
          .title = "Stop spoofing",
          .summary = "Show servers Sluice's own ClientHello again. Also where nothing was spoofed.",
          .group = "tls",
          .risk = Risk::kWrite,
          .hints = kIdempotent,
          .result = {{"message", "string", ""}},
          .function = clear_ja3_spoof,
      },
      config_tool(),
      {
          .name = "proxy_enable_server_tls_capture",
          .title = "Show the server's TLS",
          .summary = "Show or hide tls.server (JA3S, protocol, cipher) in answers. It is always recorded.",
          .group = "tls",
          .risk = Risk::kWrite,
          .hints = kIdempotent,
          .fields = {{.name = "enabled", .type = FieldType::kBoolean, .meaning = "true: show it.", .required = true}},
          .result = {{"serverTlsCaptureEnabled", "boolean", ""}},
          .function = enable_server_tls_capture,
      }};
}

}  // namespace sluice::tools
