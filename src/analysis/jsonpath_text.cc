#include "analysis/jsonpath_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace sluice::analysis::jsonpath {
namespace {

std::optional<std::uint32_t> hex4(std::string_view in, std::size_t at) {
  if (at + 4 > in.size()) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = in[i];
    const bool digit = c >= '0' && c <= '9', small = c >= 'a' && c <= 'f', large = c >= 'A' && c <= 'F';
    if (!digit && !small && !large) return std::nullopt;
    value = value * 16 + static_cast<std::uint32_t>(digit ? c - '0' : small ? c - 'a' + 10 : c - 'A' + 10);
  }
  return value;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t octet) { out += static_cast<char>(octet); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

bool is_high(std::uint32_t c) { return c >= 0xD800 && c < 0xDC00; }
bool is_low(std::uint32_t c) { return c >= 0xDC00 && c < 0xE000; }

// At the "u"; afterwards behind the digits.
Status unicode_escape(std::string_view in, std::size_t& at, std::string& out) {
  const auto first = hex4(in, at + 1);
  if (!first) return fail(Code::kInvalid, "four hex digits must follow \\u");
  at += 5;
  if (is_low(*first)) return fail(Code::kInvalid, "a low surrogate stands alone");
  if (!is_high(*first)) {
    append_utf8(out, *first);
    return {};
  }
  const auto second = in.substr(at).starts_with("\\u") ? hex4(in, at + 2) : std::nullopt;
  if (!second || !is_low(*second)) return fail(Code::kInvalid, "a high surrogate stands alone");
  at += 6;
  append_utf8(out, 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00));
  return {};
}

constexpr std::string_view kEscaped = "bfnrt/\\", kMeant = "\b\f\n\r\t/\\";

}  // namespace

Result<std::string> read_string(std::string_view in, std::size_t& at) {
  const char quote = in[at++];
  std::string out;
  for (;;) {
    if (at >= in.size()) return fail(Code::kInvalid, "a string is not closed");
    const char c = in[at];
    if (c == quote) {
      ++at;
      return out;
    }
    if (static_cast<unsigned char>(c) < 0x20) return fail(Code::kInvalid, "a control character stands in a string");
    if (c != '\\') {
      out += c;
      ++at;
      continue;
    }
    if (++at >= in.size()) return fail(Code::kInvalid, "a string is not closed");
    const std::size_t known = kEscaped.find(in[at]);
    if (in[at] == 'u') {
      SLUICE_CHECK(unicode_escape(in, at, out));
    } else if (in[at] == quote || known != std::string_view::npos) {
      out += in[at] == quote ? quote : kMeant[known];
      ++at;
    } else {
      return fail(Code::kInvalid, "there is no such escape");
    }
  }
}

void append_normal_name(std::string& path, std::string_view name) {
  path += "['";
  for (const char c : name) {
    const std::size_t known = kMeant.find(c);
    if (c == '\'') {
      path += "\\'";
    } else if (known != std::string_view::npos && c != '/') {
      path += '\\';
      path += kEscaped[known];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      path += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      path += c;
    }
  }
  path += "']";
}

std::string re2_of(std::string_view iregexp) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < iregexp.size(); ++i) {
    const char c = iregexp[i];
    if (c == '\\' && i + 1 < iregexp.size()) {
      out += iregexp.substr(i++, 2);
    } else if (c == '.' && !in_class) {
      out += "[^\\n\\r]";
    } else {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      out += c;
    }
  }
  return out;
}

std::size_t characters_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace sluice::analysis::jsonpath
