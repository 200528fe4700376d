#include "tools/listening.h"

namespace sluice::tools {
namespace {

tl::unexpected<Error> already_running() { return fail(Code::kConflict, "Proxy is already running. Stop it first."); }

Status open_listeners(Services& services, const proxy::EngineStatus& before, std::optional<std::int64_t> port,
                      std::uint16_t usual_port) {
  proxy::ListenAddress first = services.default_listen;
  if (port) {
    first.port = static_cast<std::uint16_t>(*port);
  } else if (services.start_mode == StartMode::kAdopt && before.last_port != 0) {
    first.port = before.last_port;  // engine.md 9: port absent, the same one
  } else if (first.port == 0) {
    first.port = usual_port;
  }
  std::vector<proxy::ListenAddress> addresses{first};
  addresses.insert(addresses.end(), services.more_listeners.begin(), services.more_listeners.end());
  return services.engine.start(addresses);
}

}  // namespace

Result<proxy::EngineStatus> start_listening(CallContext& context, std::optional<std::int64_t> port,
                                            std::uint16_t usual_port) {
  Services& services = *context.services;
  proxy::EngineStatus before = services.engine.status();
  if (before.running) {
    if (services.start_mode != StartMode::kAdopt || !services.adoptions) return already_running();
    const bool same = !port || *port == 0 || *port == before.last_port;
    if (!same || !services.adoptions->adopt(context)) return already_running();
    return before;
  }
  SLUICE_CHECK(open_listeners(services, before, port, usual_port));
  if (services.adoptions) services.adoptions->adopt(context);
  return services.engine.status();
}

Status stop_listening(CallContext& context) {
  Services& services = *context.services;
  SLUICE_CHECK(services.engine.stop(services.stop_drain));
  if (services.adoptions) services.adoptions->clear();
  if (services.sessions) SLUICE_CHECK(services.sessions->stop());
  return {};
}

}  // namespace sluice::tools
