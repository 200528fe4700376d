// The one notion of "domain" that searches, analysis and scopes share (mitm.md 3, W5): labels are compared whole, from
// the right. "example.com" is the name and every name below it; "*.example.com" only those below; both with a port if
// they are to hold for that port alone. IP addresses are themselves. International names are taken as people write them
// (UTS #46, as xn--…). Values; immutable once parsed; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::analysis {

struct Domain {
  std::string host;        // lower case, ASCII; no brackets, no trailing dot
  bool itself = true;      // false: "*."
  bool below = true;       // false: an IP address
  std::uint16_t port = 0;  // 0: any

  bool holds(std::string_view host, std::uint16_t port) const;
};

// A scheme in front and a path behind are ignored, as people paste URLs. "*" is no domain: leave it out instead.
// kInvalid: one sentence with the text.
Result<Domain> parse_domain(std::string_view text);

class DomainSet {
 public:
  static Result<DomainSet> parse(const std::vector<std::string>& texts);
  // An empty set holds every host.
  bool holds(std::string_view host, std::uint16_t port) const;
  bool empty() const { return domains_.empty(); }
  const std::vector<Domain>& domains() const { return domains_; }

 private:
  std::vector<Domain> domains_;
};

}  // namespace sluice::analysis
