#include "session/id_runs.h"

#include <algorithm>
#include <cstring>

namespace sluice::session {
namespace {

constexpr std::size_t kEntry = 2 * sizeof(std::uint64_t);

}  // namespace

std::vector<std::string> IdRun::take() {
  const auto order = [](const Entry& entry) { return std::pair(id_bucket(entry.number), entry.number); };
  std::stable_sort(entries_.begin(), entries_.end(),
                   [&](const Entry& a, const Entry& b) { return order(a) < order(b); });
  std::vector<std::string> buckets(kIdBuckets);
  for (const Entry& entry : entries_) {
    std::string& bucket = buckets[static_cast<std::size_t>(id_bucket(entry.number))];
    bucket.append(reinterpret_cast<const char*>(&entry.number), sizeof(entry.number));
    bucket.append(reinterpret_cast<const char*>(&entry.seq), sizeof(entry.seq));
  }
  entries_.clear();
  return buckets;
}

std::vector<std::uint64_t> seqs_in_bucket(Bytes bucket, std::int64_t number) {
  const auto number_at = [&](std::size_t entry) {
    std::int64_t value = 0;
    std::memcpy(&value, bucket.data() + entry * kEntry, sizeof(value));
    return value;
  };
  std::size_t first = 0, behind = bucket.size() / kEntry;
  const std::size_t count = behind;
  while (first < behind) {
    const std::size_t middle = (first + behind) / 2;
    number_at(middle) < number ? first = middle + 1 : behind = middle;
  }
  std::vector<std::uint64_t> seqs;
  for (; first < count && number_at(first) == number; ++first) {
    std::memcpy(&seqs.emplace_back(), bucket.data() + first * kEntry + sizeof(number), sizeof(std::uint64_t));
  }
  std::reverse(seqs.begin(), seqs.end());
  return seqs;
}

}  // namespace sluice::session
