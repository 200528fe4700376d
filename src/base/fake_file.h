// A FileSystem in memory for tests, with faults made to order: what file.h says, without a disk.
// Thread-safe, but arrange faults before the threads start. Destroy files before the file system.
//
//   FakeFileSystem disk;
//   disk.add_directory("/home");
//   disk.set_capacity(1000);        // ENOSPC: what fits is written, then kIo
//   disk.fail_operation(3);         // EIO at the third operation from now
//   disk.tear_append(5);            // the next append leaves five octets, then kIo
//   disk.lose_unsynced();           // a power cut: files fall back to what was synced
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice {

class FakeFileSystem final : public FileSystem {
 public:
  FakeFileSystem() = default;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_tree(const std::string& directory) override;
  bool exists(const std::string& path) override;

  // --- arranging; none of these counts as an operation or fails ---
  void add_directory(const std::string& path);       // with its parents
  void put(const std::string& path, Bytes content);  // with its directory; synced
  std::optional<std::string> content(const std::string& path) const;
  ByteCount stored() const;  // octets of all files

  // --- faults ---
  // The nth operation from now (1: the next) fails with `code` and does nothing. Operations: every call that returns
  // a Status or Result, of the file system and of its files.
  void fail_operation(std::size_t nth, Code code = Code::kIo);
  // As fail_operation, and every later one too: a disk that died. heal() ends it.
  void fail_from(std::size_t nth, Code code = Code::kIo);
  void fail_next_rename() { fail_rename_ = true; }
  void tear_append(std::size_t octets) { tear_ = octets; }
  void set_capacity(std::optional<ByteCount> octets) { capacity_ = octets; }  // of all files together
  void hold_lock(const std::string& path);                                    // as if another process had locked it
  void release_lock(const std::string& path);
  void lose_unsynced();
  // Appends wait until the stall ends: a disk that does not answer. This one alone may be arranged while threads run.
  void stall(bool stalled);
  void wait_for_stalled_append();  // until somebody is held up
  void heal();                     // no more faults; content stays
  std::size_t operations() const;  // so far: for "fail at each k up to here"

 private:
  friend class FakeFile;
  struct Node {
    std::string content;
    std::string synced;
    const void* locked_by = nullptr;
  };

  Status count_operation(const std::string& path);  // with mutex_ held
  ByteCount stored_locked() const;
  bool has_directory(const std::string& path) const { return path == "/" || directories_.contains(path); }
  void add_directory_locked(const std::string& path);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Node>> files_;
  std::set<std::string> directories_;
  std::size_t operations_ = 0;
  std::size_t fail_at_ = 0;  // 0: never
  bool fail_on_ = false;     // and from there on
  Code fail_code_ = Code::kIo;
  bool fail_rename_ = false;
  std::optional<std::size_t> tear_;
  std::optional<ByteCount> capacity_;
  bool stalled_ = false;
  std::size_t held_up_ = 0;
  std::condition_variable stall_changed_;
};

}  // namespace sluice
