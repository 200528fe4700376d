#include "base/redact.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/known_secrets.h"
#include "base/masker.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::string_view kMaskStart = "[redacted:";
constexpr std::size_t kHashDigits = 8;
constexpr std::size_t kLongestKind = 24;
constexpr std::size_t kLongestPlaceholder = 64;

// Fields whose value is a URL or a target, with or without a scheme.
constexpr auto kUrlFields =
    std::to_array<std::string_view>({"location", "content-location", "referer", "origin", ":path", "x-original-url",
                                     "x-rewrite-url", "x-forwarded-uri", "x-original-uri"});

bool is_among(std::string_view name, std::span<const std::string_view> list) {
  return std::any_of(list.begin(), list.end(), [&](std::string_view item) { return iequals(item, name); });
}

// "${name}", which a value goes in place of: who wrote it has taken the secret out.
bool is_placeholder(std::string_view text) {
  if (text.size() < 4 || !text.starts_with("${") || !text.ends_with('}')) return false;
  const std::string_view name = text.substr(2, text.size() - 3);
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return name.size() <= kLongestPlaceholder && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

MaskAt find_mask(std::string_view text, std::size_t from) {
  constexpr std::size_t kLongest = kMaskStart.size() + kLongestKind + 1 + kHashDigits + 1;
  for (std::size_t at = text.find(kMaskStart, from); at != std::string_view::npos; at = text.find(kMaskStart, at + 1)) {
    const std::string_view mask = text.substr(at, kLongest);
    const std::size_t end = mask.find(']');
    if (end != std::string_view::npos && is_mask(mask.substr(0, end + 1))) return {at, mask.substr(0, end + 1)};
  }
  return {text.size(), {}};
}

bool is_mask(std::string_view text) {
  if (!text.starts_with(kMaskStart) || !text.ends_with(']')) return false;
  text.remove_prefix(kMaskStart.size());
  text.remove_suffix(1);
  const std::size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon > kLongestKind) return false;
  const auto is_kind = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const std::string_view kind = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  return digits.size() == kHashDigits && std::all_of(kind.begin(), kind.end(), is_kind) &&
         std::all_of(digits.begin(), digits.end(), is_digit);
}

bool holds_mask(std::string_view text) { return !find_mask(text, 0).mask.empty(); }

std::string without_masks(std::string_view masked) {
  std::string rest;
  std::size_t from = 0;
  for (MaskAt found = find_mask(masked, 0); !found.mask.empty(); found = find_mask(masked, from)) {
    rest.append(masked.substr(from, found.at - from)).push_back('\0');
    from = found.at + found.mask.size();
  }
  return rest.append(masked.substr(from));
}

std::string Redactor::mask(std::string_view kind, Bytes value) const {
  if (value.empty() || is_mask(value)) return std::string(value);
  std::string mask = fmt::format("{}{}:{:08x}]", kMaskStart, kind, static_cast<std::uint32_t>(siphash(key_, value)));
  if (watch_) (*watch_)(mask, value);
  return mask;
}

Redactor::Known::Known(const Redactor& redactor, std::string_view text) : text_(text) {
  if (!redactor.known_ || redactor.known_->empty()) return;
  found_ = redactor.known_->replace(
      text, [&](std::string_view value) { return redactor.mask("secret", value); }, made_);
  if (found_) text_ = made_;
}

Redacted Redactor::mask_header_value(std::string_view name, std::string_view raw) const {
  const Known known(*this, raw);
  const std::string_view value = known.text();
  Masker masker(*this);
  if (const SecretName* secret = find_secret_name(name)) {
    masker.field(*secret, value);
  } else if (is_among(name, kUrlFields)) {
    masker.url(value);
  } else {
    masker.text(value, Masker::Members::kMask);
  }
  return known.finish(masker.take());
}

Redacted Redactor::mask_member(std::string_view name, std::string_view raw) const {
  const Known known(*this, raw);
  const std::string_view value = known.text();
  Masker masker(*this);
  if (const SecretName* secret = find_secret_name(name)) {
    masker.field(*secret, value);
  } else {
    masker.text(value, Masker::Members::kMask);
  }
  return known.finish(masker.take());
}

Redacted Redactor::mask_url(std::string_view url) const {
  const Known known(*this, url);
  Masker masker(*this);
  masker.url(known.text());
  return known.finish(masker.take());
}

Redacted Redactor::mask_known(std::string_view text) const {
  const Known known(*this, text);
  return known.finish({std::string(known.text()), false});
}

Redacted Redactor::mask_text(std::string_view text) const {
  const Known known(*this, text);
  Masker masker(*this);
  masker.text(known.text(), Masker::Members::kMask);
  return known.finish(masker.take());
}

void Masker::secret(std::string_view kind, std::string_view value, std::string_view plain) {
  if (plain.empty() || is_mask(plain) || is_placeholder(plain)) return put(value);
  put(redactor_.mask(kind, plain));
  masked_ = true;
}

}  // namespace sluice
