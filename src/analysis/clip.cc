#include "analysis/clip.h"

#include <algorithm>

#include "base/text.h"

namespace sluice::analysis {
namespace {

// Only where the whole is text.
void trim_text(std::string& octets) {
  std::string trimmed = octets;
  trim_unfinished(trimmed);
  if (!trimmed.empty() && is_utf8(trimmed)) octets = std::move(trimmed);
}

}  // namespace

void trim_unfinished(std::string& octets) {
  for (std::size_t back = 1; back <= 3 && back <= octets.size(); ++back) {
    const auto octet = static_cast<unsigned char>(octets[octets.size() - back]);
    if ((octet & 0xC0) == 0x80) continue;
    const std::size_t length = octet >= 0xF0 ? 4 : octet >= 0xE0 ? 3 : octet >= 0xC0 ? 2 : 1;
    if (length > back) octets.resize(octets.size() - back);
    return;
  }
}

Clip clip(std::string_view text, ByteCount from, ByteCount limit, bool more_follows, const Redactor* redactor,
          std::string_view content_type) {
  const std::size_t begin = static_cast<std::size_t>(std::min<ByteCount>(from, text.size()));
  Clip clip;
  clip.octets = text.substr(begin, static_cast<std::size_t>(std::min<ByteCount>(limit, text.size() - begin)));
  clip.more = more_follows || begin + clip.octets.size() < text.size();
  if (clip.more) trim_text(clip.octets);
  clip.bytes = clip.octets.size();
  if (!redactor || clip.bytes == 0) return clip;
  const Redacted masked = redactor->mask_body(text, content_type);
  // Masks have one length for each kind, so the masked prefixes of one text are prefixes of each other in length.
  const auto size_of = [&](std::size_t prefix) {
    if (prefix == 0 || prefix == text.size()) return prefix == 0 ? 0 : masked.text.size();
    return redactor->mask_body(text.substr(0, prefix), content_type).text.size();
  };
  const std::size_t first = size_of(begin), last = std::min(size_of(begin + clip.octets.size()), masked.text.size());
  clip.octets = first < last ? masked.text.substr(first, last - first) : "";
  return clip;
}

}  // namespace sluice::analysis
