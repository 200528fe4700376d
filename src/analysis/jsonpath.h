// JSONPath by RFC 9535, in full: all selectors, filters with the five functions and their types, slices, normalised
// paths; patterns of match() and search() are I-Regexp (RFC 9485) run by RE2. Nothing beyond the standard.
// A JsonPath is immutable once parsed; thread-safe; copies share it. Work is bounded by JsonPathLimits.
#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/json_document.h"
#include "base/result.h"

namespace sluice::analysis {

inline constexpr std::size_t kMaxJsonPath = 4 * 1024;  // octets of an expression: more than anybody types
inline constexpr std::size_t kMaxJsonPathDepth = 64;   // of brackets, parentheses and calls inside each other
inline constexpr std::size_t kMaxJsonPathParts = 500;  // segments and selectors in one expression

// analysis.md
struct JsonPathLimits {
  std::size_t visits = 1'000'000;    // nodes looked at, those for filters too
  std::size_t passed = 100'000'000;  // items and members on the way to one, or compared
  std::size_t results = 10'000;
  bool paths = false;  // also the normalised path of each
  std::stop_token stop;
};

struct JsonPathFound {
  std::vector<JsonElement> values;  // in the document
  std::vector<std::string> paths;   // RFC 9535 §2.7, if asked for
  bool truncated = false;           // a limit ended it, or somebody stopped it
};

namespace jsonpath {
struct Query;
}

class JsonPath {
 public:
  // kInvalid, kTooLarge: one sentence with the octet (from 1) where it went wrong.
  static Result<JsonPath> parse(std::string_view text);

  // `document` must live as long as what is found.
  JsonPathFound find(const JsonDocument& document, const JsonPathLimits& limits = {}) const;

 private:
  explicit JsonPath(std::shared_ptr<const jsonpath::Query> query) : query_(std::move(query)) {}

  std::shared_ptr<const jsonpath::Query> query_;
};

}  // namespace sluice::analysis
