// Shapes that a tool and a resource share: proxy_status and proxy://status, proxy://traffic/summary (proxy.md k).
#pragma once

#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

Json persistence_json(const Services& services);
// proxy_transparent_status, and its part of proxy_status.
Json transparent_json(const Services& services);
std::vector<ResultField> transparent_result();
// globalUpstream of proxy_status; hostUpstreams goes into `hosts`. Redacted.
Json upstreams_json(const proxy::UpstreamTable& table, Json& hosts);
// The members of proxy_status beside `status`, in the contract's order.
Json status_json(const Services& services);
// {totalExchanges, methods, statuses, topHostnames, avgDurationMs, tls}.
Json traffic_summary(const Services& services);

}  // namespace sluice::tools
