// The decision in front of every call. Today one policy exists, which allows everything; the seam is what the policy
// engine fills later (gate.md 3): names first, then effective arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "tools/tool.h"

namespace sluice::gateway {

// Whose call it is. `owner` is the command line over the 0600 socket, never masked (gate.md 2).
struct Caller {
  std::string grant = "default";
  std::string session;  // legacy session id or connection; empty for stateless calls
  bool unmasked = false;
};

// What is to be judged. `arguments` are effective: parsed, defaults filled in.
struct Subject {
  const Caller& caller;
  std::string_view server;
  std::string_view method;  // "tools/call", "resources/read", …
  std::string_view name;    // the tool's name or the resource's URI
  tools::Risk risk = tools::Risk::kRead;
  const Json& arguments;
};

struct Decision {
  bool allow = true;
  std::string rule;     // what decided: a JSON pointer or "(default deny)"; empty when allowed
  std::string message;  // what the caller is told; without the "[POLICY DENIED] " in front
};

// Thread-safe; immutable snapshots are swapped by whoever owns it.
class Policy {
 public:
  virtual ~Policy() = default;
  // False: the name is answered as if it did not exist, before anything of the call is read.
  virtual bool may_see(const Caller& caller, std::string_view server, std::string_view name) const = 0;
  virtual Decision decide(const Subject& subject) const = 0;
  virtual std::uint64_t revision() const = 0;
};

class AllowAll final : public Policy {
 public:
  bool may_see(const Caller&, std::string_view, std::string_view) const override { return true; }
  Decision decide(const Subject&) const override { return {}; }
  std::uint64_t revision() const override { return 0; }
};

}  // namespace sluice::gateway
