// Numbers compared as they are written: 9007199254740993 is not 9007199254740992, 0.1 + 0.2 is not 0.3, 1.0 is 1.
// A Number is a decimal of any length, or not finite. Values; pure; thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sluice::policy {

// Amounts of limits are counted in millionths, so that fractions add up.
using Micro = std::int64_t;
inline constexpr Micro kMicro = 1'000'000;

class Number {
 public:
  // A JSON number; beyond what a double holds (about 1.8e308), or longer than 1,000 characters: not finite.
  static Number from_spelling(std::string_view text);
  // A Json number: an integer exactly, a double by its shortest spelling. Anything else: not finite.
  static Number from_json(const Json& json);
  static Number from_integer(std::int64_t value);

  bool is_finite() const { return finite_; }
  bool is_whole() const { return finite_ && (small_ || exponent_ >= static_cast<std::int64_t>(digits_.size())); }
  // Both must be finite.
  std::strong_ordering compare(const Number& other) const;
  bool equals_spelling(std::string_view text) const;
  // In millionths, a smaller fraction rounded up; nullopt: negative, not finite, or too large.
  std::optional<Micro> micro() const;

 private:
  void set_decimal(std::string_view text);
  Number decimal() const;  // the same with digits_ filled in

  bool finite_ = false;
  bool small_ = false;  // integer_ holds it
  std::int64_t integer_ = 0;
  // Otherwise (-1)^negative_ * 0.DIGITS * 10^exponent_, no zero at either end of the digits; none: zero.
  bool negative_ = false;
  std::string digits_;
  std::int64_t exponent_ = 0;
};

}  // namespace sluice::policy
