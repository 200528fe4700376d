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
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
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
    std::string text;
    std::size_t value;  // of `values`
    bool base64;        // the characters beside it hold bits of the value
  };
  struct Needles {
    std::vector<std::string> values;
    std::vector<Needle> all;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> by_start;  // of the first four octets
    std::vector<bool> starts = std::vector<bool>(1u << 16);                  // of the first two
  };
  static void index(Needles& needles, std::size_t value);
  static const Needle* longest_at(const Needles& needles, std::string_view rest);

  std::mutex change_;
  ByteCount octets_ = 0;
  std::atomic<std::shared_ptr<const Needles>> needles_;  // null: none is known
  std::atomic<bool> any_{false};                         // the same, for less
};

}  // namespace sluice
