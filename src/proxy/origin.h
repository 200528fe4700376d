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

// `failed`: the connection on which this request was tried before, so that it gets another one; null at first. Times of
// a dial go into the exchange. Requests that come while a connection that may speak HTTP/2 is made wait for it and
// share it.
net::Task<tl::expected<std::unique_ptr<OriginEnd>, ConnectFailure>> open_origin(Worker& worker, Exchange& exchange,
                                                                                const Route& route,
                                                                                const std::string& key,
                                                                                flow::UpstreamPtr failed);
// One request on an HTTP/1 connection, which goes back to the worker's pool if release() allows.
std::unique_ptr<OriginEnd> http1_origin(Worker& worker, UpstreamConnectionPtr connection);

}  // namespace sluice::proxy
