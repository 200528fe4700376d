// Any pattern: translating and compiling never crashes; what the translator takes, RE2 takes too or refuses with a
// sentence; and a set of patterns says what its pattern says alone.
// Input: a pattern, a NUL, a text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "rules/pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::rules::Pattern;
  using sluice::rules::PatternSet;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view js = input.substr(0, end);
  const std::string text = sluice::repair_utf8(end == std::string_view::npos ? "/" : input.substr(end + 1));
  const auto pattern = Pattern::compile(js);
  if (!pattern) {
    if (pattern.error().message.empty()) std::abort();
    return 0;
  }
  const bool alone = pattern->matches(text);
  // Without ^ and \b, what matches a text also matches any text that ends with it.
  if (alone && !pattern->source().looks_left && !pattern->matches("https://a" + text)) std::abort();
  if (alone && !pattern->may_match_from(text)) std::abort();
  const auto set = PatternSet::compile({&*pattern, &*pattern});
  if (!set) return 0;
  const auto found = set->find(text);
  if (found && found->size() != (alone ? 2U : 0U)) std::abort();
  return 0;
}
