// The sub-commands that are not a running program. Each prints and returns the exit code: 0 done, 1 failed, 2 wrong
// usage.
#pragma once

#include "app/config.h"

namespace sluice::app {

int run_serve(const Config& config);
int run_mcp(const Config& config);
int run_traffic(const Config& config);
int run_call(const Config& config);
int run_rules(const Config& config);
int run_ca(const Config& config);
int run_tools(const Config& config);
int run_doctor(const Config& config);
int run_policy(const Config& config);
int run_grant(const Config& config);
int run_approvals(const Config& config);
int run_gate(const Config& config);
int run_sessions(const Config& config);
int run_audit(const Config& config);
int run_gateway(const Config& config);
int run_gateway_import(const Config& config);
int run_gateway_status(const Config& config);
int run_gateway_login(const Config& config);
int run_gateway_logout(const Config& config);
int run_pins(const Config& config);

// "sluice: <message>" on standard error; 1.
int report(const Error& error);

}  // namespace sluice::app
