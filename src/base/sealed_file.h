// Files whose content is sealed with AES-256-GCM, page by page, so that any part of them can be read by itself. They
// are written once, from their beginning to sync(), and never changed: docs/formats/session.md, "Sealed files".
//
//   SealedFiles files(inner, key.view());
//   files.save_file(path, content);               // sealed
//   (*files.open(path, OpenMode::kRead))->read_at(…)   // kIo: it was altered, cut, or sealed with another key
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "base/secret.h"

namespace sluice {

// A FileSystem whose files are sealed, over one that keeps them. kCreateNew and kRead alone; of the files that it opens
// those that are written can be appended to until sync(), those that are read can be read.
class SealedFiles final : public FileSystem {
 public:
  // `key`: kKeySize octets. Each file has a key of its own, which is made of it and of a salt in the file.
  SealedFiles(std::shared_ptr<FileSystem> inner, Bytes key) : inner_(std::move(inner)), key_(key) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_directories(const std::string& path) override { return inner_->make_directories(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override { return inner_->list(directory); }
  Status rename(const std::string& from, const std::string& to) override { return inner_->rename(from, to); }
  Status remove(const std::string& path) override { return inner_->remove(path); }
  Status remove_tree(const std::string& directory) override { return inner_->remove_tree(directory); }
  bool exists(const std::string& path) override { return inner_->exists(path); }

 private:
  const std::shared_ptr<FileSystem> inner_;
  const Secret key_;
};

}  // namespace sluice
