// Exchanges of the ring that a filter expression lets through, with their bodies where it asks for them. Runs on the
// calling thread (offload it); memory is bounded by one body's budget. Masking as in filter.h.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/filter.h"
#include "capture/capture.h"

namespace sluice::analysis {

struct FilterReading {
  const Redactor* redactor = nullptr;  // null: everything is visible
  ByteCount body_budget = 8 * kMiB;    // decoded octets of each body that are looked at
  std::stop_token stop;
};

// kCancelled. A body that left the ring holds nothing.
Result<bool> passes(const FilterExpression& expression, const capture::BodySource& ring, const flow::Exchange& exchange,
                    const FilterReading& reading);

struct FilterQuery {
  capture::Filter filter;  // must hold too; it gives the order
  const FilterExpression* expression = nullptr;
  FilterReading reading;
  std::function<bool()> enough;                    // asked before each exchange: true ends it where it is; may be empty
  std::function<void(std::size_t done)> progress;  // now and then; may be empty
};

struct Filtered {
  std::vector<std::string> ids;  // in the order of Ring::list
  std::size_t searched = 0;      // exchanges that were looked at
  std::uint64_t last_rev = 0;    // of the last one that was looked at
  bool whole = true;             // false: `enough` ended it
};

Result<Filtered> find_filtered(const capture::Ring& ring, const FilterQuery& query);

}  // namespace sluice::analysis
