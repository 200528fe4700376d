#include "analysis/html_texts.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace sluice::analysis {
namespace {

// What stands for text number n: U+F0000 and the low 15 bits of n; before it, if n has more, U+F8000 and those. Of
// UTF-8 that begins with the octets F3 or F4 nothing else may be in the page.
constexpr char32_t kLow = 0xF0000, kHigh = 0xF8000;
constexpr unsigned kDigit = 15;
constexpr std::size_t kShortest = 5;  // shorter texts stay: one sign has four octets
constexpr std::size_t kSign = 4;

void append_sign(std::string& out, char32_t sign) {
  out += static_cast<char>(0xF0 | sign >> 18);
  out += static_cast<char>(0x80 | (sign >> 12 & 0x3F));
  out += static_cast<char>(0x80 | (sign >> 6 & 0x3F));
  out += static_cast<char>(0x80 | (sign & 0x3F));
}

char32_t sign_at(std::string_view text, std::size_t at) {
  const auto octet = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  return (octet(0) & 0x07U) << 18 | (octet(1) & 0x3FU) << 12 | (octet(2) & 0x3FU) << 6 | (octet(3) & 0x3FU);
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }

// Of the texts that may stand aside: neither markup nor a reference, nor what gumbo reads as U+FFFD: control characters
// (some begin with C2) and noncharacters (some with EF).
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = ' '; c < 0x7F; ++c) plain[static_cast<std::size_t>(c)] = true;
  for (int c = 0x80; c < 0xF3; ++c) plain[static_cast<std::size_t>(c)] = c != 0xEF;
  for (const unsigned char c : {'\t', '\n', '\f'}) plain[c] = true;
  for (const unsigned char c : {'&', '<'}) plain[c] = false;
  return plain;
}();

bool is_plain(std::string_view text) {
  const auto octet = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned c = octet(i);
    if (!kPlain[c]) return false;
    if (c == 0xC2 && octet(i + 1) < 0xA0) return false;
    // U+1FFFE and its like in each plane
    if (c >= 0xF0 && (octet(i + 1) & 0x0F) == 0x0F && octet(i + 2) == 0xBF && octet(i + 3) >= 0xBE) return false;
  }
  return true;
}

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 8> kRaw{"script", "style",   "title",    "textarea",
                                               "xmp",    "noembed", "noframes", "iframe"};
// What follows them is read by other rules: in a template of columns, say, only white space counts.
constexpr std::array<std::string_view, 4> kEnding{"plaintext", "frameset", "math", "template"};
// In <svg>: what neither leaves it nor takes up HTML again.
constexpr std::array<std::string_view, 16> kDrawn{
    "g",   "path", "circle",   "rect", "line",   "polyline", "polygon", "ellipse", "lineargradient", "radialgradient",
    "use", "defs", "clippath", "stop", "symbol", "mask"};

// Goes through a page's markup as its tokenizer does, and ends where that one cannot be followed without a tree.
class Scan {
 public:
  Scan(std::string_view page, std::string& out, std::vector<std::string_view>& aside)
      : page_(page), out_(out), aside_(aside) {}

  void run() {
    while (at_ < page_.size()) {
      const std::size_t begin = at_;
      at_ = std::min(page_.find('<', at_), page_.size());
      text(page_.substr(begin, at_ - begin));
      const std::size_t markup = at_;
      const bool known = at_ < page_.size() && pass_markup();
      if (!known) at_ = page_.size();
      out_ += page_.substr(markup, at_ - markup);
    }
  }

 private:
  // White space in front can belong elsewhere than what follows it, and a line feed in <pre> to nowhere.
  void text(std::string_view text) {
    std::size_t blank = 0;
    while (blank < text.size() && is_blank(text[blank])) ++blank;
    out_ += text.substr(0, blank);
    text.remove_prefix(blank);
    if (text.size() < kShortest || in_drawing_ || aside_.size() >= std::size_t{1} << 2 * kDigit || !is_plain(text)) {
      out_ += text;
      return;
    }
    const auto number = static_cast<char32_t>(aside_.size());
    if (number >> kDigit) append_sign(out_, kHigh + (number >> kDigit));
    append_sign(out_, kLow + (number & ((1U << kDigit) - 1)));
    aside_.push_back(text);
  }

  bool ends() const { return at_ >= page_.size(); }
  bool begins(std::string_view with) const { return page_.substr(at_).starts_with(with); }

  // At a '<'. False: the rest of the page stays.
  bool pass_markup() {
    if (begins("<!--")) return pass_comment();
    if (iequals(page_.substr(at_, 9), "<!doctype")) return pass_behind(page_.find('>', at_));
    ++at_;
    const bool closing = begins("/");
    if (closing) ++at_;
    const std::size_t begin = at_;
    if (ends() || !is_letter(page_[at_])) return false;
    while (!ends() && !is_blank(page_[at_]) && page_[at_] != '/' && page_[at_] != '>') ++at_;
    const std::string_view written = page_.substr(begin, at_ - begin);
    const auto closed = pass_attributes();
    if (!closed || written.size() > kLongestName) return is_other(closed.has_value());
    const std::string name = to_lower(written);
    return closing ? end_tag(name) : start_tag(name, *closed);
  }

  // A tag with a name that is none of those that count.
  bool is_other(bool complete) const { return complete && !in_drawing_; }

  bool start_tag(const std::string& name, bool closed) {
    if (is_one_of(kEnding, name)) return false;
    if (in_drawing_) return is_one_of(kDrawn, name);
    if (name == "svg") in_drawing_ = !closed;
    if (name == "select") in_select_ = true;
    return !is_one_of(kRaw, name) || (!in_select_ && pass_raw(name));  // most of them are none in a <select>
  }

