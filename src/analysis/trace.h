// Where a value stands in a flow, and in which spelling: as it is, or behind percent-encoding, base64, JSON and HTML
// escapes, at most kMostEncodings of them inside each other. Only whole values count: in texts and pages, whole words.
// So nobody finds a secret out piece by piece; and below kLeastTraced octets nothing is looked for.
//
//   Tracer tracer(value);
//   for (flow, oldest first) for (const TracedPlace& found : tracer.look_at(flow)) …
//
// Immutable; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/flow_view.h"
#include "analysis/places.h"

namespace sluice::analysis {

inline constexpr std::size_t kLeastTraced = 8;         // octets (analysis.md)
inline constexpr std::size_t kMostTraced = 8'192;      // octets
inline constexpr std::size_t kMostEncodings = 3;       // inside each other
inline constexpr std::size_t kMostPlacesOfFlow = 100;  // found in one flow

struct TracedPlace {
  flow::Direction message = flow::Direction::kRequest;
  Place place;
  std::vector<std::string_view> encodings;  // outermost first: "percent", "base64", "json", "html", "jwt"
  std::string inside;                       // the pointer or parameter within a text that has parts of its own
  bool word = false;                        // one word of a longer text
};

struct TracedFlow {
  std::vector<TracedPlace> places;  // the request's first
  bool cut = false;                 // there are more than kMostPlacesOfFlow
};

class Tracer {
 public:
  // At least kLeastTraced octets, at most kMostTraced; else nothing is found.
  explicit Tracer(std::string value);

  TracedFlow look_at(const FlowView& flow) const;
  // In one text, as it stands in `place`.
  bool find(std::string_view text, bool words, TracedPlace& found, std::size_t depth = 0) const;
  const std::string& value() const { return value_; }

 private:
  bool may_hold(std::string_view body) const;
  bool find_encoded(std::string_view text, TracedPlace& found, std::size_t depth) const;
  bool find_inside(std::string_view text, TracedPlace& found, std::size_t depth) const;
  bool look_at_message(const FlowView& flow, flow::Direction message, TracedFlow& out) const;

  std::string value_;
  std::vector<std::string> anchors_;  // one of them stands in every text that holds the value; empty: who knows
};

// The value at a place that is named as Place::label() or by its name; decoded, without an authentication scheme's
// word. Of HTML the attribute `value` or `content`. nullopt: there is none.
std::optional<std::string> value_at(const FlowView& flow, flow::Direction message, PlaceKind kind,
                                    std::string_view label);

}  // namespace sluice::analysis
