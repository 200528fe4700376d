// proxy_start_transparent, proxy_stop_transparent, proxy_transparent_status. proxy.md (a), docs/modes.md.
#include <fmt/format.h>

#include "base/url.h"
#include "tools/status.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

// What an administrator types; the rules leave Sluice's own connections alone, or they would come back to it.
Json instructions(const Services& services, const proxy::EngineStatus::Transparent& transparent) {
  const std::uint16_t port = transparent.listeners.front().port;
  const std::string spare = services.outgoing_mark == 0
                                ? std::string("-m owner ! --uid-owner <the user that runs Sluice>")
                                : fmt::format("-m mark ! --mark {:#x}", services.outgoing_mark);
  bool ipv6 = false;
  for (const auto& listener : transparent.listeners) ipv6 |= is_ipv6_literal(listener.host);
  return Json::array(
      {fmt::format("Redirect this machine's own traffic, as root: iptables -t nat -A OUTPUT -p tcp -m multiport "
                   "--dports 80,443 {} -j REDIRECT --to-ports {}{}.",
                   spare, port,
                   ipv6 ? "; the same with ip6tables for IPv6" : " (IPv6 is not listened on, so leave ip6tables)"),
       fmt::format("Redirect other machines that this one forwards for, listening with --transparent 0.0.0.0:{0} and "
                   "--allow-client CIDR: iptables -t nat -A PREROUTING -i <interface> -p tcp -m multiport --dports "
                   "80,443 -j REDIRECT --to-ports {0}. Clients must trust the CA (proxy_get_ca_cert).",
                   port)});
}

Status open_listeners(Services& services, std::uint16_t port) {
  std::vector<proxy::ListenAddress> addresses = services.transparent_listen;
  for (proxy::ListenAddress& address : addresses) address.port = port;
  if (!addresses.empty()) return services.engine.start_transparent(addresses);
  // REDIRECT in OUTPUT goes to the loopback address of the packet's own family.
  const Status both = services.engine.start_transparent({{"127.0.0.1", port}, {"::1", port}});
  if (both || both.error().code != Code::kUnavailable) return both;
  return services.engine.start_transparent({{"127.0.0.1", port}});  // a machine without IPv6
}

ToolResult proxy_start_transparent(const Json& arguments, CallContext& context) {
  Services& services = *context.services;
  const auto port = static_cast<std::uint16_t>(*integer_argument(arguments, "port"));
  if (const Status started = open_listeners(services, port); !started) return thrown(started.error());
  const proxy::EngineStatus::Transparent transparent = services.engine.status().transparent;
  if (transparent.listeners.empty()) return thrown({Code::kConflict, "Transparent proxy was stopped meanwhile."});
  return Json{{"port", transparent.listeners.front().port}, {"instructions", instructions(services, transparent)}};
}

ToolResult proxy_stop_transparent(const Json&, CallContext& context) {
  Services& services = *context.services;
  if (const Status stopped = services.engine.stop_transparent(services.stop_drain); !stopped) {
    return thrown(stopped.error());
  }
  return Json{{"message", "Transparent proxy stopped."}};
}

ToolResult proxy_transparent_status(const Json&, CallContext& context) { return transparent_json(*context.services); }

}  // namespace

std::vector<Tool> transparent_tools() {
  Tool start = {
      .name = "proxy_start_transparent",
      .title = "Start the transparent proxy",
      .summary =
          "Open a listener for connections that the kernel redirects (iptables REDIRECT): clients need no proxy "
          "setting. Answers the port and the rules to set. Works without proxy_start.",
      .group = "transparent",
      .risk = Risk::kWrite,
      .hints = kSlow,
      .fields = {{.name = "port",
                  .type = FieldType::kInteger,
                  .meaning = "0: any free port.",
                  .default_value = 8443,
                  .minimum = 0,
                  .maximum = 65535}},
      .result = {{"port", "number", ""}, {"instructions", "string[]", "commands for an administrator"}},
      .function = proxy_start_transparent,
  };
  Tool stop = {
      .name = "proxy_stop_transparent",
      .title = "Stop the transparent proxy",
      .summary = "Close the transparent listener. Redirected connections are refused until the rules are removed.",
      .group = "transparent",
      .risk = Risk::kWrite,
      .hints = kSlow,
      .result = {{"message", "string", ""}},
      .function = proxy_stop_transparent,
  };
  Tool status = {
      .name = "proxy_transparent_status",
      .title = "Transparent proxy status",
      .summary = "Whether the transparent listener runs, its port, and how many exchanges came through it.",
      .group = "transparent",
      .risk = Risk::kRead,
      .hints = kIdempotent,
      .result = transparent_result(),
      .function = proxy_transparent_status,
  };
  return {std::move(start), std::move(stop), std::move(status)};
}

}  // namespace sluice::tools
