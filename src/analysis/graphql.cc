#include "analysis/graphql.h"

#include "base/text.h"

namespace sluice::analysis {
namespace {

bool is_name_start(char c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  // A name, or one character of punctuation; strings, comments, numbers and commas are passed over. Empty: the end.
  // nullopt: no GraphQL.
  std::optional<std::string_view> next() {
    for (;;) {
      const std::size_t start = rest_.find_first_not_of(" \t\r\n,\xef\xbb\xbf");
      if (start == std::string_view::npos) return std::string_view();
      rest_.remove_prefix(start);
      const char c = rest_.front();
      if (c == '#') {
        rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
      } else if (c == '"') {
        if (!skip_string()) return std::nullopt;
      } else if (is_name_start(c)) {
        return take([](char d) { return is_name(d); });
      } else if ((c >= '0' && c <= '9') || c == '-') {
        rest_.remove_prefix(1);
        take([](char d) { return is_name(d) || d == '.' || d == '+' || d == '-'; });
      } else if (std::string_view("!$&()...:=@[]{|}").find(c) != std::string_view::npos) {
        const std::string_view token = rest_.substr(0, 1);
        rest_.remove_prefix(1);
        return token;
      } else {
        return std::nullopt;
      }
    }
  }

 private:
  template <class Belongs>
  std::string_view take(Belongs belongs) {
    std::size_t size = 0;
    while (size < rest_.size() && belongs(rest_[size])) ++size;
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
  }

  bool skip_string() {
    const bool block = rest_.starts_with("\"\"\"");
    const std::string_view quote = block ? "\"\"\"" : "\"";
    rest_.remove_prefix(quote.size());
    while (!rest_.empty()) {
      if (rest_.starts_with(block ? "\\\"\"\"" : "\\")) {
        rest_.remove_prefix(std::min(rest_.size(), std::size_t{block ? 4u : 2u}));
      } else if (rest_.starts_with(quote)) {
        rest_.remove_prefix(quote.size());
        return true;
      } else if (!block && (rest_.front() == '\n' || rest_.front() == '\r')) {
        return false;
      } else {
        rest_.remove_prefix(1);
      }
    }
    return false;
  }

  std::string_view rest_;
};

bool is_type(std::string_view name) { return name == "query" || name == "mutation" || name == "subscription"; }

}  // namespace

std::optional<std::vector<GraphqlOperation>> graphql_operations(std::string_view document) {
  Lexer lexer(document);
  std::vector<GraphqlOperation> operations;
  std::size_t depth = 0;
  bool in_head = false;  // of a definition, before its '{'
  bool wants_name = false;
  for (;;) {
    const auto token = lexer.next();
    if (!token) return std::nullopt;
    if (token->empty()) break;
    const char c = token->front();
    if (c == '{' || c == '(' || c == '[') {
      if (depth == 0 && c == '{' && !in_head) operations.push_back({"query", ""});
      if (depth == 0 && c != '{' && !in_head) return std::nullopt;
      if (c == '{') in_head = in_head && depth > 0;
      ++depth;
    } else if (c == '}' || c == ')' || c == ']') {
      if (depth-- == 0) return std::nullopt;
    } else if (depth == 0 && !in_head) {
      if (!is_type(*token) && *token != "fragment") return std::nullopt;
      in_head = true;
      wants_name = is_type(*token);
      if (wants_name) operations.push_back({std::string(*token), ""});
      continue;
    } else if (depth == 0 && wants_name && is_name_start(c)) {
      operations.back().name = *token;
    }
    wants_name = false;
    if (operations.size() > kMostOperations) return std::nullopt;
  }
  if (depth != 0 || in_head || operations.empty()) return std::nullopt;
  return operations;
}

}  // namespace sluice::analysis
