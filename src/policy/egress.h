// `egress`: where the traffic may go that a grant causes (gate.md 3; the truth table is in docs/policy.md). Every
// member that is given must admit a target: the port, the name, and each address that is dialled. Immutable;
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/operators.h"
#include "policy/policy.h"

namespace sluice::policy {

class EgressSet {
 public:
  // kInvalid only for what parse_policy() refuses.
  static Result<EgressSet> compile(const Egress& egress);

  // What name and port alone say: kByAddress: they are fine, and the addresses decide.
  enum class Answer { kYes, kNo, kByAddress };
  // `host`: a name or an address, written in any way (numbers, brackets, a trailing dot).
  Answer judge(std::string_view host, std::uint16_t port) const;
  // The same with the address that is dialled for it.
  bool admits(std::string_view host, std::uint16_t port, const Address& address) const;

 private:
  std::optional<HostSet> hosts_;
  std::optional<AddressSet> blocks_;
  std::optional<std::vector<std::uint16_t>> ports_;
};

}  // namespace sluice::policy
