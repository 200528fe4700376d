// Finds a text, ASCII case ignored, in URLs, header values and decoded bodies of the ring. One hit for each exchange:
// the first place that holds it, in the order of Place. Runs on the calling thread (offload it), reads a piece of a
// body at a time, and ends early when asked to. What it answers is raw: masking is the presenter's.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "capture/capture.h"

namespace sluice::analysis {

enum class Place { kUrl, kRequestHeader, kResponseHeader, kRequestBody, kResponseBody };
std::string_view to_string(Place place);  // "url", "request_header", …

struct SearchQuery {
  std::string text;
  bool in_url = true, in_headers = true, in_bodies = true;
  capture::Filter filter;
  std::size_t offset = 0, limit = 20;
  ByteCount body_budget = 8 * kMiB;  // decoded octets of each body that are looked at
  std::stop_token stop;
  // Now and then: how many of how many exchanges were looked at.
  std::function<void(std::size_t done, std::size_t all)> progress;
};

struct SearchHit {
  std::string id;
  Place place = Place::kUrl;
  std::string snippet;  // the text with up to 40 octets around it; raw octets
};

struct SearchResult {
  std::vector<SearchHit> hits;  // [offset, offset + limit), in the order of Ring::list
  std::size_t total = 0;        // exchanges that hold the text
  std::size_t searched = 0;     // exchanges that passed the filter
};

// kInvalid: an empty text; kCancelled. Bodies that left the ring, and binary ones (a NUL in the first 512 octets), are
// passed over.
Result<SearchResult> search(const capture::Ring& ring, const SearchQuery& query);

}  // namespace sluice::analysis
