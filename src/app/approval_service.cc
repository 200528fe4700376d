#include "app/approval_service.h"

#include <fmt/format.h>
#include <strings.h>

#include "app/home.h"
#include "app/trusted_file.h"
#include "base/text.h"
#include "gateway/approval_json.h"
#include "gateway/masking.h"
#include "net/listener.h"

namespace sluice::app {
namespace {

constexpr std::size_t kLeastKey = 16;  // characters: fewer can be guessed
constexpr ByteCount kMaxKeyFile = 4 * kKiB;

Result<Secret> load_key(const std::string& path) {
  SLUICE_TRY(std::string text, load_trusted(path, kMaxKeyFile, Readers::kSelf));
  Secret key(trim(std::string_view(text).substr(0, text.find('\n'))));
  ::explicit_bzero(text.data(), text.size());
  if (key.view().size() >= kLeastKey) return key;
  return fail(Code::kInvalid,
              fmt::format("{} holds no secret of at least {} characters (openssl rand -hex 32)", path, kLeastKey));
}

}  // namespace

Result<std::unique_ptr<ApprovalService>> ApprovalService::create(boost::asio::io_context& control,
                                                                 const EngineConfig& config, Deps deps) {
  std::unique_ptr<ApprovalService> service;
  if (config.approval_webhook.empty() != config.approval_webhook_key.empty()) {
    return fail(Code::kInvalid, "--approval-webhook URL and --approval-webhook-key FILE go together");
  }
  if (config.approval_webhook.empty() && config.admin_api == 0 && config.metrics == 0) return service;
  service.reset(new ApprovalService(std::move(deps)));
  if (!config.approval_webhook.empty()) SLUICE_CHECK(service->open_webhook(control, config));
  if (config.admin_api != 0) SLUICE_CHECK(service->open_api(control, config.admin_api));
  if (config.metrics != 0) SLUICE_CHECK(service->open_metrics(control, config.metrics));
  return service;
}

Status ApprovalService::open_webhook(boost::asio::io_context& control, const EngineConfig& config) {
  gateway::ApprovalWebhook::Options options;
  options.url = config.approval_webhook;
  options.ca_files = config.upstream_ca;
  auto key = load_key(absolute_path(config.approval_webhook_key));
  if (!key) return fail(Error(key.error()).with_context("--approval-webhook-key"));
  options.key = *std::move(key);
  options.on_failure = [&log = deps_.log](std::string_view why) { log.error("approval_webhook", {{"reason", why}}); };
  auto webhook = gateway::ApprovalWebhook::create(control, deps_.api.clock, std::move(options));
  if (!webhook) return fail(Error(webhook.error()).with_context("--approval-webhook"));
  webhook_ = *std::move(webhook);
  const auto tell = [this](const gateway::Approval& approval) {
    Json body = gateway::approval_json(approval, unix_ms(deps_.api.clock.wall()));
    std::vector<std::string> masked;
    gateway::mask_answer(body, deps_.redactor, masked);
    webhook_->send(dump_json(body), approval.expires_ms);
  };
  for (gateway::PolicyGate* gate : deps_.gates) gate->on_approval(tell);
  return {};
}

Result<std::unique_ptr<gateway::HttpServer>> ApprovalService::listen(boost::asio::io_context& control,
                                                                     std::uint16_t port,
                                                                     gateway::HttpHandler& handler) {
  SLUICE_TRY(auto acceptor, net::listen_tcp(control.get_executor(), "127.0.0.1", port));
  gateway::HttpServerLimits limits;
  limits.max_body = 4 * kKiB;
  limits.max_connections = 64;
  auto server =
      std::make_unique<gateway::HttpServer>(control, handler, limits, [&log = deps_.log](std::string_view what) {
        log.error("admin_api_bug", {{"what", what}});
      });
  server->serve(std::move(acceptor));
  return server;
}

Status ApprovalService::open_api(boost::asio::io_context& control, std::uint16_t port) {
  api_ = std::make_unique<gateway::AdminApi>(deps_.api);
  auto server = listen(control, port, *api_);
  if (!server) return fail(Error(server.error()).with_context("--admin-api"));
  server_ = *std::move(server);
  return {};
}

Status ApprovalService::open_metrics(boost::asio::io_context& control, std::uint16_t port) {
  metrics_ = std::make_unique<gateway::MetricsApi>(deps_.metrics);
  auto server = listen(control, port, *metrics_);
  if (!server) return fail(Error(server.error()).with_context("--metrics"));
  metrics_server_ = *std::move(server);
  return {};
}

ApprovalService::~ApprovalService() {
  for (gateway::PolicyGate* gate : deps_.gates) gate->on_approval({});
  if (server_) server_->stop();
  if (metrics_server_) metrics_server_->stop();
}

std::string gate_metrics(const std::vector<GateCounts>& gates, const Result<std::size_t>& waiting, bool closed) {
  gateway::GateState state;
  state.version = SLUICE_VERSION;
  gateway::CallStats stats;
  for (const GateCounts& gate : gates) {
    stats.add(gate.dispatcher.stats());
    state.running += gate.dispatcher.running();
    state.audit_lost += gate.audit.lost();
    state.calls_lost += gate.calls ? gate.calls->lost() : 0;
  }
  state.closed = closed;
  if (waiting) state.approvals_pending = *waiting;
  return gateway::metrics_text(stats, state);
}

}  // namespace sluice::app
