// What of a relayed message concerns the policy, and what is taken out of it: private to the relay. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sluice::gateway {

// Under which name `methods` closes this request or notification: `notifications/resources/updated` goes with
// `resources/subscribe`. What it does not know stands for itself.
std::string_view governing_method(std::string_view method);

// Whether this request is passed on without a decision of its own in the audit: the handshake, pings, lists, listening.
bool is_plain(std::string_view method);

using IsOpen = std::function<bool(std::string_view method)>;
// What a client said it can do, without what the server may not ask for.
void close_client_capabilities(Json& capabilities, const IsOpen& is_open);
// What a server offers, without what is closed (gate.md 9).
void close_server_capabilities(Json& capabilities, const IsOpen& is_open);
// The same in the params of a request, of either era, and of `subscriptions/listen` what may not be heard.
void close_request(std::string_view method, Json& params, const IsOpen& is_open);
// Whether these capabilities of a server have tasks, in either era.
bool offers_tasks(const Json& capabilities);

// The name that a request is about, for the audit: a tool, a prompt, a URI.
std::string subject_of(std::string_view method, const Json& params);

// `_meta` of a request as another one of the same connection must have it, without what belongs to that one.
Json connection_meta(const Json& params);
bool is_modern_request(const Json& params);
// Whether the client of this request can show a form (MCP 2026-07-28).
bool asks_by_form(const Json& params);
// The same of a legacy client's `initialize`.
bool offers_form(const Json& params);

// A tool's schema as it is for whoever knows nothing of HTTP.
Json without_header_marks(Json schema);

// The method of one of the inputs that an `input_required` result asks for that is closed.
std::optional<std::string> closed_input(const Json& result, const IsOpen& is_open);
// What a task's state asks for, as such a result; nothing: it asks for nothing.
Json task_as_result(const Json& state);

}  // namespace sluice::gateway
