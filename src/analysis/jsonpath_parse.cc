#include "analysis/jsonpath_parse.h"

#include <array>
#include <charconv>

#include "analysis/jsonpath.h"
#include "analysis/jsonpath_text.h"
#include "base/text.h"

namespace sluice::analysis::jsonpath {
namespace {

using Kind = Expression::Kind;

enum class Type : std::uint8_t { kValue, kNodes, kLogical };
struct FunctionInfo {
  std::string_view name;
  Function function;
  Type result;
  std::vector<Type> arguments;
};
const std::array<FunctionInfo, 5>& functions() {
  static const std::array<FunctionInfo, 5> kFunctions{{
      {"length", Function::kLength, Type::kValue, {Type::kValue}},
      {"count", Function::kCount, Type::kValue, {Type::kNodes}},
      {"match", Function::kMatch, Type::kLogical, {Type::kValue, Type::kValue}},
      {"search", Function::kSearch, Type::kLogical, {Type::kValue, Type::kValue}},
      {"value", Function::kValue, Type::kValue, {Type::kNodes}},
  }};
  return kFunctions;
}

const FunctionInfo& info_of(Function function) { return functions()[static_cast<std::size_t>(function)]; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool begins_name(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

ExpressionPtr make(Expression expression) { return std::make_shared<const Expression>(std::move(expression)); }

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}

  Result<Query> run() {
    if (!take("$")) return wrong("a JSONPath begins with $");
    SLUICE_TRY(Query query, rest_of_query(false));
    if (at_ != in_.size()) return wrong("something stands behind the expression");
    return query;
  }

 private:
  // --- reading ---

  char peek(std::size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  bool take(std::string_view token) {
    if (!in_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void blank() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }
  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::kInvalid, "at octet " + std::to_string(at_ + 1) + ": " + std::string(what));
  }
  Status count_part() {
    if (++parts_ > kMaxJsonPathParts) return fail(Code::kTooLarge, "the expression has more than 500 parts");
    return {};
  }
  // Of brackets and parentheses; the guard gives the depth back.
  struct Deeper {
    std::size_t& depth;
    ~Deeper() { --depth; }
  };
  Status check_depth() const {
    if (depth_ > kMaxJsonPathDepth) return fail(Code::kTooLarge, "the expression is nested more than 64 deep");
    return {};
  }

  // --- queries (§2.2 to 2.5) ---

  Result<Query> rest_of_query(bool relative) {
    Query query;
    query.relative = relative;
    for (;;) {
      const std::size_t before = at_;
      blank();
      if (peek() != '.' && peek() != '[') {
        at_ = before;  // blanks belong to what follows
        return query;
      }
      SLUICE_TRY(Segment segment, this->segment());
      query.segments.push_back(std::move(segment));
    }
  }

  Result<Segment> segment() {
    SLUICE_CHECK(count_part());
    Segment segment;
    segment.descendant = take("..");
    if (peek() == '[') {
      SLUICE_TRY(segment.selectors, bracketed());
      return segment;
    }
    if (!segment.descendant) ++at_;  // the "."
    Selector selector;
    if (take("*")) {
      selector.kind = Selector::Kind::kWildcard;
    } else if (begins_name(peek())) {
      selector.kind = Selector::Kind::kName;
      const std::size_t begin = at_;
      while (begins_name(peek()) || is_digit(peek())) ++at_;
      selector.name = in_.substr(begin, at_ - begin);
    } else {
      return wrong("a name or * must follow the dot; other names are written ['like this']");
    }
    segment.selectors.push_back(std::move(selector));
    return segment;
  }

  Result<std::vector<Selector>> bracketed() {
    const Deeper deeper{++depth_};
    SLUICE_CHECK(check_depth());
    ++at_;
    std::vector<Selector> selectors;
    do {
      blank();
      SLUICE_TRY(Selector selector, this->selector());
      selectors.push_back(std::move(selector));
      blank();
    } while (take(","));
    if (!take("]")) return wrong("] or , is missing");
    return selectors;
  }

  Result<Selector> selector() {
    SLUICE_CHECK(count_part());
    Selector selector;
    if (take("*")) return selector;
    if (peek() == '\'' || peek() == '"') {
      selector.kind = Selector::Kind::kName;
      SLUICE_TRY(selector.name, string_literal());
      return selector;
    }
    if (take("?")) {
      selector.kind = Selector::Kind::kFilter;
      blank();
      SLUICE_TRY(selector.filter, logical_or());
      return selector;
    }
    return index_or_slice();
  }

  Result<Selector> index_or_slice() {
    Selector selector;
    SLUICE_TRY(const auto first, integer());
    const std::size_t behind = at_;
    blank();
    if (!take(":")) {
      at_ = behind;
      if (!first) return wrong("a selector is missing: a name in quotes, *, a number, a slice or ?filter");
      selector.kind = Selector::Kind::kIndex;
      selector.index = *first;
      return selector;
    }
    selector.kind = Selector::Kind::kSlice;
    selector.start = first;
    blank();
    SLUICE_TRY(selector.end, integer());
    const std::size_t end = at_;
    blank();
    if (!take(":")) {
      at_ = end;
      return selector;
    }
    const std::size_t colon = at_;
    blank();
    SLUICE_TRY(const auto step, integer());
    if (!step) at_ = colon;
    selector.step = step.value_or(1);
    return selector;
  }

  // I-JSON's range (§2.1).
  Result<std::optional<std::int64_t>> integer() {
    constexpr std::int64_t kMost = 9'007'199'254'740'991;
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    const std::size_t digits = at_;
    while (is_digit(peek())) ++at_;
    if (at_ == begin) return std::nullopt;
    const std::string_view text = in_.substr(begin, at_ - begin);
    if (at_ == digits) return wrong("a number is missing behind -");
    if (in_[digits] == '0' && text != "0") return wrong("a number begins with 0");
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc() || value > kMost || value < -kMost) return wrong("a number is too large");
    return std::optional(value);
  }

