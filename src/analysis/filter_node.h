// What a filter expression is made of. Private to this folder.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "analysis/filter_terms.h"
#include "analysis/text_pattern.h"

namespace sluice::analysis {

// A number that a term compares with: >10k is (10240, inf).
struct Bounds {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;

  bool hold(double value) const {
    return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
  }
};

struct FilterNode {
  enum class Kind : std::uint8_t { kTerm, kNot, kAnd, kOr };

  Kind kind = Kind::kTerm;
  std::vector<FilterNode> children;  // of kNot one; of the others two or more, none of their own kind
  std::size_t number = 0;            // its place among all nodes, the root's being 0

  // of a term
  const FilterTerm* term = nullptr;
  std::string argument;
  std::optional<TextPattern> pattern;
  Bounds bounds;
  std::optional<std::uint32_t> rule;  // ~rule: which; nullopt: any
};

// Reads the argument into `node`, whose term is set. kInvalid: a sentence without the column.
Status read_filter_argument(FilterNode& node);
std::string print_filter(const FilterNode& node);

}  // namespace sluice::analysis
