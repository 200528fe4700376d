#include "policy/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxSpelling = 1'000;
constexpr std::int64_t kMaxExponent = 309;  // 0.17976931e309 is the largest double
constexpr std::string_view kLargest = "17976931348623157";
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

}  // namespace

Number Number::from_integer(std::int64_t value) {
  Number number;
  number.finite_ = number.small_ = true;
  number.integer_ = value;
  return number;
}

Number Number::from_spelling(std::string_view text) {
  Number number;
  if (text.size() > kMaxSpelling) return number;
  std::int64_t integer = 0;
  const auto whole = std::from_chars(text.data(), text.data() + text.size(), integer);
  if (whole.ec == std::errc() && whole.ptr == text.data() + text.size()) return from_integer(integer);
  number.set_decimal(text);
  return number;
}

Number Number::from_json(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (value <= static_cast<std::uint64_t>(INT64_MAX)) return from_integer(static_cast<std::int64_t>(value));
    return from_spelling(std::to_string(value));
  }
  if (json.is_number_integer()) return from_integer(json.get<std::int64_t>());
  if (!json.is_number_float()) return {};
  const double value = json.get<double>();
  if (!std::isfinite(value)) return {};
  if (std::trunc(value) == value && std::fabs(value) < kExactIntegers) {
    return from_integer(static_cast<std::int64_t>(value));
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return from_spelling(std::string_view(text, static_cast<std::size_t>(end.ptr - text)));
}

void Number::set_decimal(std::string_view text) {
  negative_ = text.starts_with('-');
  if (negative_) text.remove_prefix(1);
  const std::size_t e = text.find_first_of("eE");
  const std::string_view mantissa = text.substr(0, e);
  std::int64_t power = 0;
  if (e != std::string_view::npos) {
    std::string_view shown = text.substr(e + 1);
    if (shown.starts_with('+')) shown.remove_prefix(1);
    const auto parsed = std::from_chars(shown.data(), shown.data() + shown.size(), power);
    // So far out that only zero is still a number.
    if (parsed.ec != std::errc()) power = shown.starts_with('-') ? -1'000'000'000 : 1'000'000'000;
    power = std::clamp<std::int64_t>(power, -1'000'000'000, 1'000'000'000);
  }
  const std::size_t point = mantissa.find('.');
  digits_ = mantissa.substr(0, point);
  exponent_ = static_cast<std::int64_t>(digits_.size()) + power;
  if (point != std::string_view::npos) digits_ += mantissa.substr(point + 1);
  const std::size_t leading = std::min(digits_.find_first_not_of('0'), digits_.size());
  digits_.erase(0, leading);
  exponent_ -= static_cast<std::int64_t>(leading);
  digits_.erase(digits_.find_last_not_of('0') + 1);
  if (digits_.empty()) {
    exponent_ = 0;
    negative_ = false;
  }
  finite_ = exponent_ < kMaxExponent || (exponent_ == kMaxExponent && digits_ <= kLargest);
}

Number Number::decimal() const {
  if (!small_) return *this;
  Number number;
  number.set_decimal(std::to_string(integer_));
  return number;
}

std::strong_ordering Number::compare(const Number& other) const {
  if (small_ && other.small_) return integer_ <=> other.integer_;
  if (small_ || other.small_) return decimal().compare(small_ ? other : other.decimal());
  if (negative_ != other.negative_) {
    return negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  const Number& low = negative_ ? other : *this;
  const Number& high = negative_ ? *this : other;
  if (low.digits_.empty() != high.digits_.empty()) {
    return low.digits_.empty() ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  if (low.exponent_ != high.exponent_) return low.exponent_ <=> high.exponent_;
  return low.digits_.compare(high.digits_) <=> 0;
}

bool Number::equals_spelling(std::string_view text) const {
  const Number other = from_spelling(text);
  return finite_ && other.finite_ && compare(other) == std::strong_ordering::equal;
}

std::optional<Micro> Number::micro() const {
  constexpr std::int64_t kMost = INT64_MAX / kMicro;
  if (!finite_) return std::nullopt;
  if (small_) {
    if (integer_ < 0 || integer_ > kMost) return std::nullopt;
    return integer_ * kMicro;
  }
  if (negative_) return std::nullopt;
  const std::int64_t shift = exponent_ + 6;  // digits before the point, counted in millionths
  if (shift > 18) return std::nullopt;
  Micro value = 0;
  for (std::int64_t i = 0; i < shift; ++i) {
    const auto at = static_cast<std::size_t>(i);
    value = value * 10 + (at < digits_.size() ? digits_[at] - '0' : 0);
  }
  const bool more = !digits_.empty() && (shift <= 0 || digits_.size() > static_cast<std::size_t>(shift));
  return more ? value + 1 : value;
}

}  // namespace sluice::policy
