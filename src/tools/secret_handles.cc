#include "tools/secret_handles.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/text.h"

namespace sluice::tools {
namespace {

constexpr std::string_view kBegin = "{{secret:", kEnd = "}}";
constexpr std::size_t kDigits = 32;  // 128 bits
constexpr std::size_t kSize = kBegin.size() + kDigits + kEnd.size();

bool is_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

std::string new_handle(Entropy& entropy) {
  std::array<char, kDigits / 2> bits{};
  entropy.fill(bits);
  return std::string(kBegin).append(hex_encode(Bytes(bits.data(), bits.size()))).append(kEnd);
}

}  // namespace

Origin origin_of(const flow::Exchange& exchange) { return {exchange.scheme, exchange.host, exchange.port}; }

SecretHandles::SecretHandles(Entropy& entropy) : entropy_(entropy) { entropy_.fill(key_); }

std::size_t SecretHandles::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SecretHandles::drop(Entries::iterator entry) {
  const auto [first, last] = by_handle_.equal_range(bucket_of(entry->handle));
  by_handle_.erase(std::find_if(first, last, [&](const auto& one) { return one.second == entry; }));
  by_place_.erase({entry->grant, entry->meaning.place});
  if (const auto count = of_grant_.find(entry->grant); --count->second == 0) of_grant_.erase(count);
  entries_.erase(entry);
}

std::string SecretHandles::issue(const std::string& grant, SecretPlace place, const Origin& origin) {
  const std::lock_guard lock(mutex_);
  const Key key{grant, place};
  if (const auto known = by_place_.find(key); known != by_place_.end()) {
    entries_.splice(entries_.end(), entries_, known->second);
    return known->second->handle;
  }
  if (const auto count = of_grant_.find(grant); count != of_grant_.end() && count->second >= kMostOfGrant) {
    drop(std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.grant == grant; }));
  } else if (entries_.size() >= kMost) {
    drop(entries_.begin());
  }
  entries_.push_back({new_handle(entropy_), grant, {std::move(place), origin}});
  const auto entry = std::prev(entries_.end());
  by_place_.emplace(key, entry);
  by_handle_.emplace(bucket_of(entry->handle), entry);
  ++of_grant_[grant];
  return entry->handle;
}

std::optional<SecretHandles::Meaning> SecretHandles::find(std::string_view grant, std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto [first, last] = by_handle_.equal_range(bucket_of(handle));
  for (auto one = first; one != last; ++one) {
    const Entry& entry = *one->second;
    if (constant_time_equal(entry.handle, handle) && entry.grant == grant) return entry.meaning;
  }
  return std::nullopt;
}

// Behind the text, and apart from it: no text may say by itself what a handle says.
std::string SecretHandles::meant(std::string_view grant, std::string_view text) const {
  std::string rest;
  Json meanings = Json::array();
  std::size_t from = 0;
  for (const HandleAt& found : find_handles(text)) {
    const auto meaning = find(grant, found.handle);
    if (!meaning) continue;
    const auto& [place, origin] = *meaning;
    rest.append(text.substr(from, found.at - from)).append("{{secret}}");
    from = found.at + found.handle.size();
    meanings.push_back({found.at, place.exchange, place.session, place.mark, origin.scheme, origin.host, origin.port});
  }
  rest.append(text.substr(from));
  return meanings.empty() ? rest : rest + '\n' + dump_json(meanings);
}

std::vector<HandleAt> find_handles(std::string_view text) {
  std::vector<HandleAt> found;
  for (std::size_t at = text.find(kBegin); at != text.npos;) {
    const std::string_view rest = text.substr(at, kSize);
    const bool whole = rest.size() == kSize && rest.ends_with(kEnd) &&
                       std::all_of(rest.begin() + kBegin.size(), rest.end() - kEnd.size(), is_digit);
    if (whole) found.push_back({at, rest});
    at = text.find(kBegin, at + (whole ? kSize : 1));
  }
  return found;
}

}  // namespace sluice::tools
