// The entries of a HAR file (HAR 1.2), found in its octets as they come, so that memory is bounded by the longest of
// them: the whole of the file is looked at as JSON (RFC 8259) in UTF-8, of which only log.entries is kept. What an
// entry says is read_har_entry()'s affair (har_read.h).
//
//   HarEntries entries;
//   while (…) { entries.feed(octets); while (auto entry = entries.next()) …; }
//   entries.finish();
//
// Pure; belongs to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

struct HarEntryText {
  std::uint64_t number = 0;  // from 1
  std::string text;          // one JSON value, as it stood
  bool too_large = false;    // it was not kept
};

class HarEntries {
 public:
  static constexpr std::size_t kMostDepth = 67;        // of an entry 64
  static constexpr ByteCount kMostEntry = 128 * kMiB;  // of one entry's text
  explicit HarEntries(ByteCount most_entry = kMostEntry) : most_entry_(most_entry) {}

  // kInvalid: no JSON, not UTF-8, or nested too deep, with the octet; the same answer ever after.
  Status feed(Bytes octets);
  std::optional<HarEntryText> next();
  // There is no more. kInvalid: it was cut off, or is no HAR.
  Status finish();
  std::uint64_t count() const { return count_; }

 private:
  enum class Want { kValue, kValueOrEnd, kKeyOrEnd, kKey, kColon, kCommaOrEnd, kNothing };
  Status take(Bytes octets);
  Status take_string(Bytes octets, std::size_t& at);
  Status take_scalar(Bytes octets, std::size_t& at);
  Status take_other(char c, std::size_t at);
  Status begin_value(char c, std::size_t at);
  Status check_text(Bytes octets);
  tl::unexpected<Error> broken(const char* what) const;
  bool is_element() const { return in_entries_ && stack_.size() == 3; }

  const ByteCount most_entry_;
  std::optional<Error> failed_;
  ByteCount passed_ = 0;  // octets before those that are being taken
  std::size_t here_ = 0;  // in those
  std::string carry_;     // an unfinished character
  bool begun_ = false;
  std::size_t bom_ = 0;  // octets of a byte order mark that came, or all of them: it is past
  Want want_ = Want::kValue;
  std::string stack_;  // '{' and '['
  bool in_string_ = false, escaped_ = false, is_key_ = false;
  int hex_left_ = 0;
  std::string scalar_;  // a number or word under way; empty: none
  std::string key_;     // the last one of an object that matters
  bool in_log_ = false, in_entries_ = false, saw_entries_ = false;
  bool keeping_ = false;       // an entry is under way
  std::size_t kept_from_ = 0;  // its part in what is being taken
  HarEntryText entry_;
  std::uint64_t count_ = 0;
  std::deque<HarEntryText> ready_;
};

}  // namespace sluice::analysis
