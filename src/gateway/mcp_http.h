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
#include "mcp/mcp.h"

namespace sluice::gateway {

// All outlive the handler.
struct McpHttpDeps {
  const Clock& clock;
  Entropy& entropy;
  const mcp::ServerProfile& profile;
  Dispatcher& dispatcher;
  std::function<void(std::string_view session)> on_session_end;  // may be empty
};

class McpHttp final : public HttpHandler {
 public:
  McpHttp(McpHttpDeps deps, ControlGuard::Options guard, Caller caller, McpLimits limits);
  ~McpHttp() override;

  std::optional<HttpAnswer> judge(const HttpRequest& request) override;
  void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override;
  HttpAnswer too_large() override;

  // Ends sessions that have been idle for too long; also done whenever one is looked for.
  void sweep();
  std::size_t sessions() const { return sessions_.size(); }
  void close();  // all sessions

 private:
  class Session;
  using SessionPtr = std::shared_ptr<Session>;

  void post(const mcp::HttpHead& head, const std::string& body, const std::shared_ptr<HttpReply>& reply);
  void post_modern(mcp::Message message, const std::shared_ptr<HttpReply>& reply);
  void post_initialize(mcp::Message message, const std::shared_ptr<HttpReply>& reply);
  void post_session(const mcp::HttpHead& head, mcp::Message message, const std::shared_ptr<HttpReply>& reply);
  void get_stream(const mcp::HttpHead& head, const std::shared_ptr<HttpReply>& reply);
  void delete_session(const mcp::HttpHead& head, const std::shared_ptr<HttpReply>& reply);
  SessionPtr find_session(const mcp::HttpHead& head);
  bool make_room();
  void end_session(const SessionPtr& session);

  McpHttpDeps deps_;
  ControlGuard guard_;
  Caller caller_;
  McpLimits limits_;
  std::unordered_map<std::string, SessionPtr> sessions_;
};

}  // namespace sluice::gateway
