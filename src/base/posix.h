// What FileSystems over POSIX calls share. Private to base.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);  // no retry at EINTR: on Linux the descriptor is gone either way
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int flags_of(OpenMode mode);
// `fd` was opened with the flags of `mode`. kRefused: not a regular file.
Result<std::unique_ptr<File>> make_file(Descriptor fd, const std::string& path, OpenMode mode);
Result<std::vector<std::string>> names_in(Descriptor fd, const std::string& path);  // sorted
// What `name` in `parent` is, with all below it; never follows links.
Status remove_below(int parent, const std::string& name, const std::string& shown, int depth = 0);

}  // namespace sluice::posix
