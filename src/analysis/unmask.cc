#include "analysis/unmask.h"

#include <algorithm>
#include <optional>

#include "base/json.h"

namespace sluice::analysis {
namespace {

constexpr std::string_view kBegin = "[redacted:";
constexpr std::size_t kLongestMask = 64;
constexpr std::size_t kMostTries = 1'000;  // ends of one value that are tried
constexpr std::size_t kAnchor = 32;        // octets behind a mask that are looked for

struct Mask {
  std::size_t at = std::string_view::npos;
  std::string_view whole, kind;
};

Mask next_mask(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find(kBegin, from); at != std::string_view::npos; at = text.find(kBegin, at + 1)) {
    const std::string_view rest = text.substr(at, kLongestMask);
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos || !is_mask(rest.substr(0, end + 1))) continue;
    const std::size_t colon = rest.find(':', kBegin.size());
    return {at, rest.substr(0, end + 1), rest.substr(kBegin.size(), colon - kBegin.size())};
  }
  return {};
}

// The value that `piece` spells, as it stands or as a JSON string, where the mask is that value's.
std::optional<std::string> value_of(std::string_view piece, const Mask& mask, const Redactor& redactor) {
  if (redactor.mask(mask.kind, piece) == mask.whole) return std::string(piece);
  if (piece.find('\\') == std::string_view::npos) return std::nullopt;
  const auto json = parse_json("\"" + std::string(piece) + "\"");
  if (!json || !json->is_string() || redactor.mask(mask.kind, json->get<std::string>()) != mask.whole)
    return std::nullopt;
  return json->get<std::string>();
}

}  // namespace

std::map<std::string, std::string> values_behind(std::string_view masked, std::string_view raw,
                                                 const Redactor& redactor) {
  std::map<std::string, std::string> values;
  std::size_t in_masked = 0, in_raw = 0;
  for (Mask mask = next_mask(masked, 0); mask.at != std::string_view::npos; mask = next_mask(masked, in_masked)) {
    const std::string_view before = masked.substr(in_masked, mask.at - in_masked);
    if (raw.substr(std::min(in_raw, raw.size()), before.size()) != before) break;
    in_raw += before.size();
    in_masked = mask.at + mask.whole.size();
    const Mask next = next_mask(masked, in_masked);
    const std::string_view behind =
        masked.substr(in_masked, std::min(next.at, masked.size()) - in_masked).substr(0, kAnchor);
    std::size_t end = behind.empty() ? raw.size() : raw.find(behind, in_raw);
    std::size_t tries = 0;
    std::optional<std::string> value;
    while (end != std::string_view::npos && !(value = value_of(raw.substr(in_raw, end - in_raw), mask, redactor))) {
      end = behind.empty() || ++tries == kMostTries ? std::string_view::npos : raw.find(behind, end + 1);
    }
    if (end == std::string_view::npos) break;
    values.emplace(mask.whole, *std::move(value));
    in_raw = end;
  }
  return values;
}

std::string unmask(std::string_view text, const std::map<std::string, std::string>& values) {
  std::string out;
  std::size_t done = 0;
  for (Mask mask = next_mask(text, 0); mask.at != std::string_view::npos; mask = next_mask(text, done)) {
    out += text.substr(done, mask.at - done);
    done = mask.at + mask.whole.size();
    const auto value = values.find(std::string(mask.whole));
    out += value == values.end() ? mask.whole : std::string_view(value->second);
  }
  return out += text.substr(done);
}

}  // namespace sluice::analysis
