// The typed operators of gate.md 3: paths, hosts, addresses, schemas. All are pure and judge what is written, never
// what it resolves to. What could be read in two ways is a mismatch, which denies in `require` and in `deny_if` alike.
// Immutable; thread-safe.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "policy/source.h"

namespace sluice::policy {

enum class Truth;  // condition.h

// An address: IPv4 as ::ffff:a.b.c.d, so that a mapped one is the same.
using Address = std::array<std::uint8_t, 16>;
struct Host {
  std::string name;  // lower case, no trailing dot; empty if it is an address
  std::optional<Address> address;
};
// The host of a URL with ://, or of HOST[:PORT]. As WHATWG URL reads it (numbers such as 0x7f.1 and 2130706433 are
// addresses), but what that standard repairs (backslashes, blanks, missing slashes, percent signs, user names) and
// names that are not ASCII are nullopt.
std::optional<Host> read_host(std::string_view text);

// Names: example.com, *.example.com (what lies below it), addresses.
class HostSet {
 public:
  static Result<HostSet> compile(std::span<const std::string> hosts);
  Truth judge(std::string_view text) const;

 private:
  std::vector<std::string> names_, suffixes_;  // a suffix with its dot
  std::vector<Address> addresses_;
};

class AddressSet {
 public:
  static Result<AddressSet> compile(std::span<const std::string> blocks);
  Truth judge(std::string_view text) const;
  bool contains(const Address& address) const;

 private:
  struct Block {
    Address address{};
    unsigned bits = 128;
  };
  std::vector<Block> blocks_;
};

// Directories, absolute or relative; an absolute path is within an absolute one only, a relative within a relative.
// "." is every relative path. `..`, `~`, percent signs, NUL and backslashes are mismatches.
class PathSet {
 public:
  static Result<PathSet> compile(std::span<const std::string> roots);
  Truth judge(std::string_view text) const;

 private:
  std::vector<std::vector<std::string>> roots_;  // segments, the first "/" of an absolute one
};

// JSON Schema, a small part of it: type, enum, const, required, properties, additionalProperties (true, false), items
// (one schema), minItems, maxItems, minLength, maxLength (Unicode characters), minimum, maximum, pattern. Annotations
// are ignored; every other keyword is refused, so that nothing that restricts is passed over.
class Schema {
 public:
  static Result<Schema> compile(const Node& node);
  Truth judge(const Json& value, const Spellings* spellings) const;

 private:
  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

}  // namespace sluice::policy
