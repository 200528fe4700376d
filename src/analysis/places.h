// The places of a message where a value may stand, one after the other: header fields, cookies, path segments,
// parameters, members of JSON, attributes and texts of HTML. What traces and generated code mean by a place is this.
// Bounded: at most kMostPlaces of one body. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sluice::analysis {

inline constexpr std::size_t kMostPlaces = 50'000;
inline constexpr std::size_t kMostPlaceDepth = 16;  // of JSON

enum class PlaceKind : std::uint8_t { kHeader, kCookie, kPath, kQuery, kForm, kJson, kHtml, kText };
std::string_view to_string(PlaceKind kind);  // "header", "cookie", "path", "query", "form", "json", "html", "text"

struct Place {
  PlaceKind kind = PlaceKind::kText;
  std::string name;                  // of the field, cookie, parameter or attribute; a segment's number from 0
  std::vector<std::string> pointer;  // kJson: members and indexes
  // kHtml: the first element of this name, or the first whose attribute `key` is `key_value`. The text of an element
  // has no `name`.
  std::string element, key, key_value;
  bool hidden = false;       // a hidden field of a form
  bool first = true;         // kHtml: false: an earlier element is described in the same words
  std::string json() const;  // the pointer (RFC 6901)
  // "X-Token", "/data/token", "input[name=\"csrf\"]": what a person reads.
  std::string label() const;
};

// The text as it stands there; of JSON and HTML, the value that is meant. False: enough.
using VisitPlace = std::function<bool(const Place& place, std::string_view text)>;

// A field of a request or of an answer. Cookies one by one.
bool visit_field(std::string_view name, std::string_view value, const VisitPlace& visit);
bool visit_target(std::string_view target, const VisitPlace& visit);  // path with query
bool visit_pairs(PlaceKind kind, std::string_view pairs, const VisitPlace& visit);
bool visit_json(const Json& document, const VisitPlace& visit);
// A decoded body by its media type; what has no parts is one text.
bool visit_body(std::string_view media, std::string_view body, const VisitPlace& visit);

}  // namespace sluice::analysis