  Result<std::string> string_literal() {
    auto text = read_string(in_, at_);
    if (!text) return wrong(text.error().message);
    return text;
  }

  // --- filters (§2.3.5) ---

  Result<ExpressionPtr> logical_or() {
    return chain(Kind::kOr, "||", [this] { return chain(Kind::kAnd, "&&", [this] { return basic(); }); });
  }

  template <class Part>
  Result<ExpressionPtr> chain(Kind kind, std::string_view token, const Part& part) {
    Expression expression;
    expression.kind = kind;
    for (;;) {
      SLUICE_TRY(ExpressionPtr one, part());
      expression.parts.push_back(std::move(one));
      const std::size_t before = at_;
      blank();
      if (!take(token)) {
        at_ = before;
        break;
      }
      blank();
    }
    if (expression.parts.size() == 1) return expression.parts.front();
    return make(std::move(expression));
  }

  Result<ExpressionPtr> basic() {
    const Deeper deeper{++depth_};
    SLUICE_CHECK(check_depth());
    SLUICE_CHECK(count_part());
    if (take("!")) {
      blank();
      Expression expression;
      expression.kind = Kind::kNot;
      if (peek() == '(') {
        SLUICE_TRY(ExpressionPtr part, parenthesised());
        expression.parts.push_back(std::move(part));
      } else {
        SLUICE_TRY(Expression part, comparable());
        SLUICE_TRY(ExpressionPtr tested, test(std::move(part)));
        expression.parts.push_back(std::move(tested));
      }
      return make(std::move(expression));
    }
    if (peek() == '(') return parenthesised();
    SLUICE_TRY(Expression left, comparable());
    const std::size_t behind = at_;
    blank();
    const auto comparison = this->comparison();
    if (!comparison) {
      at_ = behind;
      return test(std::move(left));
    }
    SLUICE_CHECK(check_comparable(left));
    blank();
    SLUICE_TRY(Expression right, comparable());
    SLUICE_CHECK(check_comparable(right));
    Expression expression;
    expression.kind = Kind::kCompare;
    expression.comparison = *comparison;
    expression.parts = {make(std::move(left)), make(std::move(right))};
    return make(std::move(expression));
  }

  Result<ExpressionPtr> parenthesised() {
    ++at_;
    blank();
    SLUICE_TRY(ExpressionPtr inside, logical_or());
    blank();
    if (!take(")")) return wrong(") is missing");
    return inside;
  }

  std::optional<Comparison> comparison() {
    static constexpr std::array<std::pair<std::string_view, Comparison>, 6> kTokens{{
        {"==", Comparison::kEqual},
        {"!=", Comparison::kNotEqual},
        {"<=", Comparison::kLessEqual},
        {">=", Comparison::kGreaterEqual},
        {"<", Comparison::kLess},
        {">", Comparison::kGreater},
    }};
    for (const auto& [token, comparison] : kTokens) {
      if (take(token)) return comparison;
    }
    return std::nullopt;
  }

