#include "analysis/segment.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sluice::analysis {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_upper(c) || is_lower(c); }
bool is_hex(char c) { return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'); }

template <class Belongs>
bool all(std::string_view text, Belongs belongs) {
  return !text.empty() && std::all_of(text.begin(), text.end(), belongs);
}
template <class Belongs>
bool any(std::string_view text, Belongs belongs) {
  return std::any_of(text.begin(), text.end(), belongs);
}

int number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

// 'd' stands for a digit.
bool is_like(std::string_view text, std::string_view pattern) {
  if (text.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] == 'd' ? !is_digit(text[i]) : text[i] != pattern[i]) return false;
  }
  return true;
}

bool is_version(std::string_view text) {
  return text.size() >= 2 && text.size() <= 8 && ascii_lower(text[0]) == 'v' && is_digit(text[1]) &&
         all(text.substr(1), [](char c) { return is_digit(c) || c == '.'; });
}

// ISO 639-1 codes that paths really begin with: two letters alone could be anything.
bool is_language(std::string_view text) {
  static constexpr std::string_view kCodes =
      " ar bg bn ca cs da de el en es et fa fi fr gl he hi hr hu id is it ja ka ko lt lv mk ms nb nl nn no pl pt ro ru "
      "sk sl sq sr sv sw ta th tr uk ur vi zh ";
  if (text.size() != 2 || !is_letter(text[0]) || !is_letter(text[1])) return false;
  const std::array<char, 4> padded = {' ', ascii_lower(text[0]), ascii_lower(text[1]), ' '};
  return kCodes.find(std::string_view(padded.data(), padded.size())) != std::string_view::npos;
}

bool is_locale(std::string_view text) {
  if (is_language(text)) return true;
  return text.size() == 5 && (text[2] == '-' || text[2] == '_') && is_language(text.substr(0, 2)) &&
         is_letter(text[3]) && is_letter(text[4]) && is_upper(text[3]) == is_upper(text[4]);
}

// Crockford's base 32, 128 bits.
bool is_ulid(std::string_view text) {
  const auto belongs = [](char c) {
    const char lower = ascii_lower(c);
    return is_digit(c) || (is_letter(c) && lower != 'i' && lower != 'l' && lower != 'o' && lower != 'u');
  };
  return text.size() == 26 && text[0] >= '0' && text[0] <= '7' && all(text, belongs) && any(text, is_letter);
}

bool is_hash(std::string_view text) {
  return text.size() >= 16 && text.size() <= 128 && all(text, is_hex) && any(text, is_digit) && any(text, is_letter);
}

// Words have one case between separators and their digits at one end.
bool is_mixed(std::string_view text) {
  if (!any(text, is_digit) || !any(text, is_upper) || !any(text, is_lower)) return false;
  int changes = 0;
  const auto kind = [](char c) { return is_digit(c) ? 0 : is_upper(c) ? 1 : 2; };
  for (std::size_t i = 1; i < text.size(); ++i) changes += kind(text[i]) != kind(text[i - 1]);
  return changes >= 5;
}

bool is_token(std::string_view text) {
  const auto belongs = [](char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '_' || c == '='; };
  if (text.starts_with("eyJ") && std::count(text.begin(), text.end(), '.') == 2) return text.size() >= 20;
  if (!all(text, belongs)) return false;
  if (text.size() >= 16 && is_mixed(text)) return true;
  const std::size_t mark = text.find('_');
  return mark != std::string_view::npos && mark <= 8 && text.size() - mark > 8 && is_mixed(text.substr(mark + 1));
}

bool is_slug(std::string_view text) {
  const auto belongs = [](char c) {
    return is_digit(c) || is_letter(c) || c == '-' || c == '_' || c == '.' || c == '~';
  };
  return all(text, belongs) && any(text, is_letter) && any(text, [](char c) { return is_digit(c) || c == '-'; });
}

}  // namespace

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

bool is_date(std::string_view text) {
  if (!is_like(text, "dddd-dd-dd")) return false;
  const int month = number(text.substr(5, 2)), day = number(text.substr(8, 2));
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

bool is_date_time(std::string_view text) {
  if (text.size() < 20 || !is_date(text.substr(0, 10)) || (text[10] != 'T' && text[10] != 't') ||
      !is_like(text.substr(11, 8), "dd:dd:dd"))
    return false;
  if (number(text.substr(11, 2)) > 23 || number(text.substr(14, 2)) > 59) return false;
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (end == 0) return false;
    rest.remove_prefix(end);
  }
  return rest == "Z" || rest == "z" || is_like(rest, "+dd:dd") || is_like(rest, "-dd:dd");
}

bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || text.size() > 254 || text.find('@', at + 1) != std::string_view::npos)
    return false;
  const std::string_view domain = text.substr(at + 1);
  const auto belongs = [](char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '.'; };
  const auto local = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != '<' && c != '>'; };
  const std::size_t dot = domain.rfind('.');
  return all(domain, belongs) && dot != std::string_view::npos && dot > 0 && domain.size() - dot > 2 &&
         all(text.substr(0, at), local);
}

SegmentKind segment_kind(std::string_view segment) {
  if (segment.empty() || segment.size() > 2'000) return SegmentKind::kWord;
  if (all(segment, is_digit) && segment.size() <= 19) {
    const bool year = segment.size() == 4 && (segment.starts_with("19") || segment.starts_with("20"));
    return year ? SegmentKind::kYear : SegmentKind::kInteger;
  }
  if (is_version(segment)) return SegmentKind::kVersion;
  if (is_locale(segment)) return SegmentKind::kLocale;
  if (is_uuid(segment)) return SegmentKind::kUuid;
  if (is_date(segment)) return SegmentKind::kDate;
  if (is_date_time(segment)) return SegmentKind::kDateTime;
  if (is_email(segment)) return SegmentKind::kEmail;
  if (is_ulid(segment)) return SegmentKind::kUlid;
  if (is_hash(segment)) return SegmentKind::kHash;
  if (is_token(segment)) return SegmentKind::kToken;
  return is_slug(segment) ? SegmentKind::kSlug : SegmentKind::kWord;
}

std::string_view to_string(SegmentKind kind) {
  static constexpr std::array<std::string_view, 13> kNames = {"word", "version", "locale", "year",      "integer",
                                                              "uuid", "ulid",    "date",   "date-time", "email",
                                                              "hash", "token",   "slug"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace sluice::analysis
