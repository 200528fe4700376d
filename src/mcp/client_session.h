// The client side of MCP as a state machine: what Sluice says to a server in front of which it stands, and what the
// server's lines mean. Both eras: a legacy server is opened with `initialize`, a modern one has version and
// capabilities in each request's `_meta`; both travel in params, which are passed on as they are given, but for what
// belongs to one connection: ids and progress tokens are this session's own (gate.md 9, A10).
//
//   auto sent = session.request("tools/call", params);   // write sent->text
//   Event event = session.feed(line);                    // an answer carries sent->key
//
// Strict: a line is parsed once by the rules of jsonrpc.h, with spellings; an answer counts only if it answers a
// request in flight (A29), progress only with the token of one. Owns its state. Not thread-safe. Bounded by
// ClientLimits. Never throws for input. MCP 2025-03-26 to 2026-07-28; gate.md 9.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"
#include "mcp/jsonrpc.h"

namespace sluice::mcp {

struct ClientLimits {
  std::size_t max_in_flight = 1'024;  // requests of ours without an answer
  std::size_t max_asked = 256;        // requests of the server without ours; more are answered -32603
};

// A request of ours, in order from 1, and one of the server's. 0 is none.
using SentKey = Id<struct SentTag>;
using AskedKey = Id<struct AskedTag>;

class ClientSession {
 public:
  explicit ClientSession(ClientLimits limits = {}) : limits_(limits) {}

  struct Sent {
    SentKey key;
    std::string text;  // one message, without line end
  };
  // `params` is an object. kUnavailable: too many are in flight.
  Result<Sent> request(std::string_view method, Json params);
  static std::string notify(std::string_view method, Json params) {
    return write_notification(method, std::move(params));
  }
  // Forgets it and says so; `params` may have more than the id. nullopt: it is over already.
  std::optional<std::string> cancel(SentKey key, Json params = Json::object());
  // The answer to a request of the server; nullopt: it was withdrawn.
  std::optional<std::string> answer(AskedKey key, Json result);
  std::optional<std::string> refuse(AskedKey key, const RpcError& error);
  std::optional<std::string> refuse(AskedKey key, Json error);
  // Whether the server waits for progress of one of its own requests under this token.
  bool awaits_progress(const Json& token) const;

  struct Answered {
    SentKey key;
    bool is_error = false;
    Json body;            // `result`, an object; or `error`, an object with an integer `code` and a string `message`
    bool unsent = false;  // an error of our own: nothing of the request left
  };
  struct Progressed {
    SentKey key;
    Json params;  // without the token
  };
  struct Asked {
    AskedKey key;
    std::string method;
    Json params;
  };
  struct Withdrawn {  // the server wants no answer any more
    AskedKey key;
    Json params;  // without the id
  };
  struct Notified {
    std::string method;
    Json params;
    SentKey subscription;  // the `subscriptions/listen` whose id stands in `_meta`; 0: none
  };
  struct Ignored {  // nothing was understood, or nothing is to be done
    std::string why;
    std::optional<std::string> answer;  // to be written to the server
  };
  using Event = std::variant<Answered, Progressed, Asked, Withdrawn, Notified, Ignored>;
  Event feed(std::string_view line);

  std::size_t in_flight() const { return sent_.size(); }

 private:
  struct AskedRequest {
    RequestId id;
    Json progress_token = nullptr;
  };
  Event on_request(Request request);
  Event on_response(Response response);
  Event on_notification(Notification notification);
  std::optional<AskedRequest> take(AskedKey key);
  std::optional<SentKey> sent_with(const Json& id) const;

  const ClientLimits limits_;
  std::map<std::int64_t, bool> sent_;  // by our id: whether progress was asked for
  std::map<AskedKey, AskedRequest> asked_;
  std::map<RequestId, AskedKey> asked_by_id_;
  std::int64_t last_sent_ = 0;
  std::uint64_t last_asked_ = 0;
};

// What of a request's or an answer's `_meta` says to which subscription a notice belongs.
inline constexpr std::string_view kSubscriptionIdMember = "io.modelcontextprotocol/subscriptionId";

// A list that a server gives in pages, put together. Bounded: a server that gives pages for ever is found out.
class PageReader {
 public:
  static constexpr std::size_t kMaxPages = 1'000, kMaxItems = 100'000;
  // `list`: "tools", …
  explicit PageReader(std::string list) : list_(std::move(list)) {}

  // kInvalid: this is no such list; kTooLarge.
  Status add(Json result);
  // The cursor of the next page; nullopt: this was the last.
  const std::optional<Json>& cursor() const { return cursor_; }
  // The first page's result with the items of all and no `nextCursor`.
  Json take() { return std::move(whole_); }

 private:
  const std::string list_;
  std::optional<Json> cursor_;
  Json whole_ = nullptr;
  std::size_t pages_ = 0;
};

}  // namespace sluice::mcp
