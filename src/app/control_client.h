// A small HTTP/1.1 client for our own control port and run/<pid>.sock: one request on one connection, the answer either
// whole or, for a stream of events, event by event. Used by the command line and by `mcp --attach`.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "http/message.h"

namespace sluice::app {

struct ControlEndpoint {
  std::string socket;  // a Unix socket's path; empty: TCP
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path = "/mcp";
};
// "http://127.0.0.1:8790/mcp"; https is refused: the control port speaks plain HTTP on loopback.
Result<ControlEndpoint> parse_endpoint(const std::string& url);

struct ControlRequest {
  std::string method = "POST";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct ControlAnswer {
  http::ResponseHead head;
  std::string body;  // empty for a stream of events
};

// `on_head` (may be empty) sees the head at once; `on_event` gets the data of each server-sent event.
boost::asio::awaitable<Result<ControlAnswer>> control_request(ControlEndpoint endpoint, ControlRequest request,
                                                              std::function<void(const http::ResponseHead&)> on_head,
                                                              std::function<void(std::string)> on_event);

// One MCP call of the 2026-07-28 era, blocking: the JSON-RPC answer.
Result<Json> call_method(const ControlEndpoint& endpoint, const std::string& method, const std::string& name,
                         Json params);

}  // namespace sluice::app
