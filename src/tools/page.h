// Items of one page, as many as an answer has room for: so that what is shown and where the next page begins agree,
// and the presenter has nothing to leave out. Private to this folder.
#pragma once

#include <utility>

#include "base/json.h"

namespace sluice::tools {

// Octets of JSON; smaller than McpLimits::answer_units, since masks may be longer than what they stand for.
inline constexpr std::size_t kPageOctets = 18'000;

class Page {
 public:
  explicit Page(std::size_t octets = kPageOctets) : most_(octets) {}

  // False, and nothing is added: there is no room for it. The first always fits.
  bool add(Json item) {
    const std::size_t octets = dump_json(item).size() + 1;
    if (!items_.empty() && octets_ + octets > most_) return false;
    octets_ += octets;
    items_.push_back(std::move(item));
    return true;
  }
  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  Json take() { return std::move(items_); }

 private:
  const std::size_t most_;
  Json items_ = Json::array();
  std::size_t octets_ = 2;
};

}  // namespace sluice::tools
