// Origin ends (ends.h) of either HTTP version, and where they come from: a running HTTP/2 connection of the route, the
// pool of HTTP/1 connections, or a new dial. engine.md 7.
#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "proxy/ends.h"
#include "proxy/exchange.h"
#include "proxy/pool.h"
#include "proxy/route.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Worker;

// `tried`: the connection that failed this request before (its id), none of that kind is taken again; 0: the first
// attempt. Times of a dial go into the exchange.
net::Task<tl::expected<std::unique_ptr<OriginEnd>, ConnectFailure>> open_origin(Worker& worker, Exchange& exchange,
                                                                                const Route& route,
                                                                                const std::string& key,
                                                                                std::uint64_t tried);
// One request on an HTTP/1 connection, which goes back to the worker's pool if release() allows.
std::unique_ptr<OriginEnd> http1_origin(Worker& worker, UpstreamConnectionPtr connection);

}  // namespace sluice::proxy
