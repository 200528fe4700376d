// A pattern with what stands in place of each of its matches. JavaScript's String.prototype.replaceAll: $1…$99,
// $<name>,
// $& $` $' and $$ (ECMA-262 §22.1.3.19.1); \1…\9 as RE2 writes them mean the same. Private to this folder.
// Immutable; thread-safe.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::rules {

class Replacer {
 public:
  // kInvalid, kTooLarge: as Pattern::compile; also a replacement that names a group which the pattern does not have.
  static Result<Replacer> compile(std::string_view js, std::string_view replacement);

  // Replaces every match; true if there was one. kTooLarge: the text would grow beyond `most`.
  Result<bool> replace(std::string& text, ByteCount most) const;

 private:
  enum class Kind { kText, kGroup, kBefore, kBehind };
  struct Piece {
    Kind kind = Kind::kText;
    std::string text;
    int group = 0;  // 0: the match
  };
  Status read(std::string_view replacement);
  Status add_group(int number);
  void add_text(std::string_view text);

  std::unique_ptr<const re2::RE2> re2_;
  std::vector<Piece> pieces_;
};

}  // namespace sluice::rules
