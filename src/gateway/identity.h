// Who speaks to the control port: a bearer token stands for one grant, and what a grant may see is shown by a profile
// of its own (gate.md 2). Control thread only.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "gateway/policy.h"
#include "mcp/mcp.h"

namespace sluice::gateway {

struct Identity {
  Caller caller;
  const mcp::ServerProfile* profile = nullptr;  // binds cursors; lives as long as the Identities
};

class Identities {
 public:
  virtual ~Identities() = default;
  // nullopt: the token is nobody's, or no longer; nobody is told which. Absent: none was given.
  virtual std::optional<Identity> identify(std::optional<std::string_view> token) = 0;
  // Where tokens are looked up over a network, identify() answers from what was read a moment ago: true, and then
  // look() calls `then`, later, once that is as new as the call.
  virtual bool must_look(std::optional<std::string_view> /*token*/) const { return false; }
  virtual void look(std::string_view /*token*/, std::function<void()> then) { then(); }
  // Whether a token that identify() does not know is worth a look(): it looks like one, and few such are looked for
  // now.
  virtual bool may_be_new(std::optional<std::string_view> /*token*/) { return false; }
  // Whether who was identified may still act.
  virtual bool is_valid(const Caller& caller) = 0;
  // Why nobody but who needs no grant is recognised now, as of the last question; empty: everybody is.
  virtual std::string_view unusable() const { return {}; }
};

// One token, or none at all: the local socket, and tests.
class OneIdentity final : public Identities {
 public:
  // An empty token: none is asked for.
  OneIdentity(std::string token, Identity identity) : token_(std::move(token)), identity_(std::move(identity)) {}
  std::optional<Identity> identify(std::optional<std::string_view> token) override;
  bool is_valid(const Caller&) override { return true; }

 private:
  std::string token_;
  Identity identity_;
};

}  // namespace sluice::gateway
