// Tokens, credentials and URLs in running text, and JSON members wherever they stand.
#include <algorithm>
#include <array>
#include <utility>

#include "base/masker.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::size_t kLongestName = 64;   // of a JSON member that is looked at
constexpr std::size_t kShortestToken = 8;  // behind "Bearer": shorter words are prose
constexpr std::size_t kOpaqueToken = 20;   // no word of prose is so long

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
bool is_base64(char c) { return is_base64url(c) || c == '+' || c == '/'; }  // of either alphabet, without padding
// RFC 9110 §11.2, token68 without its padding.
bool is_token68(char c) { return is_base64(c) || c == '.' || c == '~'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

template <class Belongs>
std::size_t run_end(std::string_view text, std::size_t at, Belongs belongs) {
  while (at < text.size() && belongs(text[at])) ++at;
  return at;
}

// A token begins behind anything but a letter of its own alphabet; "%20" and "\n" end in one and are none.
bool may_begin_token(std::string_view text, std::size_t at) {
  if (at == 0 || !is_base64url(text[at - 1])) return true;
  return (at >= 3 && text[at - 3] == '%') || (at >= 2 && text[at - 2] == '\\');
}

// What ends a URL in running text. "\u0026" and "\/" are its own, written in JSON.
std::size_t url_end(std::string_view text, std::size_t at) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return at;
    if (c == '"' || c == '\'' || c == '<' || c == '>' || c == '`') return at;
    if (c == '\\' && !text.substr(at).starts_with("\\u0026") && !text.substr(at).starts_with("\\/")) return at;
  }
  return at;
}

// JSON inside a JSON string is written with one more level of backslashes: quotes of nesting level k stand behind
// 2^k - 1 of them. Where the string that began behind `level` backslashes ends, or the text's end.
std::size_t string_end(std::string_view text, std::size_t at, std::size_t level) {
  std::size_t backslashes = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++backslashes;
      continue;
    }
    if (text[at] == '"' && (backslashes < level || backslashes % (2 * (level + 1)) == level)) {
      return at - std::min(backslashes, level);
    }
    backslashes = 0;
  }
  return at;
}

// Escapes of one character undone, so that equal values have equal masks; others stay.
std::string plain_string(std::string_view escaped) {
  std::string plain;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    const bool escape = escaped[i] == '\\' && i + 1 < escaped.size() && escaped[i + 1] != 'u';
    plain.push_back(escaped[escape ? ++i : i]);
  }
  return plain;
}

// Where something may begin that Masker::text() has to look at; most characters are none of these.
constexpr auto kMarks = [] {
  std::array<bool, 256> marks{};
  for (const char c : std::string_view("ebB:\"{}")) marks[static_cast<unsigned char>(c)] = true;
  return marks;
}();

