#include "analysis/binary_reader.h"

namespace sluice::analysis {
namespace {

// RFC 8949 §3.1
constexpr unsigned kUnsigned = 0, kNegative = 1, kOctets = 2, kText = 3, kArray = 4, kMap = 5, kTag = 6;
constexpr unsigned kIndefinite = 31;
constexpr unsigned char kBreak = 0xff;

class Reader : public BinaryReader {
 public:
  Reader(Bytes octets, const BinaryLimits& limits) : BinaryReader(octets, "CBOR", limits) {}

  Result<Json> value(std::size_t depth) {
    SLUICE_CHECK(count(depth));
    SLUICE_TRY(const std::uint64_t head, number(1));
    const auto major = static_cast<unsigned>(head >> 5), info = static_cast<unsigned>(head & 31);
    if (major > kTag) return simple(info);
    if (info == kIndefinite) return indefinite(major, depth);
    SLUICE_TRY(const std::uint64_t argument, read_argument(info));
    switch (major) {
      case kUnsigned:
        return Json(argument);
      case kNegative:
        // -1 - n does not always fit.
        if (argument > static_cast<std::uint64_t>(INT64_MAX)) return Json(-1.0 - static_cast<double>(argument));
        return Json(-1 - static_cast<std::int64_t>(argument));
      case kOctets:
      case kText: {
        SLUICE_TRY(const Bytes octets, take(argument));
        return Json(major == kText ? repair_utf8(octets) : octets_text(octets));
      }
      case kArray:
      case kMap:
        return items(major, argument, depth);
      default:
        return value(depth + 1);  // a tag says more of what follows, which is shown as it is
    }
  }

 private:
  Result<std::uint64_t> read_argument(unsigned info) {
    if (info < 24) return info;
    if (info > 27) return wrong("a length that there is none of");
    return number(1u << (info - 24));
  }

  bool ends() {
    if (peek() != kBreak) return false;
    (void)take(1);
    return true;
  }

  Status item(unsigned major, Json& list, std::size_t depth) {
    SLUICE_TRY(Json first, value(depth + 1));
    if (major == kArray) {
      list.push_back(std::move(first));
      return {};
    }
    SLUICE_TRY(Json second, value(depth + 1));
    append(list, key_text(first), std::move(second));
    return {};
  }

  Result<Json> items(unsigned major, std::uint64_t size, std::size_t depth) {
    Json list = major == kArray ? Json::array() : Json::object();
    for (std::uint64_t i = 0; i < size; ++i) SLUICE_CHECK(item(major, list, depth));
    return list;
  }

  // RFC 8949 §3.2
  Result<Json> indefinite(unsigned major, std::size_t depth) {
    if (major == kArray || major == kMap) {
      Json list = major == kArray ? Json::array() : Json::object();
      while (!ends()) SLUICE_CHECK(item(major, list, depth));
      return list;
    }
    if (major != kOctets && major != kText) return wrong("a length that there is none of");
    std::string all;
    while (!ends()) {
      SLUICE_CHECK(count(depth + 1));
      SLUICE_TRY(const std::uint64_t head, number(1));
      if (head >> 5 != major || (head & 31) == kIndefinite) return wrong("a piece of another kind");
      SLUICE_TRY(const std::uint64_t size, read_argument(static_cast<unsigned>(head & 31)));
      SLUICE_TRY(const Bytes piece, take(size));
      all += piece;
    }
    return Json(major == kText ? repair_utf8(all) : octets_text(all));
  }

  Result<Json> simple(unsigned info) {
    switch (info) {
      case 20:
      case 21:
        return Json(info == 21);
      case 22:
      case 23:  // undefined
        return Json();
      case 24: {
        SLUICE_TRY(const std::uint64_t number_of, number(1));
        if (number_of < 32) return wrong("a simple value that there is none of");
        return Json(fmt::format("simple({})", number_of));
      }
      case 25: {
        SLUICE_TRY(const std::uint64_t bits, number(2));
        return half(static_cast<unsigned>(bits));
      }
      case 26:
      case 27: {
        SLUICE_TRY(const std::uint64_t bits, number(info == 26 ? 4 : 8));
        return info == 26 ? real32(bits) : real64(bits);
      }
      default:
        if (info < 20) return Json(fmt::format("simple({})", info));
        return wrong(info == kIndefinite ? "an end of nothing" : "a type that there is none of");
    }
  }

  // RFC 8949 appendix D
  static Json half(unsigned bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int mantissa = static_cast<int>(bits & 1023);
    double number = exponent == 0    ? std::ldexp(mantissa, -24)
                    : exponent != 31 ? std::ldexp(mantissa + 1024, exponent - 25)
                    : mantissa == 0  ? INFINITY
                                     : NAN;
    return real((bits & 0x8000) != 0 ? -number : number);
  }
};

}  // namespace

Result<Json> parse_cbor(Bytes octets, const BinaryLimits& limits) { return read_values(Reader(octets, limits)); }

}  // namespace sluice::analysis
