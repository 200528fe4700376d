// Files that decide who may do what: read only where nobody else can have written them (gate.md 1).
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace sluice::app {

// What tells one state of a file from another without reading it.
struct FileMark {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};
FileMark mark_of(const std::string& path);  // all zero: there is no such file

enum class Readers { kAnybody, kSelf };  // who else may read it

// At most `most` octets of a regular file that belongs to root or to us and that nobody else may write. kRefused:
// others can write it (or read it, for kSelf), or it is somebody else's; kTooLarge; kIo. `mark`: what was read.
Result<std::string> load_trusted(const std::string& path, ByteCount most, Readers readers = Readers::kAnybody,
                                 FileMark* mark = nullptr);

// A key of kKeySize octets in a file's first line, hexadecimal, that nobody else can read.
Result<Secret> load_trusted_key(const std::string& path);

// The same question of a file that others will read for us; one that does not exist passes.
Status check_trusted(const std::string& path);

}  // namespace sluice::app
