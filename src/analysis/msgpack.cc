#include "analysis/binary_reader.h"

namespace sluice::analysis {
namespace {

class Reader : public BinaryReader {
 public:
  Reader(Bytes octets, const BinaryLimits& limits) : BinaryReader(octets, "MessagePack", limits) {}

  Result<Json> value(std::size_t depth) {
    SLUICE_CHECK(count(depth));
    SLUICE_TRY(const std::uint64_t type, number(1));
    if (type <= 0x7f) return Json(type);
    if (type >= 0xe0) return Json(static_cast<std::int64_t>(type) - 0x100);
    if (type <= 0x8f) return map(type & 0x0f, depth);
    if (type <= 0x9f) return array(type & 0x0f, depth);
    if (type <= 0xbf) return text(type & 0x1f);
    switch (type) {
      case 0xc0:
        return Json();
      case 0xc2:
      case 0xc3:
        return Json(type == 0xc3);
      case 0xc4:
      case 0xc5:
      case 0xc6: {
        SLUICE_TRY(const std::uint64_t size, number(1u << (type - 0xc4)));
        SLUICE_TRY(const Bytes octets, take(size));
        return Json(octets_text(octets));
      }
      case 0xc7:
      case 0xc8:
      case 0xc9: {
        SLUICE_TRY(const std::uint64_t size, number(1u << (type - 0xc7)));
        return extension(size);
      }
      default:
        return wide(type, depth);
    }
  }

 private:
  Result<Json> wide(std::uint64_t type, std::size_t depth) {
    if (type == 0xc1) return wrong("a type that there is none of");
    if (type == 0xca || type == 0xcb) {
      SLUICE_TRY(const std::uint64_t bits, number(type == 0xca ? 4 : 8));
      return type == 0xca ? real32(bits) : real64(bits);
    }
    if (type <= 0xcf) {
      SLUICE_TRY(const std::uint64_t plain, number(1u << (type - 0xcc)));
      return Json(plain);
    }
    if (type <= 0xd3) {
      const unsigned size = 1u << (type - 0xd0);
      SLUICE_TRY(const std::uint64_t bits, number(size));
      const unsigned unused = 64 - 8 * size;  // the sign comes from the top
      return Json(static_cast<std::int64_t>(bits << unused) >> unused);
    }
    if (type <= 0xd8) return extension(1u << (type - 0xd4));
    const unsigned base = type <= 0xdb ? 0xd9 : type <= 0xdd ? 0xdb : 0xdd;  // str 8, 16, 32; array 16, 32; map 16, 32
    SLUICE_TRY(const std::uint64_t size, number(1u << (type - base)));
    return type <= 0xdb ? text(size) : type <= 0xdd ? array(size, depth) : map(size, depth);
  }

  Result<Json> text(std::uint64_t size) {
    SLUICE_TRY(const Bytes octets, take(size));
    return Json(repair_utf8(octets));
  }

  Result<Json> array(std::uint64_t size, std::size_t depth) {
    Json list = Json::array();
    for (std::uint64_t i = 0; i < size; ++i) {
      SLUICE_TRY(Json item, value(depth + 1));
      list.push_back(std::move(item));
    }
    return list;
  }

  Result<Json> map(std::uint64_t size, std::size_t depth) {
    Json object = Json::object();
    for (std::uint64_t i = 0; i < size; ++i) {
      SLUICE_TRY(const Json key, value(depth + 1));
      SLUICE_TRY(Json item, value(depth + 1));
      append(object, key_text(key), std::move(item));
    }
    return object;
  }

  Result<Json> extension(std::uint64_t size) {
    SLUICE_TRY(const std::uint64_t type, number(1));
    SLUICE_TRY(const Bytes octets, take(size));
    return Json(fmt::format("ext({}):{}", static_cast<int>(static_cast<signed char>(type)), base64_encode(octets)));
  }
};

}  // namespace

std::string octets_text(Bytes octets) { return "base64:" + base64_encode(octets); }

Result<Json> parse_msgpack(Bytes octets, const BinaryLimits& limits) { return read_values(Reader(octets, limits)); }

}  // namespace sluice::analysis
