// Recordings for benchmarks: exchanges of an API as a recording gets them from capture, through the real store.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "session/keys.h"

namespace bench {

struct Made {
  std::string id;
  double seconds = 0, cpu_seconds = 0;  // from the first exchange to the last record; of all threads
  double writer_cpu_seconds = 0;        // of the thread that forms, writes and indexes records
  std::uint64_t exchanges = 0, body_octets = 0, segment_octets = 0, lost = 0;
};

// In its body each kRareEvery-th exchange says `rare_word(n)`, n from 0.
inline constexpr std::uint64_t kRareEvery = 50'000;
std::string rare_word(std::uint64_t number);

// `body`: octets of an answer on average. `key`: what it is encrypted with; null: it is not.
Made make_session(sluice::FileSystem& files, const std::string& root, std::uint64_t exchanges, std::size_t body,
                  const sluice::session::OperatorKeyPtr& key = nullptr);

}  // namespace bench
