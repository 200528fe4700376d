#include "rules/js_pattern.h"

#include <array>
#include <cstdint>
#include <optional>
#include <set>

#include "base/text.h"
#include "rules/js_escape.h"

namespace sluice::rules {
namespace {

constexpr int kMaxRepeat = 1000;  // RE2's own limit

constexpr std::string_view kDot = R"([^\n\r\x{2028}\x{2029}])";
constexpr std::string_view kNever = R"([^\x{0}-\x{10FFFF}])";
constexpr std::string_view kAny = R"([\x{0}-\x{10FFFF}])";

constexpr std::string_view kWhy = ": RE2 matches in linear time and therefore cannot";

// What can be repeated: JavaScript says "nothing to repeat" where RE2 might find something.
enum class Before { kNothing, kAtom, kAssertion, kQuantifier };

class Translator : private JsCursor {
 public:
  explicit Translator(std::string_view pattern) : JsCursor{pattern} {}

  Result<Re2Source> run() {
    count_groups();
    anchored_ = in.starts_with('^');
    while (!at_end()) SLUICE_CHECK(term());
    if (depth_ != 0) return fail(Code::kInvalid, "a group is not closed: ')' is missing");
    return Re2Source{std::move(out_), looks_left_, anchored_ && !top_alternative_};
  }

 private:
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
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (in[i] == '\\') {
        ++i;
      } else if (in_class) {
        in_class = in[i] != ']';
      } else if (in[i] == '[') {
        in_class = true;
      } else if (in[i] == '(') {
        const std::string_view rest = in.substr(i + 1);
        const bool named = rest.starts_with("?<") && !rest.starts_with("?<=") && !rest.starts_with("?<!");
        if (named) has_names = true;
        if (named || !rest.starts_with('?')) ++groups_;
      }
    }
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
        ++at;
        atom(")");
        return {};
      case '|':
        ++at;
        out_ += '|';
        before_ = Before::kNothing;
        if (depth_ == 0) top_alternative_ = true;
        return {};
      case '^':
        ++at;
        assertion("\\A", true);
        return {};
      case '$':
        ++at;
        assertion("\\z", false);
        return {};
      case '.':
        ++at;
        atom(kDot);
        return {};
      case '*':
      case '+':
      case '?': {
        const std::string sign(1, in[at++]);
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
    std::size_t end = at + 1;
    const auto number = [&]() -> std::optional<int> {
      const std::size_t begin = end;
      int value = 0;
      while (end < in.size() && is_digit(in[end])) {
        value = value > kMaxRepeat ? value : value * 10 + (in[end] - '0');
        ++end;
      }
      return end == begin ? std::nullopt : std::optional(value);
    };
    const std::optional<int> low = number();
    std::optional<int> high = low;
    if (low && end < in.size() && in[end] == ',') {
      ++end;
      high = number();
    }
    if (!low || end >= in.size() || in[end] != '}') {
      literal(next_code_point());
      return {};
    }
    if (*low > kMaxRepeat || high.value_or(0) > kMaxRepeat) {
      return fail(Code::kInvalid, "a repeat count above 1000 is not supported by RE2");
    }
    if (high && *high < *low) return fail(Code::kInvalid, "numbers out of order in {} quantifier");
    std::string text = "{" + std::to_string(*low);
    if (high != low) text += "," + (high ? std::to_string(*high) : "");
    at = end + 1;
    return repeat(text + "}");
  }

  Status open_group() {
    ++at;
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
    const std::size_t end = in.find('>', at);
    const std::string name(in.substr(at, end == std::string_view::npos ? 0 : end - at));
    if (name.empty() || is_digit(name[0])) return fail(Code::kInvalid, "invalid capture group name");
    bool plain = true;
    for (const char c : name) {
      if (static_cast<unsigned char>(c) < 128 && !is_name_char(c) && c != '$') {
        return fail(Code::kInvalid, "invalid capture group name");
      }
      plain = plain && is_name_char(c);
    }
    if (!names_.insert(name).second) return fail(Code::kInvalid, "duplicate capture group name");
    at = end + 1;
    out_ += plain ? "(?P<" + name + ">" : "(";  // RE2 spells names with letters, digits and _ only
    return {};
  }

  Status escape() {
    ++at;
    if (at_end()) return fail(Code::kInvalid, "\\ at the end of the pattern");
    const char c = peek();
    if (c == 'b' || c == 'B') {
      ++at;
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
    if (c == 'k' && (has_names || peek(1) == '<')) {
      return fail(Code::kInvalid,
                  "back-reference \\k<name> is not supported" + std::string(kWhy) + " compare with an earlier match");
    }
    SLUICE_TRY(const EscapeAtom found, read_escape(*this, EscapePlace::kOutside));
    if (found.is_set()) {
      atom(found.set[0] == '[' || found.set[0] == '\\' ? found.set : "[" + found.set + "]");
    } else {
      literal(found.code_point);
    }
    return {};
  }

  Status character_class() {
    ++at;
    const bool negated = take("^");
    if (take("]")) {
      atom(negated ? kAny : kNever);
      return {};
    }
    std::string members;
    while (true) {
      if (at_end()) return fail(Code::kInvalid, "a character class is not closed: ']' is missing");
      if (take("]")) break;
      SLUICE_TRY(const EscapeAtom first, class_atom());
      if (peek() != '-' || at + 1 >= in.size() || peek(1) == ']') {
        add(members, first);
        continue;
      }
      ++at;
      SLUICE_TRY(const EscapeAtom last, class_atom());
      if (first.is_set() || last.is_set()) {  // Annex B.1.2: then the hyphen stands for itself
        add(members, first);
        add(members, EscapeAtom{'-', {}});
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

  static void add(std::string& members, const EscapeAtom& member) {
    if (member.is_set()) {
      members += member.set;
    } else {
      append_code_point(members, member.code_point);
    }
  }

  Result<EscapeAtom> class_atom() {
    if (peek() != '\\') return EscapeAtom{next_code_point(), {}};
    ++at;
    if (at_end()) return fail(Code::kInvalid, "\\ at the end of the pattern");
    return read_escape(*this, EscapePlace::kClass);
  }

  std::string out_;
  std::size_t depth_ = 0;
  std::size_t groups_ = 0;
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
