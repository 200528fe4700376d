// Which seq an exchange's id has, for index.db: numbers of ids by runs of some thousand rows, in the order of the
// number and cut into buckets, so that a run is written in a few pieces and a look-up reads one short piece of each.
// Pure. Private to this folder. docs/formats/session.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace sluice::session {

inline constexpr std::size_t kIdBuckets = 64;
inline constexpr std::size_t kBlocksInIdRun = 32;

inline std::int64_t id_bucket(std::int64_t number) { return static_cast<std::int64_t>(number & (kIdBuckets - 1)); }
// The key of a bucket of the run whose last block that is.
inline constexpr int kIdRunBits = 40;
inline std::int64_t id_place(std::int64_t bucket, std::int64_t last_block) { return bucket << kIdRunBits | last_block; }
inline std::int64_t last_block_of(std::int64_t place) { return place & ((std::int64_t{1} << kIdRunBits) - 1); }

// The run that is being filled.
class IdRun {
 public:
  void add(std::int64_t number, std::uint64_t seq) { entries_.push_back({number, seq}); }
  bool is_empty() const { return entries_.empty(); }
  // By bucket, some of them empty; nothing is left in it.
  std::vector<std::string> take();

 private:
  struct Entry {
    std::int64_t number;
    std::uint64_t seq;
  };
  std::vector<Entry> entries_;
};

// The seqs that have the number, the latest row first.
std::vector<std::uint64_t> seqs_in_bucket(Bytes bucket, std::int64_t number);

}  // namespace sluice::session
