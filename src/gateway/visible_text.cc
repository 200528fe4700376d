#include "gateway/visible_text.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"

namespace sluice::gateway {
namespace {

struct Range {
  std::uint32_t first, last;
};
// Unicode's Cc, Cf, Zl, Zp, variation selectors, fillers that show nothing, private and unassigned planes.
constexpr std::array<Range, 24> kUnseen{
    {{0x0000, 0x001F}, {0x007F, 0x009F},   {0x00AD, 0x00AD},   {0x034F, 0x034F},   {0x0600, 0x0605},
     {0x061C, 0x061C}, {0x06DD, 0x06DD},   {0x070F, 0x070F},   {0x115F, 0x1160},   {0x17B4, 0x17B5},
     {0x180B, 0x180F}, {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},   {0x2800, 0x2800},
     {0x3164, 0x3164}, {0xE000, 0xF8FF},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
     {0xFFF0, 0xFFFF}, {0x110BD, 0x110BD}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF}}};

bool is_unseen(std::uint32_t point) {
  for (const Range& range : kUnseen) {
    if (point >= range.first && point <= range.last) return true;
  }
  return false;
}

std::string escape(std::uint32_t point) {
  if (point < 0x10000) return fmt::format("\\u{:04x}", point);
  const std::uint32_t rest = point - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

}  // namespace

std::string visible_text(std::string_view text) {
  const std::string whole = repair_utf8(text);
  std::string out;
  for (std::size_t i = 0; i < whole.size();) {
    const auto lead = static_cast<unsigned char>(whole[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t point = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) point = (point << 6) | (static_cast<unsigned char>(whole[i + k]) & 0x3F);
    if (is_unseen(point)) {
      out += escape(point);
    } else {
      out.append(whole, i, length);
    }
    i += length;
  }
  return out;
}

std::string visible_json(const Json& value, std::size_t most) {
  const std::string text = dump_json(value);
  const std::size_t length = utf16_length(text);
  if (length <= most) return visible_text(text);
  return fmt::format("{} … CUT: {} more characters", visible_text(utf16_prefix(text, most)), length - most);
}

}  // namespace sluice::gateway
