// Strong identifiers: one type for each thing that has an id, so that they cannot be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/entropy.h"

namespace sluice {

template <class Tag>
struct Id {
  std::uint64_t value = 0;
  friend auto operator<=>(const Id&, const Id&) = default;
  explicit operator bool() const { return value != 0; }
};

// Birth order of an exchange in this process; starts at 1 (engine.md 5, `seq`).
using ExchangeSeq = Id<struct ExchangeSeqTag>;
// One accepted client connection; starts at 1.
using ConnectionId = Id<struct ConnectionIdTag>;

// RFC 9562 version 4, lower case.
std::string make_uuid(Entropy& entropy);

}  // namespace sluice

template <class Tag>
struct std::hash<sluice::Id<Tag>> {
  std::size_t operator()(const sluice::Id<Tag>& id) const noexcept { return std::hash<std::uint64_t>()(id.value); }
};
