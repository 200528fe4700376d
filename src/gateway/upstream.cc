#include "gateway/upstream.h"

#include <utility>

#include "gateway/era_bridge.h"

namespace sluice::gateway {

void put_bridge(const std::shared_ptr<Relay>& relay, EraLink::Wires wires) {
  const std::weak_ptr<Relay> weak = relay;
  wires.to_relay = [weak](std::string_view message, mcp::SentKey on) {
    if (const auto to = weak.lock()) to->from_server(message, on);
  };
  wires.lost = [weak](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
    if (const auto to = weak.lock()) to->lost(key, error, unsent);
  };
  wires.hears = [weak](bool hears) {
    if (const auto to = weak.lock()) to->set_hearing(hears);
  };
  relay->set_bridge(EraBridge::create(std::move(wires)));
}

UpstreamEvents events_of(const std::shared_ptr<Relay>& relay, std::function<void(std::string_view)> notice) {
  const std::weak_ptr<Relay> weak = relay;
  UpstreamEvents events;
  events.message = [weak](std::string_view message, mcp::SentKey on) {
    const auto to = weak.lock();
    if (!to) return;
    if (to->bridge()) return to->bridge()->from_server(message, on);
    to->from_server(message, on);
  };
  events.too_long = [weak] {
    const auto to = weak.lock();
    if (!to) return;
    to->too_long_from_server();
    if (to->bridge()) to->bridge()->too_long();
  };
  events.waits = [weak](mcp::SentKey key) {
    const auto to = weak.lock();
    return to && (to->waits(key) || (to->bridge() && to->bridge()->waits(key)));
  };
  events.lost = [weak](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
    const auto to = weak.lock();
    if (!to) return;
    if (to->bridge()) return to->bridge()->lost(key, error, unsent);
    to->lost(key, error, unsent);
  };
  events.session_lost = [weak] {
    const auto to = weak.lock();
    if (!to) return;
    if (to->bridge()) to->bridge()->session_lost();
    to->session_lost();
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
