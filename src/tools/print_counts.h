// How often each TLS print was seen, and with which hosts: proxy_list_tls_fingerprints, proxy://traffic/summary.
// As large as what it counts; private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "capture/capture.h"

namespace sluice::tools {

class PrintCounts {
 public:
  static constexpr std::size_t kMostHosts = 5;  // of one print, the first distinct ones

  void add(std::string_view print, std::string_view host);
  // The `most` commonest, equal counts by first appearance: [{fingerprint, count, hostnames?}].
  enum class Hosts { kNone, kNamed };
  Json top(std::size_t most, Hosts hosts) const;

 private:
  struct Seen {
    std::string print;
    std::uint64_t count = 0;
    std::vector<std::string> hosts;
  };
  std::vector<Seen> seen_;                               // by first appearance
  std::unordered_map<std::string, std::size_t> places_;  // in seen_
};

// The client prints of all ended exchanges whose host contains `host_filter`, in any case.
struct TlsPrints {
  std::uint64_t exchanges = 0;  // with TLS
  PrintCounts ja3, ja4;
};
TlsPrints count_prints(const capture::Ring& ring, std::string_view host_filter);

}  // namespace sluice::tools
