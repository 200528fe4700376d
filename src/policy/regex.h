// One RE2 pattern with bounded memory: linear in the text, whatever the pattern. Unanchored unless it says so; `$` is
// the end of the text. Immutable; thread-safe. RE2 syntax (A16, A17).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace sluice::policy {

class Regex {
 public:
  // kInvalid, kTooLarge: RE2's reason.
  static Result<Regex> compile(const std::string& pattern);
  bool matches(std::string_view text) const;

 private:
  std::shared_ptr<const re2::RE2> re2_;
};

}  // namespace sluice::policy
