// What the readers of MessagePack and CBOR share: bounded big-endian reading. Private to this folder.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <optional>

#include "analysis/binary_json.h"
#include "base/text.h"

namespace sluice::analysis {

class BinaryReader {
 public:
  BinaryReader(Bytes octets, std::string_view format, const BinaryLimits& limits)
      : all_(octets), rest_(octets), format_(format), limits_(limits) {}

  bool at_end() const { return rest_.empty(); }

 protected:
  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::kInvalid, fmt::format("not {}: {} at octet {}", format_, what, all_.size() - rest_.size() + 1));
  }

  // Before each value.
  Status count(std::size_t depth) {
    if (depth > limits_.depth) {
      return fail(Code::kTooLarge, fmt::format("{} nested deeper than {} levels", format_, limits_.depth));
    }
    if (++items_ > limits_.items) {
      return fail(Code::kTooLarge, fmt::format("more than {} values of {}", limits_.items, format_));
    }
    return {};
  }

  Result<std::uint64_t> number(std::size_t size) {
    SLUICE_TRY(const Bytes octets, take(size));
    std::uint64_t value = 0;
    for (const char c : octets) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }

  Result<Bytes> take(std::uint64_t size) {
    if (size > rest_.size()) return wrong("the data ends early");
    const Bytes octets = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(octets.size());
    return octets;
  }

  std::optional<unsigned char> peek() const {
    if (rest_.empty()) return std::nullopt;
    return static_cast<unsigned char>(rest_.front());
  }

  static Json real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return value;
  }
  static Json real32(std::uint64_t bits) { return real(std::bit_cast<float>(static_cast<std::uint32_t>(bits))); }
  static Json real64(std::uint64_t bits) { return real(std::bit_cast<double>(bits)); }

  static std::string key_text(const Json& key) { return key.is_string() ? key.get<std::string>() : dump_json(key); }
  // Keys may repeat, as they do on the wire: no look-up for each.
  static void append(Json& object, std::string key, Json value) {
    static_cast<Json::object_t::Container&>(object.get_ref<Json::object_t&>())
        .emplace_back(std::move(key), std::move(value));
  }

 private:
  Bytes all_, rest_;
  std::string_view format_;
  const BinaryLimits& limits_;
  std::size_t items_ = 0;
};

// All values of a Reader with `Result<Json> value(depth)`: one alone, or an array.
template <class Reader>
Result<Json> read_values(Reader reader) {
  SLUICE_TRY(Json first, reader.value(0));
  if (reader.at_end()) return first;
  Json all = Json::array();
  all.push_back(std::move(first));
  while (!reader.at_end()) {
    SLUICE_TRY(Json next, reader.value(1));
    all.push_back(std::move(next));
  }
  return all;
}

}  // namespace sluice::analysis
