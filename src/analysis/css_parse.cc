#include "analysis/css_parse.h"

#include <array>
#include <charconv>
#include <optional>

#include "analysis/css.h"
#include "base/text.h"

namespace sluice::analysis::css {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

constexpr std::array<std::pair<std::string_view, Test>, 8> kPlain{{{"only-child", Test::kOnlyChild},
                                                                   {"only-of-type", Test::kOnlyOfType},
                                                                   {"empty", Test::kEmpty},
                                                                   {"root", Test::kRoot},
                                                                   {"checked", Test::kChecked},
                                                                   {"disabled", Test::kDisabled},
                                                                   {"enabled", Test::kEnabled},
                                                                   {"link", Test::kLink}}};
constexpr std::array<std::pair<std::string_view, Test>, 4> kFirstAndLast{{{"first-child", Test::kNth},
                                                                          {"last-child", Test::kNthLast},
                                                                          {"first-of-type", Test::kNthOfType},
                                                                          {"last-of-type", Test::kNthLastOfType}}};
constexpr std::array<std::pair<std::string_view, Test>, 4> kCounted{{{"nth-child", Test::kNth},
                                                                     {"nth-last-child", Test::kNthLast},
                                                                     {"nth-of-type", Test::kNthOfType},
                                                                     {"nth-last-of-type", Test::kNthLastOfType}}};
constexpr std::array<std::pair<std::string_view, Test>, 5> kWithList{
    {{"not", Test::kNot}, {"is", Test::kIs}, {"where", Test::kIs}, {"matches", Test::kIs}, {"has", Test::kHasInside}}};

template <std::size_t N>
std::optional<Test> find(const std::array<std::pair<std::string_view, Test>, N>& known, std::string_view name) {
  for (const auto& [one, test] : known) {
    if (one == name) return test;
  }
  return std::nullopt;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}

