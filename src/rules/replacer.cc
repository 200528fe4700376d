#include "rules/replacer.h"

#include <charconv>

#include "base/text.h"
#include "rules/js_pattern.h"
#include "rules/pattern.h"

namespace sluice::rules {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Behind an empty match the next one is looked for one character on.
std::size_t next_character(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  return at;
}

}  // namespace

Result<Replacer> Replacer::compile(std::string_view js, std::string_view replacement) {
  SLUICE_TRY(const Re2Source source, translate_js_pattern(js));
  Replacer made;
  SLUICE_TRY(made.re2_, regex::compile_re2(source.text, {.captures = true}));
  SLUICE_CHECK(made.read(replacement));
  return made;
}

void Replacer::add_text(std::string_view text) {
  if (pieces_.empty() || pieces_.back().kind != Kind::kText) pieces_.emplace_back();
  pieces_.back().text += text;
}

Status Replacer::add_group(int number) {
  if (number > re2_->NumberOfCapturingGroups()) {
    return fail(Code::kInvalid, "the replacement names group " + std::to_string(number) + ", the pattern has " +
                                    std::to_string(re2_->NumberOfCapturingGroups()));
  }
  pieces_.push_back({Kind::kGroup, "", number});
  return {};
}

Status Replacer::read(std::string_view with) {
  for (std::size_t i = 0; i < with.size(); ++i) {
    const char next = i + 1 < with.size() ? with[i + 1] : '\0';
    if (with[i] == '\\' && next >= '1' && next <= '9') {
      SLUICE_CHECK(add_group(next - '0'));
      ++i;
    } else if (with[i] != '$' || next == '\0') {
      add_text(with.substr(i, 1));
    } else if (next == '$') {
      add_text("$");
      ++i;
    } else if (next == '&') {
      SLUICE_CHECK(add_group(0));
      ++i;
    } else if (next == '`' || next == '\'') {
      pieces_.push_back({next == '`' ? Kind::kBefore : Kind::kBehind, "", 0});
      ++i;
    } else if (is_digit(next)) {
      // Two digits where there are so many groups, else one; "$0" is text.
      int number = next - '0';
      std::size_t digits = 1;
      if (i + 2 < with.size() && is_digit(with[i + 2]) &&
          number * 10 + (with[i + 2] - '0') <= re2_->NumberOfCapturingGroups()) {
        number = number * 10 + (with[i + 2] - '0');
        digits = 2;
      }
      if (number == 0) {
        add_text(with.substr(i, 1 + digits));
      } else {
        SLUICE_CHECK(add_group(number));
      }
      i += digits;
    } else if (next == '<' && !re2_->NamedCapturingGroups().empty()) {
      const std::size_t end = with.find('>', i);
      const std::string name(with.substr(i + 2, end == std::string_view::npos ? end : end - i - 2));
      const auto found = re2_->NamedCapturingGroups().find(name);
      if (end == std::string_view::npos || found == re2_->NamedCapturingGroups().end()) {
        return fail(Code::kInvalid, "the replacement names a group that the pattern does not have: $<" +
                                        repair_utf8(name.substr(0, 64)) + ">");
      }
      SLUICE_CHECK(add_group(found->second));
      i = end;
    } else {
      add_text(with.substr(i, 1));
    }
  }
  return {};
}

Result<bool> Replacer::replace(std::string& text, ByteCount most) const {
  const re2::StringPiece whole(text);
  const int groups = re2_->NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(groups));
  std::string out;
  std::size_t from = 0;  // not yet put
  bool any = false;
  const auto put = [&](std::string_view piece) {
    if (out.size() + piece.size() > most) return false;
    out += piece;
    return true;
  };
  const auto view = [](const re2::StringPiece& piece) { return std::string_view(piece.data(), piece.size()); };
  for (std::size_t at = 0; at <= text.size();) {
    if (!re2_->Match(whole, at, text.size(), re2::RE2::UNANCHORED, found.data(), groups)) break;
    any = true;
    const std::size_t begin = static_cast<std::size_t>(found[0].data() - text.data());
    const std::size_t end = begin + found[0].size();
    bool fits = put(std::string_view(text).substr(from, begin - from));
    for (const Piece& piece : pieces_) {
      switch (piece.kind) {
        case Kind::kText:
          fits = fits && put(piece.text);
          break;
        case Kind::kGroup:
          fits = fits && put(view(found[static_cast<std::size_t>(piece.group)]));
          break;
        case Kind::kBefore:
          fits = fits && put(std::string_view(text).substr(0, begin));
          break;
        case Kind::kBehind:
          fits = fits && put(std::string_view(text).substr(end));
          break;
      }
    }
    if (!fits) return fail(Code::kTooLarge, "the edited text is too large");
    from = end;
    at = end > begin ? end : next_character(text, end);
  }
  if (!any) return false;
  if (!put(std::string_view(text).substr(from))) return fail(Code::kTooLarge, "the edited text is too large");
  text = std::move(out);
  return true;
}

}  // namespace sluice::rules
