// MCP over Streamable HTTP at /mcp, both eras on one endpoint: sessions for legacy clients, nothing kept for modern
// ones. The rules are mcp/http_rules.h; this carries them out. Control thread only. engine.md 8, 9.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/entropy.h"
#include "gateway/control_guard.h"
#include "gateway/dispatcher.h"
#include "gateway/http_server.h"
#include "gateway/identity.h"
#include "mcp/mcp.h"

namespace sluice::gateway {

class SessionDriver;

// All outlive the handler.
struct McpHttpDeps {
  const Clock& clock;
  Entropy& entropy;
  const mcp::ServerProfile& profile;  // of the one identity where there are no others
  Dispatcher& dispatcher;
  std::function<void(std::string_view session)> on_session_end;  // may be empty
};

class McpHttp final : public HttpHandler {
 public:
  // `identities` outlive the handler.
  McpHttp(McpHttpDeps deps, ControlGuard::Options guard, Identities& identities, McpLimits limits);
  ~McpHttp() override;

  std::optional<HttpAnswer> judge(const HttpRequest& request) override;
  void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override;
  HttpAnswer too_large(const http::RequestHead& head) override;

  // Ends sessions that have been idle for too long, which is also done whenever one is looked for, and everything of
  // grants that have ended: streams, and calls in flight, which are answered 401.
  void sweep();
  std::size_t sessions() const { return sessions_.size(); }
  void close();  // all sessions

 private:
  class Session;
  using SessionPtr = std::shared_ptr<Session>;
  using ReplyPtr = std::shared_ptr<HttpReply>;
  struct Stateless {  // a modern request under way
    std::weak_ptr<SessionDriver> driver;
    std::weak_ptr<HttpReply> reply;
  };

  void serve(const HttpRequest& request, const ReplyPtr& reply);  // of a client that may have been looked for
  void post(const Identity& who, const mcp::HttpHead& head, const std::string& body, const ReplyPtr& reply);
  void post_modern(const Identity& who, mcp::Message message, const ReplyPtr& reply);
  void post_initialize(const Identity& who, mcp::Message message, const ReplyPtr& reply);
  void post_session(const Identity& who, const mcp::HttpHead& head, mcp::Message message, const ReplyPtr& reply);
  void get_stream(const Identity& who, const mcp::HttpHead& head, const ReplyPtr& reply);
  void delete_session(const Identity& who, const mcp::HttpHead& head, const ReplyPtr& reply);
  // Of this grant: another's does not exist (A33).
  SessionPtr find_session(const Identity& who, const mcp::HttpHead& head);
  void end_invalid();
  bool make_room();
  void end_session(const SessionPtr& session);

  McpHttpDeps deps_;
  ControlGuard guard_;
  Identities& identities_;
  McpLimits limits_;
  std::vector<Stateless> stateless_;
  std::unordered_map<std::string, SessionPtr> sessions_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::gateway
