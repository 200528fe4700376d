#include "rules/js_pattern.h"

#include <array>
#include <cstdint>
#include <optional>
#include <set>

#include "base/text.h"

namespace sluice::rules {
namespace {

constexpr char32_t kMaxCodePoint = 0x10FFFF;
constexpr int kMaxRepeat = 1000;  // RE2's own limit

// ECMA-262 §22.2.2.9: WhiteSpace and LineTerminator; RE2's \s is ASCII without \v.
constexpr std::string_view kSpace =
    R"(\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{E}-\x{1F}!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF})";
constexpr std::string_view kDot = R"([^\n\r\x{2028}\x{2029}])";
constexpr std::string_view kNever = R"([^\x{0}-\x{10FFFF}])";
constexpr std::string_view kAny = R"([\x{0}-\x{10FFFF}])";

constexpr std::string_view kWhy = ": RE2 matches in linear time and therefore cannot";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '_'; }
bool is_high_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDBFF; }
bool is_low_surrogate(char32_t c) { return c >= 0xDC00 && c <= 0xDFFF; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c = ascii_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

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

// What can be repeated: JavaScript says "nothing to repeat" where RE2 might find something.
enum class Before { kNothing, kAtom, kAssertion, kQuantifier };

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<Re2Source> run() {
    count_groups();
    anchored_ = in_.starts_with('^');
    while (!at_end()) SLUICE_CHECK(term());
    if (depth_ != 0) return fail(Code::kInvalid, "a group is not closed: ')' is missing");
    return Re2Source{std::move(out_), looks_left_, anchored_ && !top_alternative_};
  }

 private:
  // A member of a class: one code point, or a set such as \d, spelled for RE2.
  struct ClassAtom {
    char32_t code_point = 0;
    std::string set;
    bool is_set() const { return !set.empty(); }
  };

  bool at_end() const { return at_ >= in_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  bool take(std::string_view text) {
    if (!in_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  void literal(char32_t c) {
    append_code_point(out_, c);
    before_ = Before::kAtom;
  }
  void atom(std::string_view re2) {
    out_ += re2;
    before_ = Before::kAtom;
  }
  void assertion(std::string_view re2, bool left) {
    out_ += re2;
    looks_left_ = looks_left_ || left;
    before_ = Before::kAssertion;
  }

  // Back-references and \k mean something only if there are such groups, also later ones (Annex B.1.2).
  void count_groups() {
    bool in_class = false;
    for (std::size_t i = 0; i < in_.size(); ++i) {
      if (in_[i] == '\\') {
        ++i;
      } else if (in_class) {
        in_class = in_[i] != ']';
      } else if (in_[i] == '[') {
        in_class = true;
      } else if (in_[i] == '(') {
        const std::string_view rest = in_.substr(i + 1);
        const bool named = rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!");
        if (named) has_names_ = true;
        if (named || !rest.starts_with('?')) ++groups_;
      }
    }
  }

  char32_t next_code_point() {
    const auto lead = static_cast<unsigned char>(in_[at_++]);
    if (lead < 0x80) return lead;
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;  // the pattern is UTF-8: checked at the door
    char32_t c = lead & (0x3F >> more);
    for (int i = 0; i < more && !at_end(); ++i) c = (c << 6) | (static_cast<unsigned char>(in_[at_++]) & 0x3F);
    return c;
  }

  Status term() {
    switch (peek()) {
      case '\\':
        return escape();
      case '[':
        return character_class();
      case '(':
        return open_group();
      case ')':
        if (depth_ == 0) return fail(Code::kInvalid, "unmatched ')'");
        --depth_;
        ++at_;
        atom(")");
        return {};
      case '|':
        ++at_;
        out_ += '|';
        before_ = Before::kNothing;
        if (depth_ == 0) top_alternative_ = true;
        return {};
      case '^':
        ++at_;
        assertion("\\A", true);
        return {};
      case '$':
        ++at_;
        assertion("\\z", false);
        return {};
      case '.':
        ++at_;
        atom(kDot);
        return {};
      case '*':
      case '+':
      case '?': {
        const std::string sign(1, in_[at_++]);
        return repeat(sign);
      }
      case '{':
        return brace();
      default:
        literal(next_code_point());
        return {};
    }
  }

  Status repeat(const std::string& quantifier) {
    if (before_ != Before::kAtom) return fail(Code::kInvalid, "nothing to repeat before '" + quantifier + "'");
    out_ += quantifier;
    if (take("?")) out_ += '?';
    before_ = Before::kQuantifier;
    return {};
  }

  // {n}, {n,}, {n,m}; any other brace stands for itself (Annex B.1.2).
  Status brace() {
    std::size_t end = at_ + 1;
    const auto number = [&]() -> std::optional<int> {
      const std::size_t begin = end;
      int value = 0;
      while (end < in_.size() && is_digit(in_[end])) {
        value = value > kMaxRepeat ? value : value * 10 + (in_[end] - '0');
        ++end;
      }
      return end == begin ? std::nullopt : std::optional(value);
    };
    const std::optional<int> low = number();
    std::optional<int> high = low;
    if (low && end < in_.size() && in_[end] == ',') {
      ++end;
      high = number();
    }
    if (!low || end >= in_.size() || in_[end] != '}') {
      literal(next_code_point());
      return {};
    }
    if (*low > kMaxRepeat || high.value_or(0) > kMaxRepeat) {
      return fail(Code::kInvalid, "a repeat count above 1000 is not supported by RE2");
    }
    if (high && *high < *low) return fail(Code::kInvalid, "numbers out of order in {} quantifier");
    std::string text = "{" + std::to_string(*low);
    if (high != low) text += "," + (high ? std::to_string(*high) : "");
    at_ = end + 1;
    return repeat(text + "}");
  }

  Status open_group() {
    ++at_;
    if (++depth_ > kMaxGroupDepth) return fail(Code::kTooLarge, "groups are nested more than 200 deep");
    before_ = Before::kNothing;
    if (peek() != '?') {
      out_ += '(';
      return {};
    }
    if (take("?:")) {
      out_ += "(?:";
      return {};
    }
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kLookAround{{
        {"?=", "look-ahead (?=…)"},
        {"?!", "negative look-ahead (?!…)"},
        {"?<=", "look-behind (?<=…)"},
        {"?<!", "negative look-behind (?<!…)"},
    }};
    for (const auto& [sign, name] : kLookAround) {
      if (take(sign)) {
        return fail(Code::kInvalid, std::string(name) + " is not supported" + std::string(kWhy) + " look around");
      }
    }
    if (take("?<")) return group_name();
    for (const std::string_view modifier : {"?i:", "?-i:"}) {
      if (take(modifier)) {
        out_ += "(" + std::string(modifier);
        return {};
      }
    }
    return fail(Code::kInvalid,
                "invalid group: after '(?' only ':', '<name>', 'i:' and '-i:' may stand (for any case write (?i:…))");
  }

  Status group_name() {
    const std::size_t end = in_.find('>', at_);
    const std::string name(in_.substr(at_, end == std::string_view::npos ? 0 : end - at_));
    if (name.empty() || is_digit(name[0])) return fail(Code::kInvalid, "invalid capture group name");
    bool plain = true;
    for (const char c : name) {
      if (static_cast<unsigned char>(c) < 128 && !is_name_char(c) && c != '$') {
        return fail(Code::kInvalid, "invalid capture group name");
      }
      plain = plain && is_name_char(c);
    }
    if (!names_.insert(name).second) return fail(Code::kInvalid, "duplicate capture group name");
    at_ = end + 1;
    out_ += plain ? "(?P<" + name + ">" : "(";  // RE2 spells names with letters, digits and _ only
    return {};
  }

  Status escape() {
    ++at_;
    if (at_end()) return fail(Code::kInvalid, "\\ at the end of the pattern");
    const char c = peek();
    if (c == 'b' || c == 'B') {
      ++at_;
      assertion(c == 'b' ? "\\b" : "\\B", true);
      return {};
    }
    if (c >= '1' && c <= '9') {
      std::size_t number = 0;
      for (std::size_t i = 0; is_digit(peek(i)) && number < 100'000; ++i) {
        number = number * 10 + static_cast<std::size_t>(peek(i) - '0');
      }
      if (number <= groups_) {
        return fail(Code::kInvalid, "back-reference \\" + std::to_string(number) + " is not supported" +
                                        std::string(kWhy) + " compare with an earlier match");
      }
    }
    if (c == 'k' && (has_names_ || peek(1) == '<')) {
      return fail(Code::kInvalid,
                  "back-reference \\k<name> is not supported" + std::string(kWhy) + " compare with an earlier match");
    }
    SLUICE_TRY(const ClassAtom found, escaped(false));
    if (found.is_set()) {
      atom(found.set[0] == '[' || found.set[0] == '\\' ? found.set : "[" + found.set + "]");
    } else {
      literal(found.code_point);
    }
    return {};
  }

  // After the backslash: what inside and outside classes share. \s and \S come as members of a class.
  Result<ClassAtom> escaped(bool in_class) {
    const char c = peek();
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
        ++at_;
        return ClassAtom{0, std::string("\\") + c};
      case 's':
      case 'S':
        ++at_;
        return ClassAtom{0, space(c == 's', in_class)};
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
        return letter_control(in_class);
      case 'x':
        return hex(2);
      case 'u':
        return unicode(in_class);
      case 'k':
        if (has_names_) return fail(Code::kInvalid, "\\k in a class is invalid where there are named groups");
        return ClassAtom{next_code_point(), {}};
      default:
        if (is_octal(c)) return octal();
        return ClassAtom{next_code_point(), {}};  // identity escape: \- \/ \_ \A \é
    }
  }

  static std::string space(bool positive, bool in_class) {
    const std::string members(positive ? kSpace : kNotSpace);
    return in_class ? members : "[" + members + "]";
  }

  ClassAtom control(char c) {
    ++at_;
    return ClassAtom{static_cast<unsigned char>(c), {}};
  }

  // \cX; in a class also digits and _ ; otherwise the backslash stands for itself (Annex B.1.2).
  ClassAtom letter_control(bool in_class) {
    const char x = peek(1);
    if (is_letter(x) || (in_class && (is_digit(x) || x == '_'))) {
      at_ += 2;
      return ClassAtom{static_cast<char32_t>(x & 31), {}};
    }
    return ClassAtom{'\\', {}};  // the c follows as a literal
  }

  std::optional<char32_t> hex_digits(std::size_t from, int count) const {
    char32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const int digit = hex_value(peek(from + static_cast<std::size_t>(i)));
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  ClassAtom hex(int count) {
    const auto value = hex_digits(1, count);
    at_ += value ? 1 + static_cast<std::size_t>(count) : 1;
    return ClassAtom{value.value_or('x'), {}};
  }

  // Legacy octal: up to \377 (Annex B.1.2); \0 is NUL.
  ClassAtom octal() {
    char32_t value = 0;
    for (int i = 0; i < 3 && is_octal(peek()) && value * 8 + static_cast<char32_t>(peek() - '0') <= 0377; ++i) {
      value = value * 8 + static_cast<char32_t>(in_[at_++] - '0');
    }
    return ClassAtom{value, {}};
  }

  Result<ClassAtom> unicode(bool in_class) {
    if (peek(1) == '{') {
      char32_t value = 0;
      std::size_t i = 2;
      for (; hex_value(peek(i)) >= 0 && value <= kMaxCodePoint; ++i) {
        value = value * 16 + static_cast<char32_t>(hex_value(peek(i)));
      }
      if (i == 2 || peek(i) != '}' || value > kMaxCodePoint) {
        return fail(Code::kInvalid, "\\u{…} must hold a code point in hexadecimal, at most 10FFFF");
      }
      at_ += i + 1;
      return code_point(value);
    }
    const auto value = hex_digits(1, 4);
    if (!value) {
      ++at_;
      return ClassAtom{'u', {}};
    }
    at_ += 5;
    if (is_high_surrogate(*value) && peek() == '\\' && peek(1) == 'u') {
      const auto low = hex_digits(2, 4);
      if (low && is_low_surrogate(*low)) {
        at_ += 6;
        return code_point(0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00));
      }
    }
    return code_point(*value);
  }

  static Result<ClassAtom> code_point(char32_t value) {
    if (is_high_surrogate(value) || is_low_surrogate(value)) {
      return fail(Code::kInvalid, "half of a surrogate pair cannot be matched: text is read as whole code points");
    }
    return ClassAtom{value, {}};
  }

  Result<ClassAtom> property() {
    const bool braced = peek(1) == '{';
    const std::size_t end = braced ? in_.find('}', at_) : std::string_view::npos;
    if (end == std::string_view::npos) return ClassAtom{next_code_point(), {}};
    std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
    for (const std::string_view prefix : {"Script=", "sc=", "General_Category=", "gc="}) {
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    }
    bool plain = !name.empty();
    for (const char c : name) plain = plain && (is_letter(c) || c == '_');
    if (!plain)
      return fail(Code::kInvalid, "\\p{…} takes a general category such as L or Nd, or a script such as Greek");
    ClassAtom found{0, std::string("\\") + peek() + "{" + std::string(name) + "}"};
    at_ = end + 1;
    return found;
  }

  Status character_class() {
    ++at_;
    const bool negated = take("^");
    if (take("]")) {
      atom(negated ? kAny : kNever);
      return {};
    }
    std::string members;
    while (true) {
      if (at_end()) return fail(Code::kInvalid, "a character class is not closed: ']' is missing");
      if (take("]")) break;
      SLUICE_TRY(const ClassAtom first, class_atom());
      if (peek() != '-' || at_ + 1 >= in_.size() || peek(1) == ']') {
        add(members, first);
        continue;
      }
      ++at_;
      SLUICE_TRY(const ClassAtom last, class_atom());
      if (first.is_set() || last.is_set()) {  // Annex B.1.2: then the hyphen stands for itself
        add(members, first);
        add(members, ClassAtom{'-', {}});
        add(members, last);
        continue;
      }
      if (last.code_point < first.code_point) return fail(Code::kInvalid, "range out of order in character class");
      append_code_point(members, first.code_point);
      members += '-';
      append_code_point(members, last.code_point);
    }
    atom((negated ? "[^" : "[") + members + "]");
    return {};
  }

  static void add(std::string& members, const ClassAtom& member) {
    if (member.is_set()) {
      members += member.set;
    } else {
      append_code_point(members, member.code_point);
    }
  }

  Result<ClassAtom> class_atom() {
    if (peek() != '\\') return ClassAtom{next_code_point(), {}};
    ++at_;
    if (at_end()) return fail(Code::kInvalid, "\\ at the end of the pattern");
    return escaped(true);
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t depth_ = 0;
  std::size_t groups_ = 0;
  bool has_names_ = false;
  bool looks_left_ = false;
  bool anchored_ = false;
  bool top_alternative_ = false;
  Before before_ = Before::kNothing;
  std::set<std::string> names_;
};

}  // namespace

Result<Re2Source> translate_js_pattern(std::string_view pattern) {
  if (pattern.size() > kMaxPatternLength) return fail(Code::kTooLarge, "the pattern is longer than 8,192 bytes");
  if (!is_utf8(pattern)) return fail(Code::kInvalid, "the pattern is not UTF-8");
  return Translator(pattern).run();
}

}  // namespace sluice::rules
