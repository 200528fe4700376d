// What stands behind clients: one relay and its server, or several behind a switchboard (many_backend.h). Control
// thread only. Held by shared_ptr, since answers come later.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/relay.h"
#include "gateway/upstream.h"

namespace sluice::gateway {

enum class ClientEra { kLegacy, kModern };

class Backend {
 public:
  struct Events {  // all set
    std::function<void(ToClient)> to_client;
    std::function<void()> ended;  // no server is left, or the only one forgot us: nobody can go on here
  };
  virtual ~Backend() = default;

  // A client's message; `as`: the id under which a request is kept, where several clients share this.
  virtual void take(mcp::Message message, std::optional<mcp::RequestId> as) = 0;
  virtual void withdraw(const mcp::RequestId& id) = 0;  // its client went away
  // As clients call it.
  virtual std::shared_ptr<const UpstreamTool> tool(std::string_view name) const = 0;
  virtual const Caller& caller() const = 0;
  virtual void set_caller(Caller caller) = 0;  // the same grant, with the credential that was shown last
  virtual ByteCount unread() const = 0;        // octets that the server has not read yet
  // Something of it is gone, which only a new one has.
  virtual bool is_worn() const = 0;
  virtual void tick() = 0;        // now and then
  virtual void look_again() = 0;  // the policy changed, or pins were accepted
  // Nothing is sent to clients any more.
  virtual void stop() = 0;
  // After stop(): servers are told; `gone` when nothing of them is left.
  virtual void close(std::function<void()> gone) = 0;
};

using BackendFactory = std::function<Result<std::shared_ptr<Backend>>(const Caller&, ClientEra, Backend::Events)>;

// How a relay and its server come to be. All outlive what they make.
struct RelayFactory {
  std::function<std::shared_ptr<Relay>(Caller, ClientEra, std::function<void(ToClient)>,
                                       std::function<void(std::string)>)>
      make_relay;
  // kUnavailable: it cannot be reached, or started.
  std::function<Result<std::shared_ptr<Upstream>>(const Caller&, ClientEra, UpstreamEvents)> connect;
  std::function<void(std::string_view)> notice;
};

// One server.
Result<std::shared_ptr<Backend>> make_backend(const RelayFactory& factory, const Caller& caller, ClientEra era,
                                              Backend::Events events);

}  // namespace sluice::gateway
