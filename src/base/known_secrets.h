// Values that are secret wherever they stand: those that Sluice itself put into a request in place of a handle
// (gate.md 7). A server may send such a value back anywhere, so it is looked for by itself: as it is, percent-encoded,
// base64 at any offset, hexadecimal, and as JSON and HTML write it. Whoever knows the whole value may write it in yet
// another way (reversed, one letter a line): that is not found.
//
// Bounded by kMost and kMostOctets; nothing leaves before the process ends. Linear in the text, whatever is known.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice {

class KnownSecrets {
 public:
  // Shorter ones stand in any text by chance; longer ones do not fit in the margins of the windows that are masked.
  static constexpr std::size_t kShortest = 8, kLongest = 2'048;
  static constexpr std::size_t kMost = 1'024;
  static constexpr ByteCount kMostOctets = 256 * kKiB;

  // Adding one again changes nothing. kInvalid: of no such length; kTooLarge: no room.
  Status add(std::string_view value);
  bool empty() const { return !any_.load(std::memory_order_acquire); }
  // `text` with each place where one stands replaced by what `mask` makes of the value. False: none does, and `out` is
  // as it was.
  bool replace(std::string_view text, const std::function<std::string(std::string_view value)>& mask,
               std::string& out) const;

 private:
  struct Needle {
    std::size_t value;  // of values_
    bool base64;        // the characters beside it hold bits of the value
  };
  using Needles = std::map<std::string, Needle, std::less<>>;  // by what is looked for
  void index(std::size_t value);
  const Needles::value_type* longest_at(std::string_view rest) const;

  std::atomic<bool> any_{false};
  mutable std::shared_mutex mutex_;  // guards what follows
  ByteCount octets_ = 0;
  std::vector<std::string> values_;
  Needles needles_;
  std::vector<bool> starts_ = std::vector<bool>(1u << 16);  // of the first two octets of some
};

}  // namespace sluice
