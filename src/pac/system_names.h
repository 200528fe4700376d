// Names by getaddrinfo, so that /etc/hosts and nsswitch count; kept for a little while, as scripts ask for the same
// name many times over. Belongs to one thread; blocks.
#pragma once

#include <unordered_map>

#include "base/clock.h"
#include "pac/names.h"

namespace sluice::pac {

class SystemNames final : public Names {
 public:
  std::vector<std::string> resolve(const std::string& name) override;
  std::vector<std::string> mine() override;

 private:
  struct Known {
    std::vector<std::string> addresses;
    MonoTime until;
  };
  SystemClock clock_;
  std::unordered_map<std::string, Known> known_;
  std::vector<std::string> mine_;
  MonoTime mine_until_{};
};

}  // namespace sluice::pac