  // Alone in a filter: whether there is such a node, or what a function says.
  Result<ExpressionPtr> test(Expression expression) {
    if (expression.kind == Kind::kLiteral) return wrong("a value alone is no condition: compare it with something");
    if (expression.kind == Kind::kQuery) {
      expression.kind = Kind::kExists;
    } else if (info_of(expression.function).result != Type::kLogical) {
      return wrong("what " + std::string(info_of(expression.function).name) +
                   "() says must be compared with something");
    }
    return make(std::move(expression));
  }

  Status check_comparable(const Expression& expression) const {
    if (expression.kind == Kind::kQuery && !expression.query.is_singular()) {
      return wrong("only a query for one node can be compared; for several use count() or value()");
    }
    if (expression.kind == Kind::kCall && info_of(expression.function).result != Type::kValue) {
      return wrong(std::string(info_of(expression.function).name) + "() is a condition and cannot be compared");
    }
    return {};
  }

  Result<Expression> comparable() {
    Expression expression;
    if (peek() == '@' || peek() == '$') {
      expression.kind = Kind::kQuery;
      const bool relative = in_[at_++] == '@';
      SLUICE_TRY(expression.query, rest_of_query(relative));
      return expression;
    }
    if (peek() == '\'' || peek() == '"') {
      SLUICE_TRY(expression.literal, string_literal());
      return expression;
    }
    if (is_digit(peek()) || peek() == '-') {
      SLUICE_TRY(expression.literal, number());
      return expression;
    }
    const std::size_t begin = at_;
    while (is_lower(peek()) || (at_ > begin && (peek() == '_' || is_digit(peek())))) ++at_;
    const std::string_view word = in_.substr(begin, at_ - begin);
    if (peek() == '(') return call(word, begin);
    if (word == "true" || word == "false") {
      expression.literal = word == "true";
    } else if (word != "null") {
      at_ = begin;
      return wrong("a condition is missing: @…, $…, a value or a function");
    }
    return expression;
  }

  Result<Json> number() {
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    const std::size_t digits = at_;
    while (is_digit(peek())) ++at_;
    if (at_ == digits || (in_[digits] == '0' && at_ - digits > 1)) return wrong("this is no number");
    bool whole = true;
    if (peek() == '.') {
      whole = false;
      const std::size_t point = at_++;
      while (is_digit(peek())) ++at_;
      if (at_ == point + 1) return wrong("digits must follow the point");
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      const std::size_t exponent = at_;
      while (is_digit(peek())) ++at_;
      if (at_ == exponent) return wrong("digits must follow the e");
    }
    const std::string_view text = in_.substr(begin, at_ - begin);
    if (whole) {
      std::int64_t value = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
      if (read.ec == std::errc()) return Json(value);
    }
    double value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) return wrong("a number is too large");
    return Json(value);
  }

  Result<Expression> call(std::string_view name, std::size_t begin) {
    const Deeper deeper{++depth_};
    SLUICE_CHECK(check_depth());
    const FunctionInfo* info = nullptr;
    for (const FunctionInfo& one : functions()) {
      if (one.name == name) info = &one;
    }
    if (!info) {
      at_ = begin;
      return wrong("there is no such function: length, count, match, search, value");
    }
    Expression expression;
    expression.kind = Kind::kCall;
    expression.function = info->function;
    ++at_;
    blank();
    for (std::size_t i = 0; i < info->arguments.size(); ++i) {
      if (i > 0 && !take(",")) return wrong(std::string(name) + "() takes more arguments");
      blank();
      SLUICE_TRY(Expression argument, comparable());
      SLUICE_CHECK(count_part());
      if (info->arguments[i] == Type::kValue) {
        SLUICE_CHECK(check_comparable(argument));
      } else if (argument.kind != Kind::kQuery) {
        return wrong(std::string(name) + "() takes a query");
      }
      expression.parts.push_back(make(std::move(argument)));
      blank();
    }
    if (!take(")")) return wrong(") is missing, or there are too many arguments");
    return expression;
  }

  std::string_view in_;
  std::size_t at_ = 0, depth_ = 0, parts_ = 0;
};

}  // namespace

Result<Query> parse_query(std::string_view text) {
  if (text.size() > kMaxJsonPath) return fail(Code::kTooLarge, "a JSONPath has at most 4096 octets");
  if (!is_utf8(text)) return fail(Code::kInvalid, "the JSONPath is not UTF-8");
  return Parser(text).run();
}

}  // namespace sluice::analysis::jsonpath
