// What follows a backslash in a JavaScript pattern (ECMA-262 §22.2.1 and Annex B.1.2), and the cursor that reads it.
// Private to js_pattern. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/text.h"

namespace sluice::rules {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }
inline bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

// Where reading stands. The pattern is UTF-8; peek() is NUL behind the end, which at_end() tells from a NUL in it.
struct JsCursor {
  std::string_view in;
  std::size_t at = 0;
  bool has_names = false;  // the pattern has named groups, perhaps further on

  bool at_end() const { return at >= in.size(); }
  char peek(std::size_t ahead = 0) const { return at + ahead < in.size() ? in[at + ahead] : '\0'; }
  bool take(std::string_view text);
  char32_t next_code_point();
};

// One code point, or a set such as \d: members of a class, spelled for RE2.
struct EscapeAtom {
  char32_t code_point = 0;
  std::string set;
  bool is_set() const { return !set.empty(); }
};

enum class EscapePlace { kOutside, kClass };

// The cursor stands behind the backslash and not at the end. \b, \B, back-references and \k outside classes are the
// caller's. kInvalid: one sentence.
Result<EscapeAtom> read_escape(JsCursor& cursor, EscapePlace place);

// As RE2 reads it literally, in and outside classes.
void append_code_point(std::string& out, char32_t c);

}  // namespace sluice::rules
