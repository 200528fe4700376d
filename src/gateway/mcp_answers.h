// What the two MCP endpoints over HTTP, our own and the gateway's, read of a request and answer with. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/http_reply.h"
#include "http/message.h"
#include "mcp/http_rules.h"

namespace sluice::gateway {

inline constexpr std::string_view kMcpPath = "/mcp";

HttpAnswer json_answer(int status, std::string body);  // application/json, not to be stored
HttpAnswer refusal_answer(const mcp::HttpRefusal& refusal);
// Without its query, also of an absolute target.
std::string path_of(const http::RequestHead& head);
// Views into `head`.
std::vector<mcp::HeaderField> fields_of(const http::RequestHead& head);
mcp::HttpResult<mcp::HttpHead> mcp_head(const http::RequestHead& head);
// Its body has at most 64 KiB, and says so.
bool is_brief(const http::RequestHead& head);

}  // namespace sluice::gateway
