// The directories that paths given by tools may lead to (DESIGN 3): the allowed roots, and one of our own. What is
// closed stays closed wherever the roots are. A path is opened step by step from a root's handle, and no step may be a
// link.
//
//   auto place = roots.file("captures/login.har", "output_file");
//   place->files->open(place->path, OpenMode::kCreateNew);
//
// Immutable; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/beneath.h"

namespace sluice {

// A path and the files that it is to be opened with, which reach nothing outside its root.
struct Place {
  std::shared_ptr<FileSystem> files;
  std::string path;  // absolute
};

class AllowedRoots {
 public:
  struct Options {
    std::vector<std::string> allowed;  // absolute; a relative path is one beneath the first
    std::string own;                   // absolute; lies in `closed` and is open; may be empty
    std::vector<std::string> closed;   // absolute
  };
  explicit AllowedRoots(Options options) : options_(std::move(options)) {}

  // `what`: the argument that the path came in, for errors. kRefused: under no root, or closed; kNotFound, kIo.
  Result<Place> directory(const std::string& path, std::string_view what, BeneathFileSystem::IfAbsent absent) const;
  // A file in a directory that is there; whether the file is there has not been looked at.
  Result<Place> file(const std::string& path, std::string_view what) const;

 private:
  const Options options_;
};

// Without links; as it is where it does not exist.
std::string real_path(const std::string& path);

}  // namespace sluice
