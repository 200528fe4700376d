#include <csignal>
#include <cstdio>
#include <exception>

#include "app/commands.h"
#include "base/memory.h"
#include "pac/child.h"
#include "tls/session.h"

namespace {

int run(const sluice::app::Config& config) {
  using sluice::app::Command;
  switch (config.command) {
    case Command::kServe:
      return run_serve(config);
    case Command::kMcp:
      return run_mcp(config);
    case Command::kTraffic:
      return run_traffic(config);
    case Command::kCall:
      return run_call(config);
    case Command::kRules:
      return run_rules(config);
    case Command::kCa:
      return run_ca(config);
    case Command::kTools:
      return run_tools(config);
    case Command::kDoctor:
      return run_doctor(config);
    case Command::kPolicy:
      return run_policy(config);
    case Command::kGrant:
      return run_grant(config);
    case Command::kApprovals:
      return run_approvals(config);
    case Command::kGate:
      return run_gate(config);
    case Command::kSessions:
      return run_sessions(config);
    case Command::kAudit:
      return run_audit(config);
    case Command::kGateway:
      return run_gateway(config);
    case Command::kGatewayImport:
      return run_gateway_import(config);
    case Command::kGatewayStatus:
      return run_gateway_status(config);
    case Command::kGatewayLogin:
      return run_gateway_login(config);
    case Command::kGatewayLogout:
      return run_gateway_logout(config);
    case Command::kPins:
      return run_pins(config);
  }
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (sluice::pac::is_child(argc, argv)) return sluice::pac::run_child(argv);
  sluice::keep_little_memory();
  std::signal(SIGPIPE, SIG_IGN);              // writes answer EPIPE instead
  std::signal(SIGXFSZ, SIG_IGN);              // and EFBIG: a full disk by `ulimit -f` ends a recording, not the proxy
  sluice::tls::use_openssl_without_config();  // before anything else uses OpenSSL (engine.md 3)
  sluice::SystemFileSystem files;
  try {
    const sluice::app::ConfigOutcome outcome = sluice::app::read_config(argc, argv, files);
    return outcome.config ? run(*outcome.config) : outcome.exit_code;
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "sluice: internal error: %s\n", bug.what());
    return 1;
  }
}
