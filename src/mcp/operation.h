// What a client asks for once the protocol itself is out of the way: typed values for gateway::Dispatcher.
// Values; copyable; no behaviour.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/json.h"
#include "mcp/jsonrpc.h"
#include "mcp/revision.h"

namespace sluice::mcp {

// One operation of one session, in the order of arrival from 1; never reused, unlike the client's ids. 0 is none.
using OperationKey = Id<struct OperationTag>;

// Answers to `input_required` that the client brings when it tries again (2026-07-28, multi round-trip requests).
// Both come from the client: nothing in them is to be believed unless it verifies.
struct Retry {
  Json input_responses = nullptr;            // object or null
  std::optional<std::string> request_state;  // opaque
};

// Lists are asked for whole; the session cuts the pages. Each is answered by an object with one array of this name.
struct ListTools {};              // "tools"
struct ListResources {};          // "resources"
struct ListResourceTemplates {};  // "resourceTemplates"
struct ListPrompts {};            // "prompts"

struct CallTool {    // CallToolResult
  std::string name;  // as it came; may be no tool's name at all
  Json arguments;    // an object, empty if absent
  Retry retry;
};
struct ReadResource {  // {"contents": […]}
  std::string uri;
  Retry retry;
};
struct GetPrompt {  // {"messages": […]}
  std::string name;
  Json arguments;  // an object of strings
  Retry retry;
};
struct Complete {  // {"completion": {"values": […], "total", "hasMore"}}; at most 100 values
  enum class Of { kPrompt, kResourceTemplate };
  Of of = Of::kResourceTemplate;
  std::string target;  // the prompt's name or the template's URI
  std::string argument;
  std::string value;  // what was typed so far
  Json context;       // {argument: value} decided before, an object of strings
};

// Legacy only. The session remembers the subscription when the outcome is a success ({} as result).
struct Subscribe {
  std::string uri;
};
struct Unsubscribe {
  std::string uri;
};

struct SubscriptionFilter {
  bool tools_list_changed = false;
  bool prompts_list_changed = false;
  bool resources_list_changed = false;
  std::vector<std::string> resources;  // URIs, each once
};
// Modern only: stays open. Begin it with ServerSession::accept_listen, end it with complete().
struct Listen {
  SubscriptionFilter filter;  // already cut to what the profile's capabilities offer
};

using OperationBody = std::variant<ListTools, ListResources, ListResourceTemplates, ListPrompts, CallTool, ReadResource,
                                   GetPrompt, Complete, Subscribe, Unsubscribe, Listen>;

// What the client says about itself and this request. Self-reported: for display, never for a decision.
struct RequestContext {
  Revision revision = kNewestLegacy;
  Json client_info = nullptr;            // Implementation or null
  Json client_capabilities;              // an object: of this request (modern) or of the session (legacy)
  bool wants_progress = false;           // a progress token was given: HTTP answers should then be a stream of events
  std::optional<std::string> log_level;  // modern: of this request; legacy: what logging/setLevel said
  std::optional<std::string> traceparent;

  Era era() const { return era_of(revision); }
};

struct Operation {
  OperationKey key;
  RequestId id;        // the client's own, for audit only
  std::string method;  // "tools/call"
  RequestContext context;
  OperationBody body;
};

}  // namespace sluice::mcp
