// MCP over Streamable HTTP at /mcp in front of other servers, both eras on one endpoint: for each legacy session a
// backend of its own (backend.h), for the modern requests of a grant one. The rules are mcp/http_rules.h. Control
// thread only. gate.md 9, 10.
#pragma once

#include <map>
#include <set>

#include "base/entropy.h"
#include "gateway/control_guard.h"
#include "gateway/http_server.h"
#include "gateway/identity.h"
#include "gateway/relay_clients.h"
#include "mcp/mcp.h"

namespace sluice::gateway {

class RelayHttp final : public HttpHandler {
 public:
  // All outlive the handler.
  struct Deps {
    const Clock& clock;
    Entropy& entropy;
    Identities& identities;
    BackendFactory factory;
    // Until when nothing of this caller is answered, whose calls were denied too often; nullopt: it is.
    std::function<std::optional<WallTime>(const Caller&)> shut_out_until;
    // What this caller sent is no request that could be judged.
    std::function<void(const Caller&)> malformed;
    std::size_t max_servers = 1'000;  // legacy sessions and grants together: each has one
  };
  RelayHttp(Deps deps, ControlGuard::Options guard, McpLimits limits);

  std::optional<HttpAnswer> judge(const HttpRequest& request) override;
  void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override;
  HttpAnswer too_large(const http::RequestHead& head) override;

  // Ends what has been idle for too long, and everything of grants that have ended.
  void sweep();
  // The policy changed, or pins were accepted.
  void look_again();
  std::size_t sessions() const { return sessions_.size(); }
  std::size_t servers() const { return sessions_.size() + grants_.size() + leaving_; }
  // Everything ends; `gone` when no server of ours is left. Nothing is answered any more.
  void close(std::function<void()> gone);

 private:
  using LegacyPtr = std::shared_ptr<LegacyClient>;
  using ModernPtr = std::shared_ptr<ModernClients>;
  using ReplyPtr = std::shared_ptr<HttpReply>;
  using Fields = std::vector<mcp::HeaderField>;

  void serve(const HttpRequest& request, const ReplyPtr& reply);  // of a client that may have been looked for
  void post(const Identity& who, const mcp::HttpHead& head, const HttpRequest& request, const ReplyPtr& reply);
  void post_modern(const Identity& who, const Fields& fields, mcp::Message message, const ReplyPtr& reply);
  void post_initialize(const Identity& who, mcp::Message message, const ReplyPtr& reply);
  void post_session(const Identity& who, const mcp::HttpHead& head, mcp::Message message, const ReplyPtr& reply);
  // Of this grant: another's does not exist (A33).
  LegacyPtr find_session(const Identity& who, const mcp::HttpHead& head);
  Result<ModernPtr> of_grant(const Caller& caller);
  bool make_room();
  void end_session(const std::string& id, const HttpAnswer& why);
  void end_grant(const std::string& grant, const HttpAnswer& why);
  void leave(RelayClients& clients, const HttpAnswer& why);

  Deps deps_;
  ControlGuard guard_;
  const McpLimits limits_;
  std::map<std::string, LegacyPtr> sessions_;
  std::map<std::string, ModernPtr> grants_;
  std::size_t leaving_ = 0;  // servers that were told to end
  std::function<void()> gone_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::gateway
