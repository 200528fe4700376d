#include "tools/mitm_send.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "base/url.h"
#include "tools/replaying.h"

namespace sluice::tools {
namespace {

constexpr std::chrono::seconds kForTheAnswer{1};  // of the call's time

bool is_loopback(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" ||
         (host.starts_with("127.") && is_ip_literal(host));
}

}  // namespace

Status check_target(const flow::Exchange& exchange, const proxy::SendRequest& request, WithoutScope otherwise,
                    const CallContext& context) {
  proxy::HostOptionsStore& hosts = context.services->engine.host_options();
  const auto entries = hosts.list();
  const bool scoped = std::any_of(entries.begin(), entries.end(), [](const proxy::HostEntry& entry) {
    return entry.origin == proxy::HostOrigin::kScope && entry.options.record.value_or(false);
  });
  if (scoped) {
    if (hosts.book()->at(request.port).records(request.host, request.host)) return {};
    return fail(Code::kRefused, fmt::format("{} is not in the scope: set_scope says where requests go.", request.host));
  }
  if (otherwise == WithoutScope::kLoopback) {
    if (is_loopback(request.host)) return {};
    return fail(Code::kRefused,
                fmt::format("Without a scope only this machine is fuzzed, and {} is another: set_scope names the hosts "
                            "that you are authorised to test.",
                            request.host));
  }
  if (request.scheme == exchange.scheme && request.host == exchange.host && request.port == exchange.port) return {};
  return fail(Code::kRefused,
              fmt::format("Without a scope a flow is sent to its own origin only, and {} is another: set_scope names "
                          "the hosts that requests may go to.",
                          authority_text(request.host, request.port, default_port(request.scheme))));
}

Result<proxy::SendResult> send_and_wait(proxy::SendRequest request, const CallContext& context) {
  if (context.deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*context.deadline - kForTheAnswer -
                                                                   context.services->clock.mono());
    request.timeout = std::clamp(left, std::chrono::milliseconds(1), request.timeout);
  }
  request.stop = context.stop;
  const auto promise = std::make_shared<std::promise<proxy::SendResult>>();
  auto result = promise->get_future();
  sender_of(context)(std::move(request), [promise](proxy::SendResult sent) { promise->set_value(std::move(sent)); });
  proxy::SendResult sent = result.get();
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  if (auto denied = egress_denial(sent, context)) return fail(*std::move(denied));
  return sent;
}

}  // namespace sluice::tools
