#include "base/json_text.h"

#include "base/json.h"
#include "base/text.h"

namespace sluice {

void append_json_text(std::string& out, std::string_view text) {
  if (!is_utf8(text)) {
    const std::string quoted = dump_json(Json(text));
    out.append(quoted, 1, quoted.size() - 2);
    return;
  }
  std::size_t plain = 0;  // where what is written as it is begins
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
    if (const std::size_t at = kShort.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kLetters[at];
    } else {
      out += "\\u00";
      out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
      out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
  }
  out.append(text, plain);
}

}  // namespace sluice
