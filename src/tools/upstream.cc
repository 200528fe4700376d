// proxy_set_upstream, proxy_clear_upstream, proxy_set_host_upstream, proxy_remove_host_upstream. proxy.md (g).
#include <fmt/format.h>

#include "base/url.h"
#include "proxy/upstream_table.h"
#include "tools/status.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

// What was refused outright carries the class that the contract prints.
tl::unexpected<Error> not_set(Error error) {
  return error.code == Code::kInvalid || error.code == Code::kTooLarge ? fail(std::move(error))
                                                                       : thrown(std::move(error));
}

proxy::UpstreamStore::Given given_in(const Json& arguments, CallContext& context) {
  proxy::UpstreamStore::Given given;
  given.url = *text_argument(arguments, "proxy_url");
  given.grant = context.grant;
  if (const Json* list = find_member(arguments, "no_proxy")) given.no_proxy = list->get<std::vector<std::string>>();
  given.check = [&engine = context.services->engine](const proxy::UpstreamProxy& proxy) -> Status {
    if (!engine.is_own_listener(proxy.host(), proxy.port())) return {};
    return fail(Code::kRefused, "proxy_url is Sluice's own address: requests would go round for ever");
  };
  return given;
}

void add_password_source(Json& answer, const proxy::UpstreamProxy& proxy) {
  if (proxy.password_source() != proxy::PasswordSource::kNoUser) {
    answer["passwordSource"] = proxy::to_string(proxy.password_source());
  }
}

ToolResult set_upstream(const Json& arguments, CallContext& context) {
  const auto given = given_in(arguments, context);
  const auto set = context.services->upstreams->set_global(given);
  if (!set) return not_set(set.error());
  Json answer{{"message", "Global upstream set to " + (*set)->shown()}};
  add_password_source(answer, **set);
  answer["noProxy"] = given.no_proxy.value_or(std::vector<std::string>());
  return answer;
}

ToolResult clear_upstream(const Json&, CallContext& context) {
  context.services->upstreams->clear_global();
  return Json{{"message", "Global upstream cleared."}};
}

ToolResult set_host_upstream(const Json& arguments, CallContext& context) {
  const std::string host = *text_argument(arguments, "hostname");
  const auto set = context.services->upstreams->set_host(host, given_in(arguments, context));
  if (!set) return not_set(set.error());
  Json answer{{"message", fmt::format("Upstream for '{}' set to {}", host, (*set)->shown())}};
  add_password_source(answer, **set);
  return answer;
}

ToolResult remove_host_upstream(const Json& arguments, CallContext& context) {
  const std::string host = *text_argument(arguments, "hostname");
  if (!context.services->upstreams->remove_host(host)) {
    return fail(Code::kNotFound, fmt::format("No upstream override for '{}'", host));
  }
  return Json{{"message", fmt::format("Upstream override for '{}' removed.", host)}};
}

Field url_field() {
  return {.name = "proxy_url",
          .meaning =
              "http, https, socks4, socks4a, socks5, socks5h, pac+http, pac+https or pac+file URL; user:password@ "
              "if it asks for them.",
          .required = true};
}
Field no_proxy_field() {
  return {.name = "no_proxy",
          .type = FieldType::kStringArray,
          .meaning =
              "Reached directly: names with what lies below them, addresses, CIDR blocks; each with :port or "
              "without."};
}
ResultField source_result() {
  return {"passwordSource", "string", "env, file, url or none; absent without a user name", true};
}

}  // namespace

Json upstreams_json(const proxy::UpstreamTable& table, Json& hosts) {
  const auto entry_json = [](const proxy::UpstreamEntry& entry) {
    Json json{{"proxyUrl", entry.proxy->shown()}};
    if (entry.no_proxy) json["noProxy"] = *entry.no_proxy;
    return json;
  };
  for (const auto& one : table.overrides()) hosts[one.pattern] = entry_json(one.entry);
  if (!table.is_split()) return table.global() ? entry_json(*table.global()) : Json();
  const auto& shown = table.global() ? table.global() : table.plain();
  if (!shown) return Json();
  Json global = entry_json(*shown);
  const auto url_of = [](const auto& entry) { return entry ? Json(entry->proxy->shown()) : Json(); };
  // The environment may tell http:// from the rest.
  if (url_of(table.plain()) == url_of(table.global())) return global;
  global["byScheme"] = {{"http", url_of(table.plain())}, {"https", url_of(table.global())}};
  return global;
}

std::vector<Tool> upstream_tools() {
  return {
      {
          .name = "proxy_set_upstream",
          .title = "Use an upstream proxy",
          .summary =
              "Reach servers through another proxy from the next request on; open connections stay. A failure of "
              "it is a 502 that names it, never a direct connection.",
          .group = "upstream",
          .risk = Risk::kWrite,
          .hints = kIdempotent | kOpenWorld,
          .fields = {url_field(), no_proxy_field()},
          .result = {{"message", "string", ""}, source_result(), {"noProxy", "string[]", ""}},
          .function = set_upstream,
      },
      {
          .name = "proxy_clear_upstream",
          .title = "No upstream proxy",
          .summary = "Reach servers directly again; overrides for hosts stay.",
          .group = "upstream",
          .risk = Risk::kWrite,
          .hints = kIdempotent,
          .result = {{"message", "string", ""}},
          .function = clear_upstream,
      },
      {
          .name = "proxy_set_host_upstream",
          .title = "Use an upstream proxy for a host",
          .summary = "Reach one host, or all below *.suffix, through a proxy of its own. The most specific override "
                     "decides; its own no_proxy means directly.",
          .group = "upstream",
          .risk = Risk::kWrite,
          .hints = kIdempotent | kOpenWorld,
          .fields = {{.name = "hostname", .meaning = "A name, an address, *.suffix or *.", .required = true},
                     url_field(),
                     no_proxy_field()},
          .result = {{"message", "string", ""}, source_result()},
          .function = set_host_upstream,
      },
      {
          .name = "proxy_remove_host_upstream",
          .title = "Remove a host's upstream proxy",
          .summary = "Let a host follow the global upstream proxy again.",
          .group = "upstream",
          .risk = Risk::kDestructive,
          .fields = {{.name = "hostname", .meaning = "As it was set; see proxy_status.", .required = true}},
          .result = {{"message", "string", ""}},
          .function = remove_host_upstream,
      }};
}

}  // namespace sluice::tools
