// The server side of MCP as a state machine: text in, typed operations out, outcomes in, text out. It answers by itself
// what concerns only the protocol (initialize, ping, server/discover, versions, capabilities, ids, cursors, unknown
// methods) and hands everything else to its caller as an Operation.
//
// One ServerSession for each stdio connection (both eras at once), each legacy HTTP session, and each single modern
// POST (the modern era is stateless: make one, feed it the one message, drop it when the answer is written).
//
//   Step step = session.feed(text);        // or feed(message), where http_rules.h needed it parsed before
//   if (step.answer) write(*step.answer);  // else if (step.operation) run it; else the message needs no answer
//   for (OperationKey key : step.cancelled) stop(key);
//   ...
//   if (auto answer = session.complete(key, outcome)) write(*answer);   // nullopt: cancelled meanwhile, write nothing
//
// Where a message goes: stdio has one channel. On HTTP an answer, a progress notice and everything of a
// `subscriptions/listen` goes to the response of the POST that began that operation; a Notice whose `stream` is 0 goes
// to the session's GET stream. A legacy POST whose operation was cancelled ends without an answer (an empty stream of
// events).
//
// Owns its state, borrows the profile (must outlive it). Not thread-safe. Bounded by ServerProfile's limits. Never
// throws for input. MCP 2025-03-26 to 2026-07-28; engine.md 8; gate.md 9-10.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "mcp/cursor.h"
#include "mcp/error_map.h"
#include "mcp/jsonrpc.h"
#include "mcp/operation.h"
#include "mcp/revision.h"

namespace sluice::mcp {

// What is offered. A method that belongs to something not offered does not exist (-32601).
struct Capabilities {
  bool tools = true;
  bool tools_list_changed = false;
  bool resources = true;
  bool resources_subscribe = true;
  bool resources_list_changed = false;
  bool prompts = false;
  bool prompts_list_changed = false;
  bool completions = true;
  bool logging = false;
};

// How long a modern client may keep an answer. gate.md 9: private, at most a minute.
struct CacheHint {
  std::chrono::milliseconds ttl{0};
  bool shared = false;  // cacheScope "public"
};

// What one grant sees of the server; the same for all its sessions. Its owner may change what is offered, on the thread
// of the sessions, between messages.
struct ServerProfile {
  Json server_info;  // Implementation as of 2025-11-25: name, version, title, icons…; older revisions get less
  std::string instructions;  // empty: none
  Capabilities capabilities;
  std::string grant;  // binds cursors
  CursorKey cursor_key;
  CacheHint discover_cache{std::chrono::minutes(1)};
  CacheHint list_cache{std::chrono::minutes(1)};
  CacheHint read_cache{};
  std::size_t page_size = 250;          // items of one page: all our tools at once
  std::size_t max_in_flight = 64;       // operations of one session, open `subscriptions/listen` included
  std::size_t max_subscriptions = 256;  // URIs of one session or of one listen
};

enum class Scope { kStdio, kLegacyHttp, kModernHttp };

struct Answer {
  std::string text;       // one message, without line end
  int http_status = 200;  // for HTTP where the answer is the whole body; a stream of events has begun with 200
};

struct Step {
  std::optional<Answer> answer;         // final, also of a malformed message
  std::optional<Operation> operation;   // at most one of both; neither: HTTP 202
  std::vector<OperationKey> cancelled;  // stop these; they get no answer
  int refused = 0;                      // the error's code, where the session itself refuses the message
};

// Something changed that clients may have asked to hear about.
struct Change {
  enum class What { kToolList, kPromptList, kResourceList, kResource } what = What::kResource;
  std::string uri;  // of kResource
};
struct Notice {
  OperationKey stream;  // the `subscriptions/listen` that it belongs to; 0: the session's own channel
  std::string text;
};

class ServerSession {
 public:
  ServerSession(const ServerProfile& profile, Scope scope) : profile_(&profile), scope_(scope) {}

  Step feed(std::string_view text) { return feed(parse_message(text)); }
  Step feed(Message message);

  // The outcome of an operation; then the key is forgotten. A result is the object that the operation's comment in
  // operation.h names, written for the newest revision: members that the client's revision does not know are taken out,
  // what it demands (resultType, ttlMs, cacheScope, server name) is put in unless it is there.
  // A Listen that was accepted ends gracefully. nullopt: no such operation, or it was cancelled.
  std::optional<Answer> complete(OperationKey key, Result<Json> outcome);
  std::optional<Answer> complete(OperationKey key, const RpcError& error);

  // Begins a `subscriptions/listen` with what of its filter is granted: the acknowledgement, to be written before any
  // other message of this stream. nullopt: no such operation, or accepted already.
  std::optional<std::string> accept_listen(OperationKey key, const SubscriptionFilter& granted);

  // nullopt: nobody asked for progress, the operation is over, or `progress` did not increase.
  std::optional<std::string> progress(OperationKey key, double progress, std::optional<double> total = std::nullopt,
                                      std::string_view message = {});

  // The notices that this change makes; one for each listen that asked for it, one for a subscribed legacy client.
  std::vector<Notice> notify(const Change& change) const;

  // The client of one operation went away: modern HTTP, where closing the stream cancels. False: it was over already.
  bool cancel(OperationKey key);
  // The connection or session ended: what is to be stopped. The session is empty afterwards.
  std::vector<OperationKey> close();

  // The legacy revision that `initialize` agreed on; nullopt before.
  std::optional<Revision> revision() const { return revision_; }
  std::size_t in_flight() const { return operations_.size(); }
  const Json& client_info() const { return client_info_; }  // as `initialize` gave it; null before
  // URIs of legacy subscriptions and open listens: what is worth watching.
  std::set<std::string> watched() const;

 private:
  struct Running {
    RequestId id;
    Revision revision = kNewestLegacy;
    std::string method;
    std::string uri;            // of Subscribe and Unsubscribe
    std::uint32_t offset = 0;   // of a list's page
    SubscriptionFilter filter;  // of a Listen: asked for, then granted
    bool listening = false;     // acknowledged
    Json progress_token = nullptr;
    std::optional<double> last_progress;
  };

  Step on_request(Request request);
  Step on_notification(const Notification& notification);
  Step on_modern(Request request, std::string_view version);
  Step on_legacy(Request request);
  Step initialize(const Request& request);
  Step set_level(const Request& request);
  Step discover(const Request& request) const;
  Step begin(Request request, RequestContext context);
  std::optional<RpcError> prepare(const Request& request, const OperationBody& body, Running& running) const;
  Step refuse(const std::optional<RequestId>& id, const RpcError& error, Era era,
              Origin origin = Origin::kProtocol) const;
  std::optional<Running> take(OperationKey key);
  Answer fail_with(const Running& running, const RpcError& error) const;
  Result<Json> settle(const Running& running, Json result);
  Result<Json> cut_page(const Running& running, std::string_view list, Json result) const;

  const ServerProfile* profile_;
  Scope scope_;
  std::optional<Revision> revision_;
  bool initialized_ = false;  // notifications/initialized came
  Json client_info_ = nullptr;
  Json client_capabilities_ = Json::object();
  std::optional<std::string> log_level_;
  std::set<std::string> subscriptions_;  // legacy
  std::map<OperationKey, Running> operations_;
  std::map<RequestId, OperationKey> by_id_;
  std::uint64_t last_key_ = 0;
};

}  // namespace sluice::mcp
