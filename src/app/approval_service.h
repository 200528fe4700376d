// Beside the command line, two ways to hear of approvals and to decide about them: --approval-webhook and --admin-api
// (gate.md 5). Control thread only; goes before what it is given does.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "base/log.h"
#include "base/redact.h"
#include "gateway/admin_api.h"
#include "gateway/approval_webhook.h"
#include "gateway/policy_gate.h"

namespace sluice::app {

class ApprovalService {
 public:
  struct Deps {
    gateway::AdminApi::Deps api;
    gateway::PolicyGate& gate;
    const Redactor& redactor;
    Log& log;
  };
  // Null where neither is asked for. kRefused, kInvalid: the webhook's key or URL cannot be used; kUnavailable: the
  // port is taken.
  static Result<std::unique_ptr<ApprovalService>> create(boost::asio::io_context& control, const EngineConfig& config,
                                                         Deps deps);
  ~ApprovalService();

 private:
  explicit ApprovalService(Deps deps) : deps_(deps) {}
  Status open_webhook(boost::asio::io_context& control, const EngineConfig& config);
  Status open_api(boost::asio::io_context& control, std::uint16_t port);

  Deps deps_;
  std::unique_ptr<gateway::ApprovalWebhook> webhook_;
  std::unique_ptr<gateway::AdminApi> api_;
  std::unique_ptr<gateway::HttpServer> server_;
};

}  // namespace sluice::app
