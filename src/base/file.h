// The disk, behind a small interface: everything below `app` that touches files goes through a FileSystem, so that
// tests inject short writes, ENOSPC, EIO and failed renames (base/fake_file.h).
// Paths are absolute. Files are created 0600, directories 0700. Errors: kNotFound, kRefused (permission),
// kConflict (exists, locked), kIo (everything else: full disk, I/O error), with the path in the sentence.
// A FileSystem is thread-safe; a File belongs to one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice {

class File {
 public:
  virtual ~File() = default;  // closes; errors at close are lost: sync() first where they matter
  // Writes all of it at the end of the file, or fails; a partial write leaves a torn tail.
  virtual Status append(std::span<const Bytes> pieces) = 0;
  Status append(Bytes octets) { return append(std::span<const Bytes>(&octets, 1)); }
  // Reads up to out.size() octets at `offset`; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const = 0;
  virtual Result<ByteCount> size() const = 0;
  // The mode's permission bits, for files that others must not read. A file in memory is nobody else's: 0600.
  virtual Result<unsigned> permissions() const { return 0600u; }
  virtual Status truncate(ByteCount size) = 0;
  virtual Status sync() = 0;
  // An exclusive advisory lock (flock) that ends with the File or the process; kConflict if another holds it.
  virtual Status lock() = 0;
};

enum class OpenMode {
  kRead,          // must exist
  kAppend,        // created if absent; reads allowed
  kCreateNew,     // kConflict if it exists; reads allowed
  kCreateDirect,  // as kCreateNew, for much that is rarely read: around the page cache. For others it ends in up to
                  // 4 KiB of zeros until it is closed. Nothing is appended behind a truncate.
};

// What tells a file from the one that stood there before, and from itself before it was written to.
struct FileStamp {
  std::uint64_t device = 0, inode = 0;
  ByteCount size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Status make_directories(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;            // a file; absent is success
  virtual Status remove_tree(const std::string& directory) = 0;  // absent is success; never follows links
  virtual bool exists(const std::string& path) = 0;
  // Of a regular file. What was read after one of these was taken is what stands there as long as they are the same.
  // nullopt: there is none, this file system cannot tell, or the file changed in the last two seconds: the next change
  // could look the same then.
  virtual std::optional<FileStamp> stamp(const std::string& path) {
    (void)path;
    return std::nullopt;
  }

  // Whole small files. load_file fails with kTooLarge beyond `limit`.
  Result<std::string> load_file(const std::string& path, ByteCount limit = 16 * kMiB);
  // To a temporary name in the same directory, synced, renamed: a reader sees the old or the new, never half.
  Status save_file(const std::string& path, Bytes content);
};

// The real one.
class SystemFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_tree(const std::string& directory) override;
  bool exists(const std::string& path) override;
  std::optional<FileStamp> stamp(const std::string& path) override;
};

}  // namespace sluice
