// What a search for a text in bodies need not read: for each page of some 64 KiB of decoded text, which triples of
// octets stand in it. Made of what a recording holds, after it; where it is missing or damaged, bodies are read.
// docs/formats/session.md, "Text".
//
//   extend_text_index(files, directory, index, …);    // at lowest priority
//   auto look = find_text(files, directory, index, "needle");    // what may be passed over
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "session/index.h"

namespace sluice::session {

// Makes what is missing: of blocks of rows that are full, or, once the index is sealed, of all. Returns early where
// `stop` says so. Answers how many octets of text were gone through. Changes nothing but the folder `text`, whose files
// are sealed where there is a key.
Result<ByteCount> extend_text_index(const std::shared_ptr<FileSystem>& files, const std::string& directory,
                                    Index& index, const SessionKeyPtr& key, const std::function<bool()>& stop);

// By an exchange's seq: whether its bodies surely do not hold the text, in any case of ASCII letters.
class WithoutText {
 public:
  bool holds_none(std::uint64_t seq) const { return seq < none_.size() && none_[static_cast<std::size_t>(seq)]; }
  void set(std::uint64_t seq, bool none);
  std::uint64_t covered = 0;  // exchanges that it knows of

 private:
  std::vector<bool> none_;
};
// Texts shorter than three octets are not looked up: nothing is passed over.
WithoutText find_text(const std::shared_ptr<FileSystem>& files, const std::string& directory, std::int64_t index,
                      const SessionKeyPtr& key, std::string_view text);

}  // namespace sluice::session
