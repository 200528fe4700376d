// The folders that paths given by tools may lead to: what rules of type `file` answer with, certificates and keys of
// host options, proxy scripts. A path is opened step by step beneath one of them, and no step may be a link: nothing
// outside can be reached, whatever others do to the folders meanwhile. Sluice's own folder and the policy's are closed,
// wherever the roots are (DESIGN 3). Immutable; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "proxy/exchange.h"

namespace sluice::proxy {

class FileRoots final : public MockFiles {
 public:
  // `roots`: absolute. They need not exist yet.
  // `closed`, `policy`: nothing below is read, but for what is below `open` (which lies in `closed`). All may be empty.
  FileRoots(std::vector<std::string> roots, ByteCount most, std::string closed = "", std::string open = "",
            std::string policy = "")
      : roots_(std::move(roots)),
        most_(most),
        closed_(std::move(closed)),
        open_(std::move(open)),
        policy_(std::move(policy)) {}
  // An absolute path lies beneath one of the roots; a relative one is looked for in each, in order.
  Result<std::string> read(const std::string& path) const override;
  // A descriptor of the file, which is the caller's to close. Whether it is a regular file has not been looked at.
  Result<int> open(const std::string& path) const;

 private:
  bool is_closed(int folder) const;
  Result<int> open_beneath(const std::string& root, std::string_view below, const std::string& path) const;

  const std::vector<std::string> roots_;
  const ByteCount most_;
  const std::string closed_, open_, policy_;
};

}  // namespace sluice::proxy
