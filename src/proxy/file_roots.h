// The folders that rules of type `file` answer from, and proxy scripts are read from. A path is opened step by step
// beneath one of them, and no step may be a link: nothing outside can be reached, whatever others do to the folders
// meanwhile. Immutable; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "proxy/exchange.h"

namespace sluice::proxy {

class FileRoots final : public MockFiles {
 public:
  // `roots`: absolute. They need not exist yet.
  FileRoots(std::vector<std::string> roots, ByteCount most) : roots_(std::move(roots)), most_(most) {}
  // An absolute path lies beneath one of the roots; a relative one is looked for in each, in order.
  Result<std::string> read(const std::string& path) const override;
  // A descriptor of the file, which is the caller's to close. Whether it is a regular file has not been looked at.
  Result<int> open(const std::string& path) const;

 private:
  static Result<int> open_beneath(const std::string& root, std::string_view below, const std::string& path);

  const std::vector<std::string> roots_;
  const ByteCount most_;
};

}  // namespace sluice::proxy
