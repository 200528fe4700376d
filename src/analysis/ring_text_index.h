// Makes searches in the ring quick: once somebody searches, which triples of octets stand in which exchanges is written
// down beside the spool (capture/text_pages.h), on a thread of its own at the lowest priority, as long as searches
// come. A search then passes over what surely does not hold its text. Files of exchanges that left the ring, or were
// cleared, are removed within a second.
//
//   RingTextIndex index(ring, files, spool_directory + "/text");
//   std::thread([&] { index.work_until_stopped(); });
//   const WithoutText without = index.without("needle");      // and want() for the next one
//
// Thread-safe. The ring and the files outlive it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "capture/capture.h"
#include "capture/text_pages.h"

namespace sluice::analysis {

// Exchanges, by the revision that they had, in which a text surely does not stand: not in the URL, not in a head or
// trailer, and not in the first kIndexedBody octets of a decoded body.
class WithoutText {
 public:
  bool holds_none(std::uint64_t rev) const {
    return rev >= first_ && rev - first_ < none_.size() && none_[static_cast<std::size_t>(rev - first_)];
  }
  bool empty() const { return none_.empty(); }
  void set(std::uint64_t rev);  // ascending

 private:
  std::uint64_t first_ = 0;
  std::vector<bool> none_;
};

class RingTextIndex {
 public:
  static constexpr ByteCount kIndexedBody = 8 * kMiB;     // of each body
  static constexpr std::chrono::minutes kStays{10};       // after the last search
  static constexpr std::uint64_t kMostRevs = 64'000'000;  // that files may span

  // `unit_text`: of one file; what is newer than the last file is searched.
  RingTextIndex(const capture::Ring& ring, FileSystem& files, const Clock& clock, std::string directory,
                ByteCount unit_text = 16 * kMiB);

  // Says that somebody searches.
  void want();
  // Nothing for a text that is too short to be looked up.
  WithoutText without(std::string_view text);

  // On the thread of its own; stop() from any other.
  void work_until_stopped();
  void stop();
  // One step of it, for tests: removes what is no more in the ring, and goes on with a stretch of exchanges. False:
  // there is nothing to be done for now.
  bool work();

 private:
  struct Text;
  void remove_gone();
  void forget();
  std::vector<Text> next_texts() const;
  static void take(Text& text, const capture::Glance& glance);
  bool add(const Text& text);
  void save();

  const capture::Ring& ring_;
  FileSystem& files_;
  const Clock& clock_;
  const std::string directory_;
  const ByteCount unit_text_;

  // --- of the thread ---
  capture::TextPagesBuilder unit_;
  std::uint64_t first_rev_ = 0, last_rev_ = 0;  // of unit_; the last one that was added
  bool broken_ = false;                         // the disk took no file: nothing more is made

  std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::deque<std::pair<std::string, capture::TextPagesFile>> units_;  // ascending; with their paths
  std::optional<MonoTime> wanted_at_;
  bool stopped_ = false;
};

}  // namespace sluice::analysis
