// Texts of a page stand aside while gumbo reads it: gumbo takes each single character of a text through its whole tree
// construction, which was two fifths of the time that a page of 4 MB took. A character for private use stands for the
// text meanwhile. Private to html.cc. Immutable once made; thread-safe.
#pragma once

#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::analysis {

class TextsAside {
 public:
  // `page` is UTF-8 and outlives this. Where it cannot be told without a tree what is text (after <math>, <template>,
  // <frameset>, a script with a comment inside, markup that is cut or odd), the rest of the page stays as it is.
  // Not `aside`: all of it does.
  explicit TextsAside(std::string_view page, bool aside = true);

  // To be read in the page's place: the tree is the same, but for its texts.
  std::string_view shortened() const { return aside_.empty() ? page_ : shortened_; }
  // What a text of that tree was. It lies in `text`, in the page or in `pool`.
  std::string_view restored(std::string_view text, std::pmr::memory_resource& pool) const;

 private:
  std::string_view page_;
  std::string shortened_;
  std::vector<std::string_view> aside_;  // of the page
};

}  // namespace sluice::analysis
