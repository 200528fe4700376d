// The servers of `sluice gateway --config FILE`: each has a core of its own (its gate, pins and audit lines); what
// knows who calls, approvals and counts are of all of them.
#pragma once

#include <memory>
#include <vector>

#include "app/gateway_core.h"
#include "app/gateway_front.h"
#include "app/gateway_servers.h"
#include "gateway/many_backend.h"

namespace sluice::app {

class ManyServers {
 public:
  explicit ManyServers(boost::asio::io_context& control) : control_(control) {}
  ~ManyServers();

  // What is wrong with the set-up of one ends the start. Both arguments outlive it.
  Status build(const Config& config, const Home& home, GatewayCore::Hooks hooks);
  // Who calls over standard input and output.
  Result<gateway::Caller> identify();
  GatewayFront front();
  gateway::Grants& grants() { return *grants_; }
  Result<std::shared_ptr<gateway::ManyBackend>> connect(const gateway::Caller& caller, gateway::ClientEra era,
                                                        gateway::Backend::Events events,
                                                        std::function<void()> full = {},
                                                        std::function<void()> drained = {});
  void signal(int number);  // to programs

 private:
  struct Server {
    Config config;
    std::unique_ptr<GatewayCore> core;
  };
  Status add(GatewayServer server, const GatewayCore::Hooks& hooks);
  void count_together();
  Status prepare_grants();

  boost::asio::io_context& control_;
  const Config* config_ = nullptr;
  const Home* home_ = nullptr;
  SystemClock clock_;
  SystemEntropy entropy_;
  std::shared_ptr<gateway::RemoteState> remote_;
  std::unique_ptr<gateway::GateRows> local_state_;
  std::unique_ptr<gateway::GrantStore> grant_store_;
  std::unique_ptr<gateway::Grants> grants_;
  mcp::ServerProfile no_profile_;  // servers say what clients are shown
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<gateway::ManyBackend::Server> lanes_;
  std::unique_ptr<ApprovalService> approval_service_;
};

}  // namespace sluice::app
