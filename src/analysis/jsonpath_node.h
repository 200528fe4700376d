// What a JSONPath expression says, taken apart (RFC 9535 §2). Private to jsonpath*.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace sluice::analysis::jsonpath {

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;

struct Selector {
  enum class Kind : std::uint8_t { kName, kWildcard, kIndex, kSlice, kFilter };
  Kind kind = Kind::kWildcard;
  std::string name;
  std::int64_t index = 0;
  std::optional<std::int64_t> start, end;  // of a slice
  std::int64_t step = 1;
  ExpressionPtr filter;
};

struct Segment {
  bool descendant = false;
  std::vector<Selector> selectors;
};

struct Query {
  bool relative = false;  // begins with "@"
  std::vector<Segment> segments;

  // At most one node, whatever the document (§2.3.5.1).
  bool is_singular() const {
    for (const Segment& segment : segments) {
      if (segment.descendant || segment.selectors.size() != 1) return false;
      const Selector::Kind kind = segment.selectors.front().kind;
      if (kind != Selector::Kind::kName && kind != Selector::Kind::kIndex) return false;
    }
    return true;
  }
};

enum class Function : std::uint8_t { kLength, kCount, kMatch, kSearch, kValue };
enum class Comparison : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

struct Expression {
  enum class Kind : std::uint8_t { kOr, kAnd, kNot, kCompare, kExists, kCall, kLiteral, kQuery };
  Kind kind = Kind::kLiteral;
  std::vector<ExpressionPtr> parts;  // operands or arguments
  Comparison comparison = Comparison::kEqual;
  Function function = Function::kLength;
  Json literal;
  Query query;  // kExists, kQuery
};

}  // namespace sluice::analysis::jsonpath
