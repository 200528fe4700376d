// What tools may call: made by app/wiring, passed in CallContext. Interfaces and public classes of lower floors only.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "analysis/ring_text_index.h"
#include "base/allowed_roots.h"
#include "base/clock.h"
#include "base/redact.h"
#include "capture/capture.h"
#include "proxy/engine.h"
#include "proxy/upstream_table.h"
#include "rules/rules.h"
#include "session/session.h"
#include "tls/authority.h"
#include "tools/adoptions.h"
#include "tools/login_checks.h"
#include "tools/replay_board.h"
#include "tools/session_variables.h"

namespace sluice {
class KnownSecrets;  // base/known_secrets.h
}

namespace sluice::tools {

class SecretHandles;  // secret_handles.h
class TrafficLoader;  // traffic_loader.h

// How a start of the proxy is to be understood in this process (engine.md 9): `serve` has a listener of its own that
// proxy_start adopts; `mcp` opens one when asked.
enum class StartMode { kAdopt, kOpen };

struct Services {
  const Clock& clock;
  proxy::Engine& engine;
  capture::Ring& ring;
  rules::RuleStore& rules;
  std::shared_ptr<const tls::CertificateAuthority> authority;
  std::string ca_pem_path;
  StartMode start_mode = StartMode::kOpen;
  proxy::ListenAddress default_listen;                   // where proxy_start listens when no port is given
  std::vector<proxy::ListenAddress> more_listeners;      // opened beside it at each start
  std::chrono::milliseconds stop_drain{1'000};           // proxy_stop: for exchanges in flight
  std::string sessions_directory;                        // `<home>/sessions`
  Adoptions* adoptions = nullptr;                        // needed for StartMode::kAdopt
  std::vector<proxy::ListenAddress> transparent_listen;  // hosts for the transparent listener; empty: loopback
  std::uint32_t outgoing_mark = 0;                       // of our own connections, for firewall rules
  proxy::UpstreamStore* upstreams = nullptr;             // the engine's
  session::Store* sessions = nullptr;                    // null: nothing is recorded (tests)
  std::shared_ptr<ReplayBoard> replays = std::make_shared<ReplayBoard>();  // in the background; never null
  const AllowedRoots* roots = nullptr;  // where paths given by tools may lead; null: nowhere
  const Redactor* redactor = nullptr;   // for what is to be masked for whoever sees everything
  SecretHandles* handles = nullptr;     // null: there are none (tests)
  KnownSecrets* known = nullptr;        // the redactor's; null exactly where `handles` is
  TrafficLoader* loader = nullptr;      // of files into the ring; null: none are loaded
  // Whether answers show tls.server (engine.md 3). Never null.
  std::shared_ptr<std::atomic<bool>> server_tls_shown = std::make_shared<std::atomic<bool>>(true);
  // Never null.
  std::shared_ptr<SessionVariables> variables = std::make_shared<SessionVariables>();
  std::shared_ptr<LoginChecks> login_checks = std::make_shared<LoginChecks>();  // never null
  analysis::RingTextIndex* text_index = nullptr;                                // of the ring; null: searches read all
};

}  // namespace sluice::tools
