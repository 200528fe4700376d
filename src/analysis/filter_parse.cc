// Text to expression and back.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "analysis/filter.h"
#include "analysis/filter_node.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using Kind = FilterNode::Kind;

// What ends a word. mitmproxy's rule: '&', '|' and '!' inside a word are part of it.
constexpr std::string_view kBlanks = " \t\r\n", kWordEnds = " \t\r\n()~'\"";
// Known to mitmproxy and not here.
constexpr auto kForeign =
    std::to_array<std::string_view>({"comment", "dns", "marked", "marker", "meta", "replayq", "replays", "udp"});

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<FilterNode> parse() {
    SLUICE_TRY(FilterNode root, list(0));
    if (!at_end()) return wrong(at_, "there is no '(' for this ')'");
    return root;
  }

 private:
  bool at_end() {
    at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size());
    return at_ == text_.size();
  }
  bool sees(char c) { return !at_end() && text_[at_] == c; }

  // Columns count characters, not octets.
  tl::unexpected<Error> wrong(std::size_t at, std::string_view what) const {
    const auto starts = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    const auto column = 1 + std::count_if(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), starts);
    return fail(Code::kInvalid, fmt::format("The filter is wrong at column {}: {}.", column, what));
  }

  static FilterNode make(Kind kind) {
    FilterNode node;
    node.kind = kind;
    return node;
  }

  // One alone stays itself; a child of the same kind is taken apart.
  static FilterNode join(Kind kind, std::vector<FilterNode> parts) {
    if (parts.size() == 1) return std::move(parts.front());
    FilterNode node = make(kind);
    for (FilterNode& part : parts) {
      if (part.kind == kind) {
        std::move(part.children.begin(), part.children.end(), std::back_inserter(node.children));
      } else {
        node.children.push_back(std::move(part));
      }
    }
    return node;
  }

  Result<FilterNode> list(std::size_t depth) {
    if (depth > kMaxFilterDepth) {
      return wrong(at_, fmt::format("more than {} parentheses and '!' lie inside each other", kMaxFilterDepth));
    }
    std::vector<FilterNode> parts;
    do {
      SLUICE_TRY(FilterNode part, chain(Kind::kOr, depth));
      parts.push_back(std::move(part));
    } while (!at_end() && text_[at_] != ')');
    return join(Kind::kAnd, std::move(parts));
  }

  // not {"&" not}, or that {"|" that}
  Result<FilterNode> chain(Kind kind, std::size_t depth) {
    const char sign = kind == Kind::kOr ? '|' : '&';
    std::vector<FilterNode> parts;
    do {
      if (!parts.empty()) ++at_;
      SLUICE_TRY(FilterNode part, kind == Kind::kOr ? chain(Kind::kAnd, depth) : negation(depth));
      parts.push_back(std::move(part));
    } while (sees(sign));
    return join(kind, std::move(parts));
  }

  Result<FilterNode> negation(std::size_t depth) {
    if (!sees('!')) return primary(depth);
    ++at_;
    if (depth >= kMaxFilterDepth) return list(depth + 1);  // says so
    SLUICE_TRY(FilterNode inner, negation(depth + 1));
    FilterNode node = make(Kind::kNot);
    node.children.push_back(std::move(inner));
    return node;
  }

  Result<FilterNode> primary(std::size_t depth) {
    if (at_end()) return wrong(at_, "a term is missing at the end; ~all is every exchange");
    const char next = text_[at_];
    if (next == ')') return wrong(at_, "a term is missing before ')'");
    if (next == '&' || next == '|') return wrong(at_, fmt::format("a term is missing before '{}'", next));
    if (next == '~') return term();
    if (next != '(') return with_argument(*find_filter_term("u"), at_);
    const std::size_t opened = at_++;
    SLUICE_TRY(FilterNode inner, list(depth + 1));
    if (!sees(')')) return wrong(opened, "this '(' has no ')'");
    ++at_;
    return inner;
  }

  Result<FilterNode> term() {
    const std::size_t start = at_++;
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n()~'\"&|!", at_), text_.size());
    const std::string_view code = text_.substr(at_, end - at_);
    const FilterTerm* const term = find_filter_term(code);
    if (!term) return wrong(start, explain(code));
    at_ = end;
    if (term->argument != TermArgument::kNone) return with_argument(*term, start);
    SLUICE_CHECK(count(start));
    FilterNode node = make(Kind::kTerm);
    node.term = term;
    return node;
  }

  static std::string explain(std::string_view code) {
    if (code.empty()) return "'~' stands before a term's name, as in ~d; in a pattern put quotes around it";
    if (std::find(kForeign.begin(), kForeign.end(), code) != kForeign.end()) {
      return fmt::format("mitmproxy's ~{} is not known here", code);
    }
    for (std::size_t size = code.size() - 1; size > 0; --size) {
      const FilterTerm* const start = find_filter_term(code.substr(0, size));
      const bool digit = code[size] >= '0' && code[size] <= '9';
      if (start && start->argument != TermArgument::kNone && digit) {
        return fmt::format("a blank is missing behind ~{}", start->code);
      }
    }
    std::vector<std::string_view> codes;
    for (const FilterTerm& known : filter_terms()) codes.push_back(known.code);
    const std::string name = repair_utf8(code.substr(0, 20));
    const auto near = nearest(code, codes);
    if (near) return fmt::format("there is no term ~{}; did you mean ~{}?", name, *near);
    return fmt::format("there is no term ~{}; docs/filters.md lists them", name);
  }

  Status count(std::size_t at) {
    if (++terms_ > kMaxFilterTerms) return wrong(at, fmt::format("a filter has at most {} terms", kMaxFilterTerms));
    return {};
  }

  Result<FilterNode> with_argument(const FilterTerm& term, std::size_t start) {
    SLUICE_CHECK(count(start));
    FilterNode node = make(Kind::kTerm);
    node.term = &term;
    if (at_end() || text_[at_] == ')' || text_[at_] == '~' || text_[at_] == '(') {
      return wrong(at_, fmt::format("~{} needs {}", term.code,
                                    term.argument == TermArgument::kPattern
                                        ? "a pattern; one with blanks, quotes, '~' or parentheses stands in quotes"
                                        : "a value"));
    }
    const std::size_t at = at_;
    if (text_[at_] == '"' || text_[at_] == '\'') {
      SLUICE_TRY(node.argument, quoted());
    } else {
      SLUICE_TRY(node.argument, word());
    }
    if (const Status read = read_filter_argument(node); !read) return wrong(at, read.error().message);
    return node;
  }

  // A backslash keeps a quote or a backslash from its meaning, and stays before anything else: "\d" and "\\d" are both
  // the pattern \d.
  Result<std::string> quoted() {
    const std::size_t opened = at_;
    const char quote = text_[at_++];
    std::string value;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      const bool escape =
          text_[at_] == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == quote || text_[at_ + 1] == '\\');
      if (escape) ++at_;
      value.push_back(text_[at_]);
    }
    if (at_ == text_.size()) return wrong(opened, "this quote has no end");
    ++at_;
    SLUICE_CHECK(ends_here());
    return value;
  }

  Result<std::string> word() {
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_of(kWordEnds, at_), text_.size());
    const std::string_view value = text_.substr(start, at_ - start);
    // mitmproxy takes these for a part of the pattern, and the filter then says something else than it seems to.
    for (const std::size_t place : {std::size_t{0}, value.size() - 1}) {
      if (value[place] == '&' || value[place] == '|') {
        return wrong(start + place,
                     fmt::format("'{}' touches a pattern: put a blank between them, or quotes around the pattern",
                                 value[place]));
      }
    }
    SLUICE_CHECK(ends_here());
    return std::string(value);
  }

  Status ends_here() const {
    if (at_ == text_.size() || text_[at_] == ')' || kBlanks.find(text_[at_]) != std::string_view::npos) return {};
    return wrong(at_, fmt::format("a blank is missing before '{}'; a pattern that holds it stands in quotes",
                                  static_cast<unsigned char>(text_[at_]) < 0x80 ? text_[at_] : '?'));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;  // terms
};

