// start_proxy, stop_proxy, set_scope, list_tools (mitm-tools.json, engine.md 9).
#include <fmt/format.h>

#include <algorithm>

#include "analysis/domain.h"
#include "base/text.h"
#include "base/url.h"
#include "tools/listening.h"
#include "tools/mitm_subjects.h"

namespace sluice::tools {
namespace {

constexpr std::uint16_t kUsualPort = 8080;  // mitm-tools.json

ToolResult start_proxy(const Json& arguments, CallContext& context) {
  const Services& services = *context.services;
  auto status = start_listening(context, integer_argument(arguments, "port"), kUsualPort);
  if (!status) {
    Error error = std::move(status).error();
    if (error.code == Code::kUnavailable) error.message += " (port: 0 takes any free one)";
    return fail(std::move(error));
  }
  const proxy::ListenAddress bound = status->listeners.empty() ? services.default_listen : status->listeners.front();
  Json answer = sentence(fmt::format("Proxy started on {}.", authority_text(bound.host, bound.port, 0)));
  answer["host"] = bound.host;
  answer["port"] = bound.port;
  answer["ca_cert_path"] = services.ca_pem_path;
  return answer;
}

ToolResult stop_proxy(const Json&, CallContext& context) {
  SLUICE_CHECK(stop_listening(context));
  return sentence("Proxy stopped.");
}

// --- set_scope ---

using Scope = std::vector<proxy::ScopeLine>;
using Places = std::vector<std::pair<std::string, std::uint16_t>>;  // patterns, and ports; 0: all

Result<Places> places_of(const Json& arguments, std::string_view name) {
  Places places;
  const Json* texts = find_member(arguments, name);
  if (!texts) return places;
  for (const Json& text : *texts) {
    SLUICE_TRY(const analysis::Domain domain, analysis::parse_domain(text.get_ref<const std::string&>()));
    if (domain.itself) places.emplace_back(domain.host, domain.port);
    if (domain.below) places.emplace_back("*." + domain.host, domain.port);
  }
  return places;
}

void limit_to(Scope& scope, const Places& places, const proxy::HostOptions& inside, const proxy::HostOptions& outside) {
  if (places.empty()) return;
  for (const auto& [pattern, port] : places) scope.push_back({pattern, port, inside});
  scope.push_back({"*", 0, outside});
}

std::string listed(const Json& arguments, std::string_view name, std::string_view when_empty) {
  const Json* texts = find_member(arguments, name);
  if (!texts || texts->empty()) return std::string(when_empty);
  return fmt::format("{}", fmt::join(texts->get<std::vector<std::string>>(), ", "));
}

ToolResult set_scope(const Json& arguments, CallContext& context) {
  using proxy::TlsTreatment;
  SLUICE_TRY(const auto recorded, places_of(arguments, "allowed_domains"));
  SLUICE_TRY(const auto decrypted, places_of(arguments, "decrypt_domains"));
  SLUICE_TRY(const auto ignored, places_of(arguments, "ignore"));
  Scope scope;
  limit_to(scope, recorded, {.record = true}, {.record = false});
  limit_to(scope, decrypted, {.tls = TlsTreatment::kIntercept}, {.tls = TlsTreatment::kPassthrough});
  // Last: what is both wanted and ignored is ignored.
  for (const auto& [pattern, port] : ignored) {
    scope.push_back({pattern, port, proxy::HostOptions{.tls = TlsTreatment::kPassthrough, .record = false}});
  }
  SLUICE_CHECK(context.services->engine.host_options().set_scope(scope));
  return sentence(fmt::format(
      "Scope set. Recorded: {}. Decrypted: {}. Ignored: {}.", listed(arguments, "allowed_domains", "everything"),
      listed(arguments, "decrypt_domains", "everything"), listed(arguments, "ignore", "nothing")));
}

// --- list_tools ---

ToolResult list_tools(const Json&, CallContext& context) {
  Json list = Json::array();
  if (context.list_tools) {
    for (const Json& entry : context.list_tools()) {
      list.push_back(
          {{"name", entry["name"]}, {"description", entry["description"]}, {"input_schema", entry["inputSchema"]}});
    }
  }
  return Json{{"result", std::move(list)}};
}

}  // namespace

Tool start_proxy_tool() {
  std::vector<ResultField> result = sentence_result();
  result.push_back({"host", "string", "where it really listens"});
  result.push_back({"port", "number", ""});
  result.push_back({"ca_cert_path", "string", "the CA that clients must trust, PEM"});
  return {.name = "start_proxy",
          .title = "Start the proxy",
          .summary = "Open the interception proxy for HTTP and HTTPS, once it really listens; answers where.",
          .group = "lifecycle",
          .risk = Risk::kExecute,
          .hints = kMitmproxy | kWrapped | kSlow,
          .fields = {{.name = "port",
                      .type = FieldType::kInteger,
                      .meaning = "0: any free port. Absent: that of a running `sluice serve`, else 8080.",
                      .default_value = kUsualPort,
                      .default_filled = false,
                      .minimum = 0,
                      .maximum = 65535}},
          .result = std::move(result),
          .function = start_proxy};
}

Tool stop_proxy_tool() {
  return {.name = "stop_proxy",
          .title = "Stop the proxy",
          .summary = "Close the proxy's listeners for everyone. Captured traffic, rules and the CA stay.",
          .group = "lifecycle",
          .risk = Risk::kExecute,
          .hints = kMitmproxy | kWrapped | kSlow,
          .result = sentence_result(),
          .function = stop_proxy};
}

Tool set_scope_tool() {
  return {.name = "set_scope",
          .title = "Limit what is recorded and decrypted",
          .summary =
              "Say which domains are recorded, from the next request on; in place of the last scope. Recording and "
              "decrypting are separate; rules apply either way.",
          .group = "lifecycle",
          .risk = Risk::kWrite,
          .hints = kMitmproxy | kWrapped | kIdempotent,
          .fields = {{.name = "allowed_domains",
                      .type = FieldType::kStringArray,
                      .meaning = "example.com (and all below it), *.example.com (only below), host:8443 or an IP "
                                 "address. Empty: every host is recorded.",
                      .required = true},
                     {.name = "decrypt_domains",
                      .type = FieldType::kStringArray,
                      .meaning = "TLS of others passes unread. Absent or empty: every host is decrypted."},
                     {.name = "ignore",
                      .type = FieldType::kStringArray,
                      .meaning = "Neither decrypted nor recorded, whatever the lists say."}},
          .result = sentence_result(),
          .function = set_scope};
}

Tool list_tools_tool() {
  return {.name = "list_tools",
          .title = "List tools",
          .summary = "The tools that this caller may use, with their input schemas.",
          .group = "lifecycle",
          .risk = Risk::kRead,
          .hints = kMitmproxy | kWrapped | kUncapped | kIdempotent,
          .result = {{"result",
                      "object[]",
                      "",
                      false,
                      false,
                      {{"name", "string", ""}, {"description", "string", ""}, {"input_schema", "object", ""}}}},
          .function = list_tools};
}

}  // namespace sluice::tools