  Result<List> run() {
    SLUICE_TRY(List list, selectors(false));
    if (at_ != in_.size()) return wrong("this is no selector");
    return list;
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  bool take(char c) {
    if (at_ >= in_.size() || in_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool blank() {
    const std::size_t begin = at_;
    while (at_ < in_.size() && is_blank(in_[at_])) ++at_;
    return at_ > begin;
  }
  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::kInvalid, "at octet " + std::to_string(at_ + 1) + ": " + std::string(what));
  }

  Result<List> selectors(bool relative) {
    if (++depth_ > kMaxCssDepth) return fail(Code::kTooLarge, "the selector is nested more than 16 deep");
    List list;
    do {
      blank();
      SLUICE_TRY(Complex one, complex(relative));
      list.selectors.push_back(std::move(one));
    } while (take(','));
    --depth_;
    return list;
  }

  std::optional<Combinator> combinator() {
    const bool blanks = blank();
    for (const auto& [c, combinator] : {std::pair('>', Combinator::kChild), std::pair('+', Combinator::kNext),
                                        std::pair('~', Combinator::kSibling)}) {
      if (!take(c)) continue;
      blank();
      return combinator;
    }
    if (blanks && at_ < in_.size() && peek() != ',' && peek() != ')') return Combinator::kDescendant;
    return std::nullopt;
  }

  Result<Complex> complex(bool relative) {
    Complex complex;
    Combinator before = Combinator::kNone;
    if (relative) before = combinator().value_or(Combinator::kDescendant);
    for (;;) {
      SLUICE_TRY(Compound part, compound());
      part.before = before;
      complex.parts.push_back(std::move(part));
      const auto next = combinator();
      if (!next) return complex;
      before = *next;
    }
  }

  Result<Compound> compound() {
    Compound compound;
    const std::size_t begin = at_;
    if (peek() == '|' || (peek() == '*' && peek(1) == '|')) return wrong("namespaces are not supported");
    if (!take('*') && (begins_name(peek()) || peek() == '-' || peek() == '\\')) {
      Simple type;
      SLUICE_TRY(type.name, name());
      type.name = to_lower(type.name);
      compound.tests.push_back(std::move(type));
    }
    for (;;) {
      if (peek() == '|') return wrong("namespaces are not supported");
      if (peek() != '#' && peek() != '.' && peek() != '[' && peek() != ':') break;
      SLUICE_TRY(Simple simple, this->simple());
      compound.tests.push_back(std::move(simple));
    }
    if (at_ == begin) return wrong("a selector is missing");
    return compound;
  }

  Result<Simple> simple() {
    Simple simple;
    if (take('[')) return attribute();
    if (take(':')) return pseudo();
    const bool id = peek() == '#';
    simple.test = id ? Test::kId : Test::kClass;
    ++at_;
    SLUICE_TRY(simple.value, name(id));
    return simple;
  }

  // CSS Syntax §4.3.11; an escape is a code point or a character.
  Result<std::string> name(bool any_start = false) {
    std::string out;
    const std::size_t begin = at_;
    while (at_ < in_.size()) {
      const char c = in_[at_];
      const bool first = at_ == begin;
      if (c == '\\') {
        SLUICE_CHECK(escape(out));
      } else if (begins_name(c) || c == '-' || (is_digit(c) && (!first || any_start))) {
        out += c;
        ++at_;
      } else {
        break;
      }
    }
    if (out.empty() || (out == "-" && !any_start)) return wrong("a name is missing");
    return out;
  }

  Status escape(std::string& out) {
    ++at_;
    if (at_ >= in_.size() || in_[at_] == '\n') return wrong("nothing follows the backslash");
    std::uint32_t value = 0;
    const std::size_t most = std::min<std::size_t>(at_ + 6, in_.size());
    const auto read = std::from_chars(in_.data() + at_, in_.data() + most, value, 16);
    if (read.ec != std::errc()) {
      out += in_[at_++];
      return {};
    }
    at_ = static_cast<std::size_t>(read.ptr - in_.data());
    if (at_ < in_.size() && is_blank(in_[at_])) ++at_;
    append_character(out, value);
    return {};
  }

  static void append_character(std::string& out, std::uint32_t c) {
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    const auto put = [&out](std::uint32_t octet) { out += static_cast<char>(octet); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
      put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12);
      put(0x80 | (c >> 6 & 0x3F));
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
      put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
  }

  Result<std::string> string() {
    const char quote = in_[at_++];
    std::string out;
    while (at_ < in_.size() && in_[at_] != quote) {
      if (in_[at_] == '\\') {
        SLUICE_CHECK(escape(out));
      } else {
        out += in_[at_++];
      }
    }
    if (!take(quote)) return wrong("a string is not closed");
    return out;
  }

  Result<Simple> attribute() {
    Simple simple;
    simple.test = Test::kHas;
    blank();
    SLUICE_TRY(simple.name, name());
    simple.name = to_lower(simple.name);
    blank();
    if (take(']')) return simple;
    static constexpr std::array<std::pair<char, Test>, 5> kOperators{
        {{'~', Test::kWord}, {'|', Test::kDash}, {'^', Test::kPrefix}, {'$', Test::kSuffix}, {'*', Test::kPart}}};
    simple.test = Test::kEquals;
    for (const auto& [c, test] : kOperators) {
      if (peek() == c) {
        simple.test = test;
        ++at_;
        break;
      }
    }
    if (!take('=')) return wrong("= or ] is missing");
    blank();
    if (peek() == '"' || peek() == '\'') {
      SLUICE_TRY(simple.value, string());
    } else {
      SLUICE_TRY(simple.value, name());
    }
    blank();
    if (ascii_lower(peek()) == 'i' || ascii_lower(peek()) == 's') {
      simple.any_case = ascii_lower(peek()) == 'i';
      ++at_;
      blank();
    }
    if (!take(']')) return wrong("] is missing");
    return simple;
  }

  Result<Simple> pseudo() {
    if (peek() == ':') return wrong("a pseudo-element is no element of a page");
    const std::size_t begin = at_;
    SLUICE_TRY(std::string word, name());
    word = to_lower(word);
    Simple simple;
    if (take('(')) {
      if (const auto test = find(kCounted, word)) {
        simple.test = *test;
        SLUICE_CHECK(counted(simple));
      } else if (const auto with = find(kWithList, word)) {
        simple.test = *with;
        SLUICE_TRY(List list, selectors(*with == Test::kHasInside));
        simple.list = std::make_shared<const List>(std::move(list));
      } else {
        at_ = begin;
        return wrong("there is no such pseudo-class here");
      }
      blank();
      if (!take(')')) return wrong(") is missing");
      return simple;
    }
    if (const auto test = find(kPlain, word == "any-link" ? "link" : word)) {
      simple.test = *test;
    } else if (const auto counts = find(kFirstAndLast, word)) {
      simple.test = *counts;
      simple.offset = 1;
    } else {
      at_ = begin;
      return wrong("there is no such pseudo-class here");
    }
    return simple;
  }

  // An+B (CSS Syntax §6), then perhaps "of" and selectors.
  Status counted(Simple& simple) {
    blank();
    SLUICE_CHECK(formula(simple));
    blank();
    const bool may_choose = simple.test == Test::kNth || simple.test == Test::kNthLast;
    if (!may_choose || !iequals(in_.substr(at_, 2), "of") || !is_blank(peek(2))) return {};
    at_ += 2;
    SLUICE_TRY(List list, selectors(false));
    simple.list = std::make_shared<const List>(std::move(list));
    return {};
  }

  Status formula(Simple& simple) {
    if (iequals(in_.substr(at_, 4), "even")) {
      at_ += 4;
      simple.step = 2;
      return {};
    }
    if (iequals(in_.substr(at_, 3), "odd")) {
      at_ += 3;
      simple.step = 2;
      simple.offset = 1;
      return {};
    }
    const bool minus = peek() == '-';
    if (peek() == '+' || peek() == '-') ++at_;
    const auto number = digits();
    if (ascii_lower(peek()) != 'n') {
      if (!number) return wrong("a number, an+b, odd or even is missing");
      simple.offset = minus ? -*number : *number;
      return {};
    }
    ++at_;
    simple.step = number.value_or(1) * (minus ? -1 : 1);
    const std::size_t behind = at_;
    blank();
    if (peek() != '+' && peek() != '-') {
      at_ = behind;
      return {};
    }
    const bool less = in_[at_++] == '-';
    blank();
    const auto offset = digits();
    if (!offset) return wrong("a number is missing");
    simple.offset = less ? -*offset : *offset;
    return {};
  }

  std::optional<std::int64_t> digits() {
    std::int64_t value = 0;
    if (!is_digit(peek())) return std::nullopt;
    while (is_digit(peek())) value = std::min<std::int64_t>(value * 10 + (in_[at_++] - '0'), 1'000'000'000);
    return value;
  }

  std::string_view in_;
  std::size_t at_ = 0, depth_ = 0;
};

}  // namespace

Result<List> parse_selectors(std::string_view text) {
  if (text.size() > kMaxCss) return fail(Code::kTooLarge, "a selector has at most 2000 octets");
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos)
    return fail(Code::kInvalid, "the selector is no text");
  return Parser(text).run();
}

}  // namespace sluice::analysis::css
