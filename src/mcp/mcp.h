// The Model Context Protocol, both sides and both eras, as pure state machines: no sockets, threads or clock.
// Start with server_session.h; an HTTP transport also needs http_rules.h. `mcp` knows no tools: gateway::Dispatcher
// runs the operations.
#pragma once

#include "mcp/client_session.h"
#include "mcp/cursor.h"
#include "mcp/error_map.h"
#include "mcp/http_rules.h"
#include "mcp/jsonrpc.h"
#include "mcp/operation.h"
#include "mcp/revision.h"
#include "mcp/server_session.h"
