#include "base/known_secrets.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/json.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::string_view kUpperHex = "0123456789ABCDEF", kLowerHex = "0123456789abcdef";

std::uint16_t first_two(const char* at) {
  std::uint16_t two = 0;
  std::memcpy(&two, at, sizeof two);
  return two;
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '+' || c == '/';
}

template <class Keeps>
std::string percent(std::string_view value, std::string_view digits, bool plus, Keeps keeps) {
  std::string out;
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == ' ' && plus) {
      out.push_back('+');
    } else if (keeps(c)) {
      out.push_back(c);
    } else {
      out.append({'%', digits[octet >> 4], digits[octet & 15]});
    }
  }
  return out;
}

// RFC 3986 §2.3, and what JavaScript's encodeURIComponent leaves beside it.
bool is_unreserved(char c) { return (is_base64(c) && c != '+' && c != '/') || c == '.' || c == '~'; }
bool is_left_by_scripts(char c) {
  return is_unreserved(c) || std::string_view("!'()*").find(c) != std::string_view::npos;
}

std::string json_inside(std::string_view value) {
  const std::string quoted = dump_json(Json(std::string(value)));
  return quoted.substr(1, quoted.size() - 2);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string html(std::string_view value) {
  std::string text = replaced(std::string(value), "&", "&amp;");
  text = replaced(std::move(text), "<", "&lt;");
  text = replaced(std::move(text), ">", "&gt;");
  return replaced(std::move(text), "\"", "&quot;");
}

// The characters that the value alone decides where it begins `offset` octets behind a group's start (RFC 4648 §4).
std::string base64_middle(std::string_view value, std::size_t offset, bool url) {
  const std::string padded = std::string(offset, '\0') + std::string(value);
  const std::string encoded = url ? base64url_encode(padded) : base64_encode(padded);
  const std::size_t begin = (offset * 8 + 5) / 6, end = padded.size() * 8 / 6;
  return encoded.substr(begin, end - begin);
}

}  // namespace

void KnownSecrets::index(std::size_t value) {
  const std::string& plain = values_[value];
  std::vector<std::pair<std::string, bool>> spellings{{plain, false}};
  for (const std::string_view digits : {kUpperHex, kLowerHex}) {
    for (const bool plus : {false, true}) {
      spellings.emplace_back(percent(plain, digits, plus, is_unreserved), false);
      spellings.emplace_back(percent(plain, digits, plus, is_left_by_scripts), false);
    }
  }
  const std::string json = json_inside(plain);
  spellings.emplace_back(json, false);
  spellings.emplace_back(replaced(json, "/", "\\/"), false);
  spellings.emplace_back(json_inside(json), false);  // JSON in a string of JSON
  spellings.emplace_back(html(plain), false);
  const std::string hex = hex_encode(plain);
  spellings.emplace_back(hex, false);
  spellings.emplace_back(to_upper(hex), false);
  for (const std::size_t offset : {0u, 1u, 2u}) {
    spellings.emplace_back(base64_middle(plain, offset, false), true);
    spellings.emplace_back(base64_middle(plain, offset, true), true);
  }
  std::sort(spellings.begin(), spellings.end());
  spellings.erase(std::unique(spellings.begin(), spellings.end()), spellings.end());
  for (auto& [text, base64] : spellings) {
    starts_[first_two(text.data())] = true;
    needles_.try_emplace(std::move(text), Needle{value, base64});
  }
}

Status KnownSecrets::add(std::string_view value) {
  if (value.size() < kShortest || value.size() > kLongest) {
    return fail(Code::kInvalid, "the secret is too short or too long to be found again in an answer");
  }
  const std::unique_lock lock(mutex_);
  if (std::find(values_.begin(), values_.end(), value) != values_.end()) return {};
  if (values_.size() >= kMost || octets_ + value.size() > kMostOctets) {
    return fail(Code::kTooLarge, "as many different secrets as can be masked were filled in already; restart Sluice");
  }
  values_.emplace_back(value);
  index(values_.size() - 1);
  octets_ += value.size();
  any_.store(true, std::memory_order_release);
  return {};
}

// What begins `rest` stands in the order of texts before it, and shares its beginning with all that stands between:
// however many begin alike, few are looked at.
const KnownSecrets::Needles::value_type* KnownSecrets::longest_at(std::string_view rest) const {
  if (rest.size() < kShortest || !starts_[first_two(rest.data())]) return nullptr;
  for (std::string_view probe = rest; probe.size() >= kShortest;) {
    auto before = needles_.upper_bound(probe);
    if (before == needles_.begin()) return nullptr;
    --before;
    const std::string_view text = before->first;
    if (rest.starts_with(text)) return &*before;
    probe = probe.substr(
        0, static_cast<std::size_t>(std::mismatch(text.begin(), text.end(), probe.begin(), probe.end()).second -
                                    probe.begin()));
  }
  return nullptr;
}

bool KnownSecrets::replace(std::string_view text, const std::function<std::string(std::string_view value)>& mask,
                           std::string& out) const {
  if (empty()) return false;
  const std::shared_lock lock(mutex_);
  std::string made;
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto* const found = longest_at(text.substr(at));
    if (!found) continue;
    const auto& [needle, of] = *found;
    std::size_t begin = at, end = at + needle.size();
    if (of.base64) {
      if (begin > from && is_base64(text[begin - 1])) --begin;
      if (end < text.size() && is_base64(text[end])) ++end;
    }
    made.append(text.substr(from, begin - from)).append(mask(values_[of.value]));
    from = end;
    at = end - 1;
  }
  if (from == 0) return false;
  out = made.append(text.substr(from));
  return true;
}

}  // namespace sluice