std::size_t next_mark(std::string_view text, std::size_t at) {
  while (at < text.size() && !kMarks[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

}  // namespace

// Between the tokens of JSON. Data that is written over several lines of an event has "data:" before each.
std::size_t Masker::skip_space(std::string_view text, std::size_t at) const {
  constexpr std::string_view kData = "data:";
  for (;;) {
    const std::size_t end = run_end(text, at, is_blank);
    const bool begins_line = events_ && end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r');
    if (!begins_line || !text.substr(end).starts_with(kData)) return end;
    at = end + kData.size();
  }
}

void Masker::events(std::string_view text) {
  events_ = true;
  this->text(text, Members::kMask);
}

void Masker::text(std::string_view text, Members members) {
  flush();
  out_.reserve(out_.size() + text.size());
  std::size_t from = 0;  // not yet put
  std::size_t at = 0;
  for (; (at = next_mark(text, at)) < text.size(); ++at) {
    std::size_t (Masker::*look)(std::string_view, std::size_t) = nullptr;
    const char next = at + 1 < text.size() ? ascii_lower(text[at + 1]) : '\0';
    switch (text[at]) {
      case 'e':
        if (next == 'y') look = &Masker::jwt;
        break;
      case 'b':
      case 'B':
        if (next == 'e' || next == 'a') look = &Masker::scheme_credentials;
        break;
      case ':':
        if (next == '/' || next == '\\') look = &Masker::absolute_url;
        break;
      case '"':
        if (members == Members::kMask) look = &Masker::json_member;
        break;
      default:
        named_ = nullptr;
        break;
    }
    if (look == nullptr) continue;
    pending_ = text.substr(from, at - from);  // left out again where nothing is recognised
    const std::size_t end = (this->*look)(text, at);
    if (end != at) {
      flush();
      from = end;
      at = end - 1;
    }
    pending_ = {};
  }
  put(text.substr(from));
}

void Masker::tokens(std::string_view text) {
  std::size_t from = 0;
  std::size_t at = text.find("eyJ");
  while (at != std::string_view::npos) {
    put(text.substr(from, at - from));
    from = jwt(text, at);
    at = text.find("eyJ", from == at ? at + 3 : from);
  }
  put(text.substr(from));
}

// RFC 7515 §3.1, RFC 7516 §3.1: "eyJ" is `{"` in base64url. Three parts, or five of an encrypted one; where the text
// ends inside one, the part that is there.
std::size_t Masker::jwt(std::string_view text, std::size_t at) {
  if (!text.substr(at).starts_with("eyJ") || !may_begin_token(text, at)) return at;
  std::size_t end = run_end(text, at, is_base64url);
  std::size_t parts = 1;
  while (parts < 5 && end < text.size() && text[end] == '.') {
    end = run_end(text, end + 1, is_base64url);
    ++parts;
  }
  if (parts < 3 && (parts < 2 || end < text.size())) return at;
  secret("jwt", text.substr(at, end - at));
  return end;
}

std::size_t Masker::scheme_credentials(std::string_view text, std::size_t at) {
  const bool bearer = iequals(text.substr(at, 7), "bearer ");
  if (!bearer && !iequals(text.substr(at, 6), "basic ")) return at;
  if (!may_begin_token(text, at)) return at;
  const std::size_t start = run_end(text, at + (bearer ? 6 : 5), [](char c) { return c == ' '; });
  // What stands behind must not decide: it may be masked itself.
  std::size_t end = run_end(text, start, bearer ? is_token68 : is_base64);
  const std::string_view token = text.substr(start, end - start);
  if (bearer) {
    const bool has_digit = std::any_of(token.begin(), token.end(), is_digit);
    if (token.size() < kOpaqueToken && (token.size() < kShortestToken || !has_digit)) return at;
  } else {
    auto plain = base64_decode(token);
    if (!plain) plain = base64_decode(token.substr(0, token.size() / 4 * 4));  // the text may be cut
    if (!plain || plain->find(':') == std::string::npos) return at;            // RFC 7617 §2: user-id ":" password
  }
  end = run_end(text, end, [](char c) { return c == '='; });
  put(text.substr(at, start - at));
  secret("authorization", text.substr(start, end - start));
  return end;
}

std::size_t Masker::absolute_url(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at + 1);
  if (!rest.starts_with("//") && !rest.starts_with("\\/\\/")) return at;
  const std::size_t end = url_end(text, at);
  url(text.substr(at, end - at));  // the scheme was put already: ":" stands first
  return end;
}

// `"name": value` beginning at a quote, on whatever level of escaping. A quote that begins no member is only a quote:
// so a text that was cut, or is no JSON, cannot lead the search astray.
std::size_t Masker::json_member(std::string_view text, std::size_t at) {
  std::size_t level = 0;
  while (level < at && level < 7 && text[at - 1 - level] == '\\') ++level;
  if ((level & (level + 1)) != 0) return at;  // not 2^k - 1
  const std::size_t start = at + 1;
  const std::size_t quote = text.substr(start, kLongestName + level + 1).find('"');
  if (quote == std::string_view::npos || quote < level) return at;
  const std::string_view name = text.substr(start, quote - level);
  // What follows a closing quote begins no name: so a quote is never taken for the wrong end.
  if (name.empty() || std::string_view(" \t\r\n,:]}").find(name[0]) != name.npos) return at;
  if (name.find('\\') != name.npos || text.substr(start + name.size(), level) != std::string(level, '\\')) return at;
  std::size_t value = skip_space(text, start + quote + 1);
  if (value >= text.size() || text[value] != ':') return at;
  value = skip_space(text, value + 1);

  const SecretName* found = find_secret_name(name);
  if (found == nullptr && name == "value") found = std::exchange(named_, nullptr);
  if (found == nullptr) {
    if (name == "name" || name == "key") {
      const std::size_t value_start = value + level + 1;
      const std::size_t value_end =
          string_end(text.substr(0, std::min(text.size(), value_start + kLongestName)), value_start, level);
      if (value_start < value_end) named_ = find_secret_name(text.substr(value_start, value_end - value_start));
    }
    return at;
  }
  put(text.substr(at, value - at));
  return json_value(text, value, level, *found);
}

std::size_t Masker::json_value(std::string_view text, std::size_t at, std::size_t level, const SecretName& name) {
  if (at >= text.size()) return at;
  if (text[at] == '[') return json_array(text, at, level, name);
  if (text[at] == '"' || text[at] == '\\') {
    const std::size_t start = at + level + 1;
    if (text.substr(at, level) != std::string(level, '\\') || text.substr(at + level, 1) != "\"") return at;
    const std::size_t end = string_end(text, start, level);
    put(text.substr(at, start - at));
    const std::string_view value = text.substr(start, end - start);
    shaped(name, value, plain_string(value));
    return end;
  }
  // true, false, null and objects say little by themselves; a number may be a PIN and becomes a string.
  const std::size_t end =
      run_end(text, at, [](char c) { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; });
  if (end == at || !(is_digit(text[at]) || text[at] == '-')) return at;
  const bool whole =
      end == text.size() || is_blank(text[end]) || std::string_view(",]}\\").find(text[end]) != text.npos;
  if (!whole) return at;  // no number, and quotes put round a part of it would begin a member
  const std::string quote = std::string(level, '\\') + "\"";
  put(quote);
  secret(name.kind, text.substr(at, end - at));
  put(quote);
  return end;
}

// Strings and numbers of an array under a secret name are secret; objects are judged by their own members.
std::size_t Masker::json_array(std::string_view text, std::size_t at, std::size_t level, const SecretName& name) {
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '[' || c == ']') {
      put(c);
      ++at;
      depth = c == '[' ? depth + 1 : depth - 1;
      if (depth == 0) return at;
    } else if (is_blank(c) || c == ',') {
      const std::size_t next = std::max(at + 1, skip_space(text, at));
      put(text.substr(at, next - at));
      at = next;
    } else {
      const std::size_t end = json_value(text, at, level, name);
      if (end == at) return at;
      at = end;
      // The closing quote is put here, so that the loop does not take it for an opening one.
      const std::size_t close = std::min(text.size(), at + level + 1);
      if (text.substr(at, close - at) == std::string(level, '\\') + "\"") {
        put(text.substr(at, close - at));
        at = close;
      }
    }
  }
  return at;
}

}  // namespace sluice
