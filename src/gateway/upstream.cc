#include "gateway/upstream.h"

namespace sluice::gateway {

UpstreamEvents events_of(const std::shared_ptr<Relay>& relay, std::function<void(std::string_view)> notice) {
  const std::weak_ptr<Relay> weak = relay;
  UpstreamEvents events;
  events.message = [weak](std::string_view message, mcp::SentKey on) {
    if (const auto to = weak.lock()) to->from_server(message, on);
  };
  events.too_long = [weak] {
    if (const auto to = weak.lock()) to->too_long_from_server();
  };
  events.waits = [weak](mcp::SentKey key) {
    const auto to = weak.lock();
    return to && to->waits(key);
  };
  events.lost = [weak](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
    if (const auto to = weak.lock()) to->lost(key, error, unsent);
  };
  events.session_lost = [weak] {
    if (const auto to = weak.lock()) to->session_lost();
  };
  events.hears = [weak](bool hears) {
    if (const auto to = weak.lock()) to->set_hearing(hears);
  };
  events.ended = [weak] {
    if (const auto to = weak.lock()) to->server_ended();
  };
  events.drained = [] {};
  events.tool = [weak](std::string_view name) {
    const auto to = weak.lock();
    return to ? to->tool(name) : nullptr;
  };
  events.notice = std::move(notice);
  return events;
}

}  // namespace sluice::gateway
