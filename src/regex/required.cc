#include "regex/required.h"

namespace sluice::regex {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_plain(char c) { return c >= ' ' && c <= '~'; }

// Reads a pattern from left to right, on its outermost level alone. What it does not know makes it give up.
class Reader {
 public:
  explicit Reader(std::string_view source) : in_(source) {}

  std::string run() {
    while (!in_.empty()) {
      if (!read_one()) return "";
    }
    end_piece();
    return best_;
  }

 private:
  bool read_one() {
    const char c = in_.front();
    switch (c) {
      case '|':
        return false;  // either side alone is enough
      case '\\':
        return read_escape();
      case '[':
        end_piece();
        return pass_class();
      case '(':
        // A repeat behind flags means what stands before them.
        in_.starts_with("(?") && !in_.starts_with("(?:") ? take_back() : end_piece();
        return pass_group();
      case '*':
      case '?':
        take_back();
        break;
      case '+':
        end_piece();
        break;
      case '{':
        pass_repeat();
        return true;
      case '.':
      case '^':
      case '$':
        end_piece();
        break;
      default:
        if (is_plain(c)) {
          piece_ += c;
        } else {
          end_piece();  // beyond ASCII case is another matter
        }
    }
    in_.remove_prefix(1);
    return true;
  }

  bool read_escape() {
    if (in_.size() < 2) return false;
    const char c = in_[1];
    if (is_plain(c) && !is_letter(c) && !is_digit(c)) {
      piece_ += c;
    } else if (std::string_view("dDsSwWbBAzaftnrv").find(c) != std::string_view::npos) {
      end_piece();
    } else {
      return false;  // \Q, \p, \x and others go on behind the letter
    }
    in_.remove_prefix(2);
    return true;
  }

  // {2}, {2,} or {2,3} of what stands before it, of which there may be none.
  void pass_repeat() {
    std::size_t at = 1;
    while (at < in_.size() && (is_digit(in_[at]) || in_[at] == ',')) ++at;
    take_back();
    in_.remove_prefix(at < in_.size() && in_[at] == '}' ? at + 1 : 1);
  }

  bool pass_class() {
    std::size_t at = 1;
    if (at < in_.size() && in_[at] == '^') ++at;
    for (bool first = true; at < in_.size(); first = false) {
      if (in_[at] == ']' && !first) {
        in_.remove_prefix(at + 1);
        return true;
      }
      if (in_[at] == '\\') {
        if (at + 1 < in_.size() && in_[at + 1] == 'Q') return false;
        at += 2;
      } else if (in_.substr(at).starts_with("[:")) {
        const std::size_t end = in_.find(":]", at + 2);
        at = end == std::string_view::npos ? at + 1 : end + 2;
      } else {
        ++at;
      }
    }
    return false;
  }

  bool pass_group() {
    in_.remove_prefix(1);
    for (std::size_t depth = 1; !in_.empty();) {
      const char c = in_.front();
      if (c == '[') {
        if (!pass_class()) return false;
        continue;
      }
      if (c == '\\' && (in_.size() < 2 || in_[1] == 'Q')) return false;
      in_.remove_prefix(c == '\\' ? 2 : 1);
      if (c == '(') ++depth;
      if (c == ')' && --depth == 0) return true;
    }
    return false;
  }

  // The last character may be missing.
  void take_back() {
    if (!piece_.empty()) piece_.pop_back();
    end_piece();
  }

  void end_piece() {
    if (piece_.size() > best_.size()) best_ = piece_;
    piece_.clear();
  }

  std::string_view in_;
  std::string piece_, best_;
};

}  // namespace

std::string required_text(std::string_view source) { return Reader(source).run(); }

}  // namespace sluice::regex
