// Little-endian numbers and counted strings, written into given room and read back with bounds. For this folder and for
// recordings (session/).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace sluice::capture {

static_assert(std::endian::native == std::endian::little, "the formats are written with memcpy");

// The caller has counted the room before.
class OctetWriter {
 public:
  explicit OctetWriter(char* at) : at_(at) {}
  template <class T>
  void number(T value) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  void octets(Bytes text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void counted(Bytes text) {
    number(static_cast<std::uint32_t>(text.size()));
    octets(text);
  }

 private:
  char* at_;
};

constexpr std::size_t counted_size(Bytes text) { return 4 + text.size(); }

// After a read beyond the end ok() is false and everything read is zero or empty.
class OctetReader {
 public:
  explicit OctetReader(Bytes octets) : rest_(octets) {}
  template <class T>
  T number() {
    T value{};
    const Bytes raw = octets(sizeof(T));
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  Bytes octets(std::size_t length) {
    if (length > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }
  Bytes counted() { return octets(number<std::uint32_t>()); }
  Bytes rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  Bytes rest_;
  bool ok_ = true;
};

}  // namespace sluice::capture
