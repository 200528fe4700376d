// A server as a relay reaches it: messages go out by send(), and what becomes of them is told by events. Control thread
// only. Held by shared_ptr, since answers come later.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/era_link.h"
#include "gateway/relay.h"

namespace sluice::gateway {

// In the `data` of an error that the gateway made of an HTTP answer without a message: its status.
inline constexpr const char* kHttpStatus = "dev.sluice/httpStatus";

// All set.
struct UpstreamEvents {
  // `on`: the request on whose stream it came; 0: nobody knows.
  std::function<void(std::string_view message, mcp::SentKey on)> message;
  std::function<void()> too_long;  // a message was, and was not taken
  // Whether an answer to this request is still to come, and that there will be none; `unsent`: nothing of it left.
  std::function<bool(mcp::SentKey)> waits;
  std::function<void(mcp::SentKey, const mcp::RpcError&, bool unsent)> lost;
  std::function<void()> session_lost;  // the server has forgotten us
  // Whether it is heard by now when it tells of changes; what it told before was not.
  std::function<void(bool)> hears;
  std::function<void()> ended;    // there is no server any more
  std::function<void()> drained;  // what send() was given has left
  std::function<std::shared_ptr<const UpstreamTool>(std::string_view name)> tool;
  std::function<void(std::string_view)> notice;  // for the person who runs the gateway
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  virtual void send(std::string message) = 0;
  virtual ByteCount pending() const = 0;  // octets that wait to leave
  // Nothing more is taken from the server until it is told to: the client is slow.
  virtual void hold_reading(bool hold) = 0;
  // What waits is sent, then the server is told that its client goes; `gone` once, when nothing of it is left. No event
  // comes any more.
  virtual void close(std::function<void()> gone) = 0;
};

// Puts a bridge between eras in front of the relay's server, before anything is said: what the relay says must go to
// the bridge's from_relay(). Of the wires those towards the relay are set here.
void put_bridge(const std::shared_ptr<Relay>& relay, EraLink::Wires wires);

// The events of a server behind this relay, or behind its bridge; `ended` and `drained` are the caller's.
UpstreamEvents events_of(const std::shared_ptr<Relay>& relay, std::function<void(std::string_view)> notice);

}  // namespace sluice::gateway
