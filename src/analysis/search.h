// Finds a text, ASCII case ignored, in URLs, header values and decoded bodies of the ring. One hit for each exchange:
// the first place that holds it, in the order of Place. Runs on the calling thread (offload it), reads a piece of a
// body at a time, and ends early when asked to.
//
// With a Redactor only what is left visible counts: a hit inside a masked value would let the caller guess it letter
// by letter (gate.md 7).
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/filter.h"
#include "analysis/ring_text_index.h"
#include "base/redact.h"
#include "capture/capture.h"

namespace sluice::analysis {

enum class Place { kUrl, kRequestHeader, kResponseHeader, kRequestBody, kResponseBody };
std::string_view to_string(Place place);  // "url", "request_header", …

struct SearchQuery {
  std::string text;
  bool in_url = true, in_headers = true, in_bodies = true;
  capture::Filter filter;
  const FilterExpression* expression = nullptr;  // null: none; else it must hold too
  std::size_t offset = 0, limit = 20;
  // Else in the order of Ring::list. Newest first, no more is looked at once `limit` hits are found: the next page is
  // asked for with filter.before_rev.
  bool newest_first = false;
  RingTextIndex* index = nullptr;      // null: everything is looked at
  ByteCount body_budget = 8 * kMiB;    // decoded octets of each body that are looked at
  const Redactor* redactor = nullptr;  // null: everything is visible
  std::stop_token stop;
  std::function<bool()> enough;  // asked before each exchange: true ends the search where it is; may be empty
  // Now and then: how many of how many exchanges were looked at. May be empty.
  std::function<void(std::size_t done, std::size_t all)> progress;
};

struct SearchHit {
  std::string id;
  std::uint64_t rev = 0;
  Place place = Place::kUrl;
};

struct SearchResult {
  std::vector<SearchHit> hits;  // [offset, offset + limit)
  std::size_t total = 0;        // exchanges that hold the text
  std::size_t searched = 0;     // exchanges that passed the filter
  bool whole = true;            // false: `enough` ended it, or the page is full
  std::uint64_t rev = 0;        // of the exchange looked at last
};

// An empty text is in everything. kCancelled. Bodies that left the ring are passed over.
Result<SearchResult> search(const capture::Ring& ring, const SearchQuery& query);

}  // namespace sluice::analysis
