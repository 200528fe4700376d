#include "policy/egress.h"

#include <algorithm>

#include "policy/condition.h"

namespace sluice::policy {

Result<EgressSet> EgressSet::compile(const Egress& egress) {
  EgressSet set;
  if (egress.host_in) {
    SLUICE_TRY(set.hosts_, HostSet::compile(*egress.host_in));
  }
  if (egress.cidr) {
    SLUICE_TRY(set.blocks_, AddressSet::compile(*egress.cidr));
  }
  set.ports_ = egress.ports;
  return set;
}

EgressSet::Answer EgressSet::judge(std::string_view host, std::uint16_t port) const {
  if (ports_ && std::find(ports_->begin(), ports_->end(), port) == ports_->end()) return Answer::kNo;
  if (hosts_ && hosts_->judge(host) != Truth::kTrue) return Answer::kNo;
  if (!blocks_) return Answer::kYes;
  const auto written = read_host(host);
  if (!written || !written->address) return Answer::kByAddress;
  return blocks_->contains(*written->address) ? Answer::kYes : Answer::kNo;
}

bool EgressSet::admits(std::string_view host, std::uint16_t port, const Address& address) const {
  if (judge(host, port) == Answer::kNo) return false;
  // Whoever looks up a number may read it otherwise than we do: what is dialled counts, and must be what was written.
  const auto written = read_host(host);
  if (written && written->address && *written->address != address) return false;
  return !blocks_ || blocks_->contains(address);
}

}  // namespace sluice::policy
