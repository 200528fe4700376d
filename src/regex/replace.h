// Every match of a pattern out of a text. RE2 syntax, linear, bounded memory (regex.h). Immutable; copies share the
// program; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "regex/regex.h"

namespace sluice::regex {

class Replacer {
 public:
  // As Regex::compile; a pattern that matches the empty text is refused (kInvalid).
  static Result<Replacer> compile(std::string_view source);
  // How many matches became `with`, which stands for itself.
  std::size_t replace(std::string& text, std::string_view with) const;

 private:
  std::shared_ptr<const re2::RE2> re2_;
};

}  // namespace sluice::regex
