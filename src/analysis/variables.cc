#include "analysis/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "analysis/percent_encode.h"
#include "base/json.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

bool is_json_scalar(std::string_view value) {
  if (value.size() > 64) return false;
  const auto json = parse_json(value);
  return json && (json->is_number() || json->is_boolean() || json->is_null()) && trim(value) == value;
}

// "." and "..", however they are written (RFC 3986 §6.2.2.3), in the path of a URL or of a path with query.
std::size_t dot_segments(std::string_view url) {
  const std::string_view path = url.substr(0, std::min(url.find_first_of("?#"), url.size()));
  std::size_t count = 0;
  for (const std::string_view segment : split(path, '/')) {
    const std::string plain = percent_decode(segment);
    if (plain == "." || plain == "..") ++count;
  }
  return count;
}

// Where in a JSON text one is: inside a string or not.
class JsonState {
 public:
  void feed(std::string_view text) {
    for (const char c : text) {
      if (escaped_) {
        escaped_ = false;
      } else if (inside_ && c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        inside_ = !inside_;
      }
    }
  }
  bool inside() const { return inside_; }

 private:
  bool inside_ = false, escaped_ = false;
};

struct Token {
  std::string_view name, whole;  // whole: from the "$" on
};

// At the "$" that `text` begins with.
std::optional<Token> token_at(std::string_view text, Given given) {
  const bool braced = text.size() > 1 && text[1] == '{';
  if (!braced && given == Given::kCaptured) return std::nullopt;
  const std::size_t begin = braced ? 2 : 1;
  std::size_t end = begin;
  if (end >= text.size() || !is_name_start(text[end])) return std::nullopt;
  while (end < text.size() && is_name(text[end])) ++end;
  const std::string_view name = text.substr(begin, end - begin);
  if (!braced) return Token{name, text.substr(0, end)};
  if (end >= text.size() || text[end] != '}') return std::nullopt;
  return Token{name, text.substr(0, end + 1)};
}

void add_once(std::vector<std::string>& names, std::string_view name) {
  if (names.size() < kMaxUnresolved && std::find(names.begin(), names.end(), name) == names.end())
    names.emplace_back(name);
}

class Substitution {
 public:
  Substitution(const Variables& variables, const SubstituteOptions& options)
      : variables_(variables), options_(options) {}

  Result<Substituted> run(std::string_view text) {
    const std::size_t dots = options_.place == VariablePlace::kUrl ? dot_segments(text) : 0;
    std::size_t at = 0;
    for (const Stretch& stretch : options_.stretches) {
      SLUICE_CHECK(literals_and_tokens(text.substr(at, stretch.at - at)));
      SLUICE_CHECK(variable(stretch.name, text.substr(stretch.at, stretch.size)));
      at = stretch.at + stretch.size;
    }
    SLUICE_CHECK(literals_and_tokens(text.substr(at)));
    if (options_.place == VariablePlace::kUrl && dot_segments(out_.text) != dots)
      return fail(Code::kInvalid, "A variable would make a \".\" or \"..\" segment in the URL: give it another value.");
    return std::move(out_);
  }

 private:
  Status literals_and_tokens(std::string_view rest) {
    while (!rest.empty()) {
      const std::size_t dollar = options_.tokens ? std::min(rest.find('$'), rest.size()) : rest.size();
      take(rest.substr(0, dollar));
      rest.remove_prefix(dollar);
      if (rest.empty()) break;
      SLUICE_TRY(const std::size_t taken, at_dollar(rest));
      rest.remove_prefix(taken);
    }
    return check_size();
  }

  Status check_size() const {
    if (out_.text.size() <= options_.most) return {};
    return fail(Code::kTooLarge, "With its variables the text is too long: use shorter values.");
  }

  // The variable's value; where there is none, what stands there.
  Status variable(std::string_view name, std::string_view whole) {
    const auto variable = variables_.find(name);
    if (variable == variables_.end()) {
      add_once(out_.unresolved, name);
      take(whole);
      return {};
    }
    add_once(out_.used, name);
    SLUICE_TRY(const std::string encoded, encode(variable->first, variable->second));
    out_.text += encoded;
    return check_size();
  }

  void take(std::string_view literal) {
    if (options_.place == VariablePlace::kJson) json_.feed(literal);
    out_.text += literal;
  }

  // How much of `text`, which begins with "$", is done.
  Result<std::size_t> at_dollar(std::string_view text) {
    if (text.starts_with("$$")) {
      const auto token = token_at(text.substr(1), options_.given);
      if (!token || !variables_.contains(token->name)) {
        take("$$");
        return 2;
      }
      take(token->whole);
      return token->whole.size() + 1;
    }
    const auto token = token_at(text, options_.given);
    if (!token) {
      take("$");
      return 1;
    }
    SLUICE_CHECK(variable(token->name, token->whole));
    return token->whole.size();
  }

  Result<std::string> encode(const std::string& name, const std::string& value) const {
    switch (options_.place) {
      case VariablePlace::kText:
        return value;
      case VariablePlace::kJson: {
        if (!json_.inside() && is_json_scalar(value)) return value;
        std::string quoted = dump_json(Json(value));
        return json_.inside() ? quoted.substr(1, quoted.size() - 2) : quoted;
      }
      case VariablePlace::kUrl:
      case VariablePlace::kForm:
        return percent_encode(value);
      case VariablePlace::kHeader:
        break;
    }
    const auto is_control = [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f; };
    if (std::any_of(value.begin(), value.end(), is_control)) {
      return fail(Code::kInvalid,
                  fmt::format("The variable {} holds a line break or another control character and cannot stand in a "
                              "header: set it without.",
                              name));
    }
    return value;
  }

  const Variables& variables_;
  const SubstituteOptions& options_;
  Substituted out_;
  JsonState json_;
};

}  // namespace

bool is_variable_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxVariableName && is_name_start(name.front()) &&
         std::all_of(name.begin(), name.end(), is_name);
}

Result<Substituted> substitute(std::string_view text, const Variables& variables, const SubstituteOptions& options) {
  return Substitution(variables, options).run(text);
}

}  // namespace sluice::analysis
