// Who has taken over the listener that `serve` opened by itself (engine.md 9): proxy_start succeeds once for each
// caller until the next stop. A caller is a legacy session; stateless clients and the command line count by grant.
// Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

namespace sluice::tools {

struct CallContext;

class Adoptions {
 public:
  // The most callers remembered; beyond it the oldest memory is dropped whole, so that a flood of sessions costs
  // no more than a start that succeeds twice.
  static constexpr std::size_t kMaxCallers = 10'000;

  // False if this caller has it already.
  bool adopt(const CallContext& context);
  bool has(const CallContext& context) const;
  // The session ended: its id will not come back.
  void forget_session(std::string_view session);
  // At each stop.
  void clear();

 private:
  mutable std::mutex mutex_;
  std::unordered_set<std::string> callers_;
};

}  // namespace sluice::tools
