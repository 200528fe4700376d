// A JSON text as a tree that remembers where everything stands and how its numbers are spelled: what messages about a
// policy point at, and what exact comparison needs (gate.md 9: numbers keep their spelling).
// Pure; values; thread-safe. RFC 8259, strict: UTF-8 only, no duplicate names at any depth, no lone surrogates, nothing
// behind the value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sluice::policy {

struct Node {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  struct Name {
    std::string text;
    std::size_t line = 1;
  };

  Kind kind = Kind::kNull;
  std::size_t line = 1;  // from 1
  bool boolean = false;
  std::string text;         // a string's value, a number's spelling
  std::vector<Node> items;  // of an array, or the values of an object
  std::vector<Name> names;  // of an object, one for each item

  bool is(Kind wanted) const { return kind == wanted; }
  // Null members are found, too; nullptr if there is none or this is no object.
  const Node* find(std::string_view name) const;
};

struct SourceLimits {
  ByteCount max_text = 1 * kMiB;
  std::size_t max_depth = 64;
  std::size_t max_nodes = 200'000;
};

// A failure to read names where: "line 3, column 7: …".
Result<Node> parse_source(std::string_view text, const SourceLimits& limits = {});

// Compact, or two spaces a level. What parse_source() read is read the same again.
std::string dump_source(const Node& node, JsonStyle style = JsonStyle::kCompact);

// How numbers were spelled, by where they stand in a Json that does not move. Only those that the Json does not hold
// exactly are here.
using Spellings = std::unordered_map<const Json*, std::string>;

// The tree as a Json; a number that no double holds becomes infinite, which every comparison denies.
Json to_json(const Node& node);
// `json` must be what to_json(node) made, in its final place.
Spellings spellings_of(const Node& node, const Json& json);

// "object", "a number", … for messages.
std::string_view kind_name(Node::Kind kind);

}  // namespace sluice::policy
