// A pattern to find in texts: RE2 syntax, any case, '.' takes line ends too. Plain words are looked for without RE2,
// and say so: whatever holds them shown holds them raw. Immutable; thread-safe; copies share the program.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "capture/needle.h"
#include "regex/regex.h"

namespace sluice::analysis {

inline constexpr std::size_t kMaxPattern = 2'000;  // octets: more than anybody types

class TextPattern {
 public:
  // kInvalid, kTooLarge: one sentence that holds RE2's reason, not the pattern.
  static Result<TextPattern> compile(std::string_view source);

  // Text is UTF-8; octets that are none match nothing but \C.
  bool is_in(Bytes text) const;
  const std::string& source() const { return source_; }
  bool is_literal() const { return needle_.has_value(); }

 private:
  std::string source_;
  std::optional<capture::Needle> needle_;
  std::optional<regex::Regex> regex_;
};

}  // namespace sluice::analysis
