#include "tools/print_counts.h"

#include <algorithm>

namespace sluice::tools {

void PrintCounts::add(std::string_view print, std::string_view host) {
  if (print.empty()) return;
  const auto [place, is_new] = places_.try_emplace(std::string(print), seen_.size());
  if (is_new) seen_.push_back({std::string(print), 0, {}});
  Seen& seen = seen_[place->second];
  ++seen.count;
  if (seen.hosts.size() < kMostHosts && std::find(seen.hosts.begin(), seen.hosts.end(), host) == seen.hosts.end()) {
    seen.hosts.emplace_back(host);
  }
}

Json PrintCounts::top(std::size_t most, Hosts hosts) const {
  std::vector<const Seen*> sorted;
  for (const Seen& seen : seen_) sorted.push_back(&seen);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Seen* a, const Seen* b) { return a->count > b->count; });
  if (sorted.size() > most) sorted.resize(most);
  Json array = Json::array();
  for (const Seen* seen : sorted) {
    Json row = {{"fingerprint", seen->print}, {"count", seen->count}};
    if (hosts == Hosts::kNamed) row["hostnames"] = seen->hosts;
    array.push_back(std::move(row));
  }
  return array;
}

TlsPrints count_prints(const capture::Ring& ring, std::string_view host_filter) {
  TlsPrints prints;
  capture::Filter filter;
  filter.host_contains = host_filter;
  ring.glance(filter, [&](const capture::Glance& glance) {
    if (!glance.client_tls) return true;
    ++prints.exchanges;
    prints.ja3.add(glance.client_tls->ja3, glance.host);
    prints.ja4.add(glance.client_tls->ja4, glance.host);
    return true;
  });
  return prints;
}

}  // namespace sluice::tools
