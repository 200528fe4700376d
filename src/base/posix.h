// What FileSystems over POSIX calls share. Private to base.
#pragma once

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/file.h"

namespace sluice::posix {

tl::unexpected<Error> os_error(const std::string& path, int error_number);

// Repeats a call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

int flags_of(OpenMode mode);
// `fd` was opened with the flags of `mode`. kRefused: not a regular file.
Result<std::unique_ptr<File>> make_file(Descriptor fd, const std::string& path, OpenMode mode);
// Of `name` in the directory `parent`, or AT_FDCWD; a link has none.
std::optional<FileStamp> stamp_of(int parent, const char* name);
Result<std::vector<std::string>> names_in(Descriptor fd, const std::string& path);  // sorted
// What `name` in `parent` is, with all below it; never follows links.
Status remove_below(int parent, const std::string& name, const std::string& shown, int depth = 0);

}  // namespace sluice::posix