std::size_t number(FilterNode& node, std::size_t next) {
  node.number = next++;
  for (FilterNode& child : node.children) next = number(child, next);
  return next;
}

// Bare words that no reader could take for anything else.
bool needs_quotes(std::string_view argument) {
  if (argument.empty() || std::string_view("!&|").find(argument.front()) != std::string_view::npos ||
      argument.back() == '&' || argument.back() == '|') {
    return true;
  }
  return std::any_of(argument.begin(), argument.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || kWordEnds.find(c) != std::string_view::npos;
  });
}

void print_argument(std::string_view argument, std::string& out) {
  out += ' ';
  if (!needs_quotes(argument)) {
    out += argument;
    return;
  }
  out += '"';
  for (const char c : argument) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void print(const FilterNode& node, std::string& out) {
  if (node.kind == Kind::kTerm) {
    out += '~';
    out += node.term->code;
    if (node.term->argument != TermArgument::kNone) print_argument(node.argument, out);
    return;
  }
  const std::string_view sign = node.kind == Kind::kNot ? "!" : node.kind == Kind::kAnd ? " & " : " | ";
  bool first = true;
  for (const FilterNode& child : node.children) {
    if (node.kind == Kind::kNot || !first) out += sign;
    first = false;
    const bool inside = child.kind == Kind::kOr || (child.kind == Kind::kAnd && node.kind == Kind::kNot);
    if (inside) out += '(';
    print(child, out);
    if (inside) out += ')';
  }
}

}  // namespace

std::string print_filter(const FilterNode& node) {
  std::string out;
  print(node, out);
  return out;
}

Result<FilterExpression> FilterExpression::parse(std::string_view text) {
  if (text.size() > kMaxFilterText) {
    return fail(Code::kTooLarge, fmt::format("A filter has at most {} octets.", kMaxFilterText));
  }
  Parser parser(text);
  SLUICE_TRY(FilterNode root, parser.parse());
  const std::size_t nodes = number(root, 0);
  return FilterExpression(std::make_shared<const FilterNode>(std::move(root)), nodes);
}

std::string FilterExpression::text() const { return print_filter(*root_); }

}  // namespace sluice::analysis