  bool end_tag(const std::string& name) {
    if (in_drawing_ && name != "svg") return is_one_of(kDrawn, name);
    if (name == "svg") in_drawing_ = false;
    if (name == "select") in_select_ = false;
    return true;
  }

  // Behind a tag's name. Nothing: the page ends, or is odd; true: the tag closes itself.
  std::optional<bool> pass_attributes() {
    for (;;) {
      bool slash = false;
      for (; !ends() && (is_blank(page_[at_]) || page_[at_] == '/'); ++at_) slash = page_[at_] == '/';
      if (ends()) return std::nullopt;
      if (page_[at_] == '>') {
        ++at_;
        return slash;
      }
      const std::size_t name = at_;
      while (!ends() && !is_blank(page_[at_]) && !std::strchr("/>=", page_[at_])) {
        if (std::strchr("\"'<", page_[at_])) return std::nullopt;
        ++at_;
      }
      if (at_ == name) return std::nullopt;  // '=' alone, or a zero
      while (!ends() && is_blank(page_[at_])) ++at_;
      if (ends()) return std::nullopt;
      if (page_[at_] != '=') continue;
      ++at_;
      while (!ends() && is_blank(page_[at_])) ++at_;
      if (ends() || !pass_value()) return std::nullopt;
    }
  }

  bool pass_value() {
    const char quote = page_[at_];
    if (quote == '"' || quote == '\'') return pass_behind(page_.find(quote, at_ + 1));
    const std::size_t begin = at_;
    for (; !ends() && !is_blank(page_[at_]) && page_[at_] != '>'; ++at_) {
      if (std::strchr("\"'<`=", page_[at_])) return false;  // and zeros
    }
    return at_ > begin;
  }

  // Comments that end in odd ways are left to gumbo.
  bool pass_comment() {
    at_ += 4;
    if (begins(">") || begins("->")) return false;
    const std::size_t dashes = page_.find("--", at_);
    return dashes != std::string_view::npos && page_.substr(dashes).starts_with("-->") && pass_behind(dashes + 2);
  }

  // To the tag that ends the raw text of `name`, and behind it.
  bool pass_raw(const std::string& name) {
    const std::size_t begin = at_;
    for (;;) {
      at_ = page_.find("</", at_);
      if (at_ == std::string_view::npos) return false;
      const std::string_view content = page_.substr(begin, at_ - begin);
      at_ += 2;
      if (!iequals(page_.substr(at_, name.size()), name)) continue;
      const std::size_t behind = at_ + name.size();
      if (behind < page_.size() && !is_blank(page_[behind]) && page_[behind] != '/' && page_[behind] != '>') continue;
      at_ = behind;
      // In a comment of a script, the tag may not end it.
      if (name == "script" && content.find("<!--") != std::string_view::npos) return false;
      return pass_attributes().has_value();
    }
  }

  bool pass_behind(std::size_t last) {
    at_ = last == std::string_view::npos ? page_.size() : last + 1;
    return last != std::string_view::npos;
  }

  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  static constexpr std::size_t kLongestName = 16;

  const std::string_view page_;
  std::string& out_;
  std::vector<std::string_view>& aside_;
  std::size_t at_ = 0;
  bool in_drawing_ = false, in_select_ = false;
};

// Whether signs cannot be told from what is in the page, as it is or as a reference.
bool has_signs(std::string_view page) {
  if (page.find('\xF3') != std::string_view::npos || page.find('\xF4') != std::string_view::npos) return true;
  for (std::size_t at = 0; (at = page.find("&#", at)) != std::string_view::npos;) {
    at += 2;
    const bool hex = at < page.size() && (page[at] == 'x' || page[at] == 'X');
    if (hex) ++at;
    char32_t value = 0;
    for (; at < page.size() && value < kLow; ++at) {
      const int digit = hex_value(page[at]);
      if (digit < 0 || (!hex && digit > 9)) break;
      value = value * (hex ? 16 : 10) + static_cast<char32_t>(digit);
    }
    if (value >= kLow) return true;
  }
  return false;
}

}  // namespace

TextsAside::TextsAside(std::string_view page, bool aside) : page_(page) {
  if (!aside || has_signs(page)) return;
  shortened_.reserve(page.size());
  Scan(page, shortened_, aside_).run();
}

std::string_view TextsAside::restored(std::string_view text, std::pmr::memory_resource& pool) const {
  const auto find_sign = [&](std::size_t from) { return aside_.empty() ? text.npos : text.find('\xF3', from); };
  std::size_t sign = find_sign(0);
  if (sign == std::string_view::npos) return text;
  std::pmr::string* made = nullptr;
  std::size_t behind = 0;  // what is done with
  while (sign != std::string_view::npos) {
    std::size_t end = sign + kSign, number = sign_at(text, sign) - kLow;
    if (number >= kHigh - kLow) {
      number = (number - (kHigh - kLow)) << kDigit | (sign_at(text, end) - kLow);
      end += kSign;
    }
    if (number >= aside_.size()) return text;  // gumbo makes no signs and leaves none out
    const std::string_view one = aside_[number];
    const auto before = static_cast<std::size_t>(one.data() - page_.data());
    if (!made) {
      // Most texts are one, and white space that is in front of it in the page, too.
      if (end == text.size() && before >= sign && page_.substr(before - sign, sign) == text.substr(0, sign)) {
        return page_.substr(before - sign, sign + one.size());
      }
      void* const place = pool.allocate(sizeof(std::pmr::string), alignof(std::pmr::string));
      made = ::new (place) std::pmr::string(&pool);  // goes with the pool
    }
    made->append(text.substr(behind, sign - behind)).append(one);
    behind = end;
    sign = find_sign(behind);
  }
  return made->append(text.substr(behind));
}

}  // namespace sluice::analysis
