// A FileSystem that reaches nothing outside one directory: it holds a handle of it, and every path is opened from that
// handle step by step, none of which may be a link. Whoever moves or replaces directories meanwhile leads it nowhere.
//
//   auto root = BeneathFileSystem::open("/home/me/.sluice/sessions", "", IfAbsent::kMake);
//   (*root)->open((*root)->path() + "/one/file", OpenMode::kRead);   // any path but below path(): kRefused
//
// Thread-safe, as every FileSystem.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice {

class BeneathFileSystem final : public FileSystem {
 public:
  enum class IfAbsent { kMake, kFail };
  // The directory `below` (steps with "/" between, none "." or ".."; may be empty) beneath `top`, which may be reached
  // over links. With kMake what is missing is made, 0700. kNotFound, kRefused, kIo.
  static Result<std::unique_ptr<BeneathFileSystem>> open(const std::string& top, const std::string& below,
                                                         IfAbsent absent);
  ~BeneathFileSystem() override;

  // Absolute, without links.
  const std::string& path() const { return path_; }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_directories(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_tree(const std::string& directory) override;
  bool exists(const std::string& path) override;
  std::optional<FileStamp> stamp(const std::string& path) override;

 private:
  struct Spot;
  BeneathFileSystem(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Result<std::vector<std::string>> steps_to(const std::string& path) const;  // from the root; kRefused: it is outside
  Result<Spot> find(const std::string& path) const;

  const int fd_;
  const std::string path_;
};

}  // namespace sluice
