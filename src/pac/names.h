// Where a script's questions about names and addresses go. Belongs to the thread that runs the script.
#pragma once

#include <string>
#include <vector>

namespace sluice::pac {

class Names {
 public:
  virtual ~Names() = default;
  // Addresses of a name in the system's order, as text, IPv4 and IPv6; empty: there are none. Blocks.
  virtual std::vector<std::string> resolve(const std::string& name) = 0;
  // This machine's own, IPv4 first; never empty: "127.0.0.1" where nothing better is known.
  virtual std::vector<std::string> mine() = 0;
};

}  // namespace sluice::pac
