// One proxy auto-configuration script, loaded and asked. JavaScript by Duktape: ECMAScript 5.1 and a little of what
// came later. Nothing here can stop a script that loops: run it in a process that can be killed (child.h).
// Pure but for what Names and Clock tell. Belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "pac/names.h"

namespace sluice::pac {

struct ScriptLimits {
  ByteCount memory = 64 * kMiB;    // of the script's heap; scripts of 100,000 hosts take some 20
  ByteCount answer = 16 * kKiB;    // of what is returned; honest answers are below a hundred octets
  std::size_t alerts = 8;          // kept of one call, the others are counted;
  std::size_t alert_length = 200;  // ... in UTF-16 units
  ByteCount argument = 64 * kKiB;  // of one argument of a function of ours
};

class Script {
 public:
  // `text`: UTF-8. Runs what stands outside functions. Errors are clauses that go on after "the proxy script":
  // kInvalid: "could not be parsed, line 3: …", "threw …", "defines no FindProxyForURL"; kTooLarge: memory.
  // Names and Clock outlive the script.
  static Result<std::unique_ptr<Script>> load(std::string_view text, Names& names, const Clock& clock,
                                              const ScriptLimits& limits = {});
  virtual ~Script() = default;

  // What FindProxyForURLEx, where there is one, else FindProxyForURL returned; well-formed UTF-8, not yet understood
  // (answer.h). kInvalid: it threw, or returned no string; kTooLarge: memory, or too long an answer.
  virtual Result<std::string> evaluate(std::string_view url, std::string_view host) = 0;

  // What alert() was told since the last time; `dropped`: how many it was told beyond that.
  struct Alerts {
    std::vector<std::string> texts;
    std::size_t dropped = 0;
  };
  virtual Alerts take_alerts() = 0;
  // Memory ran out once: it may be in pieces and should be loaded anew.
  virtual bool is_spent() const = 0;
};

}  // namespace sluice::pac
