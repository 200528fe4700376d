#include "regex/replace.h"

#include <re2/re2.h>

namespace sluice::regex {

Result<Replacer> Replacer::compile(std::string_view source) {
  if (source.size() > kMaxSource) return fail(Code::kTooLarge, "the pattern is longer than 10,000 octets");
  SLUICE_TRY(auto compiled, compile_re2(source));
  if (re2::RE2::PartialMatch("", *compiled)) {
    return fail(Code::kInvalid, "the pattern matches the empty text, which is everywhere");
  }
  Replacer made;
  made.re2_ = std::move(compiled);
  return made;
}

std::size_t Replacer::replace(std::string& text, std::string_view with) const {
  if (!re2::RE2::PartialMatch(text, *re2_)) return 0;
  std::string rewrite;
  for (const char c : with) rewrite.append(c == '\\' ? 2 : 1, c);
  return static_cast<std::size_t>(re2::RE2::GlobalReplace(&text, *re2_, rewrite));
}

}  // namespace sluice::regex
