// What listens beside the agents' port: two ways to hear of approvals and to decide about them, --approval-webhook and
// --admin-api (gate.md 5), and --metrics. Control thread only; goes before what it is given does.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "base/log.h"
#include "base/redact.h"
#include "gateway/admin_api.h"
#include "gateway/approval_webhook.h"
#include "gateway/dispatcher.h"
#include "gateway/metrics_api.h"
#include "gateway/policy_gate.h"

namespace sluice::app {

class ApprovalService {
 public:
  struct Deps {
    gateway::AdminApi::Deps api;
    std::vector<gateway::PolicyGate*> gates;
    const Redactor& redactor;
    Log& log;
    std::function<std::string()> metrics;  // their text
  };
  // Null where none is asked for. kRefused, kInvalid: the webhook's key or URL cannot be used; kUnavailable: the
  // port is taken.
  static Result<std::unique_ptr<ApprovalService>> create(boost::asio::io_context& control, const EngineConfig& config,
                                                         Deps deps);
  ~ApprovalService();

 private:
  explicit ApprovalService(Deps deps) : deps_(std::move(deps)) {}
  Status open_webhook(boost::asio::io_context& control, const EngineConfig& config);
  Status open_api(boost::asio::io_context& control, std::uint16_t port);
  Status open_metrics(boost::asio::io_context& control, std::uint16_t port);
  Result<std::unique_ptr<gateway::HttpServer>> listen(boost::asio::io_context& control, std::uint16_t port,
                                                      gateway::HttpHandler& handler);

  Deps deps_;
  std::unique_ptr<gateway::ApprovalWebhook> webhook_;
  std::unique_ptr<gateway::AdminApi> api_;
  std::unique_ptr<gateway::MetricsApi> metrics_;
  std::unique_ptr<gateway::HttpServer> server_, metrics_server_;
};

// What a scrape of --metrics shows, of all gates together.
struct GateCounts {
  const gateway::Dispatcher& dispatcher;
  const gateway::AuditLog& audit;
  const gateway::CallRecorder* calls;  // null: none are kept
};
// `waiting`: approvals that are pending, where that can be known.
std::string gate_metrics(const std::vector<GateCounts>& gates, const Result<std::size_t>& waiting, bool closed);

}  // namespace sluice::app
