#include "tools/re2_syntax.h"

namespace sluice::tools {
namespace {

tl::unexpected<Error> unsupported(std::string_view what) {
  return fail(Code::kInvalid, std::string(what) + " is not supported");
}

class Reader {
 public:
  explicit Reader(std::string_view re2) : in_(re2) {}

  Result<std::string> run() {
    const bool any_case = in_.starts_with("(?i)");
    if (any_case) in_.remove_prefix(4);
    while (!in_.empty()) {
      if (in_.starts_with('\\')) {
        SLUICE_CHECK(escape());
      } else if (in_class_) {
        SLUICE_CHECK(member());
      } else if (in_.starts_with('[')) {
        begin_class();
      } else if (in_.starts_with("(?P<")) {
        replace(4, "(?<");
      } else {
        copy(1);
      }
    }
    return any_case ? "(?i:" + out_ + ")" : out_;
  }

 private:
  void copy(std::size_t octets) {
    out_ += in_.substr(0, octets);
    in_.remove_prefix(std::min(octets, in_.size()));
  }
  void replace(std::size_t octets, std::string_view with) {
    out_ += with;
    in_.remove_prefix(octets);
  }
  // A ']' that stands first is a member.
  void begin_class() {
    in_class_ = true;
    copy(1);
    if (in_.starts_with('^')) copy(1);
    if (in_.starts_with(']')) replace(1, "\\]");
  }
  Status member() {
    if (in_.starts_with("[:")) return unsupported("[[:name:]]");
    if (in_.starts_with(']')) in_class_ = false;
    copy(1);
    return {};
  }
  Status escape() {
    const char next = in_.size() > 1 ? in_[1] : '\0';
    if (next == 'Q' || next == 'E' || next == 'C') return unsupported(in_.substr(0, 2));
    if ((next == 'p' || next == 'P') && (in_.size() < 3 || in_[2] != '{')) return unsupported("\\pN without braces");
    if (!in_class_ && next == 'A') {
      replace(2, "^");
    } else if (!in_class_ && next == 'z') {
      replace(2, "$");
    } else {
      copy(2);
    }
    return {};
  }

  std::string_view in_;
  std::string out_;
  bool in_class_ = false;
};

}  // namespace

Result<std::string> js_pattern_of(std::string_view re2) { return Reader(re2).run(); }

std::string js_replacement_of(std::string_view re2) {
  std::string out;
  while (!re2.empty()) {
    const std::size_t end = re2.starts_with("\\g<") ? re2.find('>') : std::string_view::npos;
    if (end != std::string_view::npos) {
      const std::string_view group = re2.substr(3, end - 3);
      const bool number = !group.empty() && group.find_first_not_of("0123456789") == std::string_view::npos;
      out += number ? "$" + std::string(group) : "$<" + std::string(group) + ">";
      re2.remove_prefix(end + 1);
      continue;
    }
    if (re2.front() == '$') out += '$';
    out += re2.front();
    re2.remove_prefix(1);
  }
  return out;
}

std::string re2_replacement_of(std::string_view js) {
  std::string out;
  while (!js.empty()) {
    const char next = js.size() > 1 ? js[1] : '\0';
    const std::size_t end = js.starts_with("$<") ? js.find('>') : std::string_view::npos;
    if (js.starts_with("$$")) {
      out += '$';
      js.remove_prefix(2);
    } else if (end != std::string_view::npos) {
      out += "\\g<" + std::string(js.substr(2, end - 2)) + ">";
      js.remove_prefix(end + 1);
    } else if (js.front() == '$' && next >= '1' && next <= '9') {
      out += '\\';
      js.remove_prefix(1);
    } else {
      out += js.front();
      js.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace sluice::tools
