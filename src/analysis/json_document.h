// A body's JSON as simdjson keeps it: large ones are parsed ten times as fast as into Json, and nothing is copied until
// it is asked for. Takes and refuses what parse_json does, and holds the same values: integers beyond 64 bits are
// doubles, of members of one name the last is there. Immutable once parsed; elements live as long as their document.
// Needs eight octets of address space for each octet of text, of which it touches what the text's values need.
#pragma once

#include <simdjson.h>

#include <memory>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace sluice::analysis {

using JsonElement = simdjson::dom::element;

// Of an element that is one; by value, so that a loop may run over what is returned.
inline simdjson::dom::array array_of(const JsonElement& element) { return element.get_array().value_unsafe(); }
inline simdjson::dom::object object_of(const JsonElement& element) { return element.get_object().value_unsafe(); }

class JsonDocument {
 public:
  // As parse_json.
  static Result<JsonDocument> parse(std::string_view text, const JsonLimits& limits = {});

  const JsonElement& root() const { return root_; }

 private:
  // Whether simdjson took the text, and parse_json would have read it the same way.
  bool take(std::string_view text, const JsonLimits& limits);

  std::unique_ptr<simdjson::dom::parser> parser_ = std::make_unique<simdjson::dom::parser>();  // owns what root_ is in
  JsonElement root_;
};

// A copy, for which `left` pays the octets of its text and kValueCost for each value; nullopt: that was not enough.
inline constexpr std::size_t kValueCost = 16;
std::optional<Json> to_json(const JsonElement& element, std::size_t& left);

}  // namespace sluice::analysis
