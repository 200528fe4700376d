#include "rules/js_escape.h"

#include <cstdint>
#include <optional>

namespace sluice::rules {
namespace {

constexpr char32_t kMaxCodePoint = 0x10FFFF;

// ECMA-262 §22.2.2.9: WhiteSpace and LineTerminator; RE2's \s is ASCII without \v.
constexpr std::string_view kSpace =
    R"(\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{E}-\x{1F}!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF})";

bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_high_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDBFF; }
bool is_low_surrogate(char32_t c) { return c >= 0xDC00 && c <= 0xDFFF; }

class EscapeReader {
 public:
  EscapeReader(JsCursor& cursor, EscapePlace place) : c_(cursor), in_class_(place == EscapePlace::kClass) {}

  // After the backslash: what inside and outside classes share. \s and \S come as members of a class.
  Result<EscapeAtom> read() {
    const char c = c_.peek();
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
        ++c_.at;
        return EscapeAtom{0, std::string("\\") + c};
      case 's':
      case 'S':
        ++c_.at;
        return EscapeAtom{0, space(c == 's')};
      case 'p':
      case 'P':
        return property();
      case 't':
        return control('\t');
      case 'n':
        return control('\n');
      case 'v':
        return control('\v');
      case 'f':
        return control('\f');
      case 'r':
        return control('\r');
      case 'b':
        return control('\b');  // in classes only
      case 'c':
        return letter_control();
      case 'x':
        return hex(2);
      case 'u':
        return unicode();
      case 'k':
        if (c_.has_names) return fail(Code::kInvalid, "\\k in a class is invalid where there are named groups");
        return EscapeAtom{c_.next_code_point(), {}};
      default:
        if (is_octal(c)) return octal();
        return EscapeAtom{c_.next_code_point(), {}};  // identity escape: \- \/ \_ \A \é
    }
  }

 private:
  std::string space(bool positive) const {
    const std::string members(positive ? kSpace : kNotSpace);
    return in_class_ ? members : "[" + members + "]";
  }

  EscapeAtom control(char c) {
    ++c_.at;
    return EscapeAtom{static_cast<unsigned char>(c), {}};
  }

  // \cX; in a class also digits and _ ; otherwise the backslash stands for itself (Annex B.1.2).
  EscapeAtom letter_control() {
    const char x = c_.peek(1);
    if (is_letter(x) || (in_class_ && (is_digit(x) || x == '_'))) {
      c_.at += 2;
      return EscapeAtom{static_cast<char32_t>(x & 31), {}};
    }
    return EscapeAtom{'\\', {}};  // the c follows as a literal
  }

  std::optional<char32_t> hex_digits(std::size_t from, int count) const {
    char32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const int digit = hex_value(c_.peek(from + static_cast<std::size_t>(i)));
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  EscapeAtom hex(int count) {
    const auto value = hex_digits(1, count);
    c_.at += value ? 1 + static_cast<std::size_t>(count) : 1;
    return EscapeAtom{value.value_or('x'), {}};
  }

  // Legacy octal: up to \377 (Annex B.1.2); \0 is NUL.
  EscapeAtom octal() {
    char32_t value = 0;
    for (int i = 0; i < 3 && is_octal(c_.peek()) && value * 8 + static_cast<char32_t>(c_.peek() - '0') <= 0377; ++i) {
      value = value * 8 + static_cast<char32_t>(c_.in[c_.at++] - '0');
    }
    return EscapeAtom{value, {}};
  }

  Result<EscapeAtom> unicode() {
    if (c_.peek(1) == '{') {
      char32_t value = 0;
      std::size_t i = 2;
      for (; hex_value(c_.peek(i)) >= 0 && value <= kMaxCodePoint; ++i) {
        value = value * 16 + static_cast<char32_t>(hex_value(c_.peek(i)));
      }
      if (i == 2 || c_.peek(i) != '}' || value > kMaxCodePoint) {
        return fail(Code::kInvalid, "\\u{…} must hold a code point in hexadecimal, at most 10FFFF");
      }
      c_.at += i + 1;
      return code_point(value);
    }
    const auto value = hex_digits(1, 4);
    if (!value) {
      ++c_.at;
      return EscapeAtom{'u', {}};
    }
    c_.at += 5;
    if (is_high_surrogate(*value) && c_.peek() == '\\' && c_.peek(1) == 'u') {
      const auto low = hex_digits(2, 4);
      if (low && is_low_surrogate(*low)) {
        c_.at += 6;
        return code_point(0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00));
      }
    }
    return code_point(*value);
  }

  static Result<EscapeAtom> code_point(char32_t value) {
    if (is_high_surrogate(value) || is_low_surrogate(value)) {
      return fail(Code::kInvalid, "half of a surrogate pair cannot be matched: text is read as whole code points");
    }
    return EscapeAtom{value, {}};
  }

  Result<EscapeAtom> property() {
    const bool braced = c_.peek(1) == '{';
    const std::size_t end = braced ? c_.in.find('}', c_.at) : std::string_view::npos;
    if (end == std::string_view::npos) return EscapeAtom{c_.next_code_point(), {}};
    std::string_view name = c_.in.substr(c_.at + 2, end - c_.at - 2);
    for (const std::string_view prefix : {"Script=", "sc=", "General_Category=", "gc="}) {
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    }
    bool plain = !name.empty();
    for (const char c : name) plain = plain && (is_letter(c) || c == '_');
    if (!plain)
      return fail(Code::kInvalid, "\\p{…} takes a general category such as L or Nd, or a script such as Greek");
    EscapeAtom found{0, std::string("\\") + c_.peek() + "{" + std::string(name) + "}"};
    c_.at = end + 1;
    return found;
  }

  JsCursor& c_;
  bool in_class_;
};

}  // namespace

bool JsCursor::take(std::string_view text) {
  if (!in.substr(at).starts_with(text)) return false;
  at += text.size();
  return true;
}

char32_t JsCursor::next_code_point() {
  const auto lead = static_cast<unsigned char>(in[at++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;  // the pattern is UTF-8: checked at the door
  char32_t c = lead & (0x3F >> more);
  for (int i = 0; i < more && !at_end(); ++i) c = (c << 6) | (static_cast<unsigned char>(in[at++]) & 0x3F);
  return c;
}

Result<EscapeAtom> read_escape(JsCursor& cursor, EscapePlace place) { return EscapeReader(cursor, place).read(); }

void append_code_point(std::string& out, char32_t c) {
  if (c < 128 && is_name_char(static_cast<char>(c))) {
    out += static_cast<char>(c);
    return;
  }
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string digits;
  for (auto rest = static_cast<std::uint32_t>(c); rest != 0 || digits.empty(); rest >>= 4) {
    digits.insert(digits.begin(), kHex[rest & 15]);
  }
  out += "\\x{" + digits + "}";
}

}  // namespace sluice::rules
