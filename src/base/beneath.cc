#include "base/beneath.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/posix.h"

namespace sluice {
namespace {

using posix::os_error;
using posix::uninterrupted;

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// "a/b/c" in steps. kRefused: a step that would lead elsewhere.
Result<std::vector<std::string>> steps_of(std::string_view path, const std::string& shown) {
  std::vector<std::string> steps;
  while (!path.empty()) {
    const std::string_view step = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), step.size() + 1));
    if (step.empty()) continue;
    if (step == "." || step == ".." || step.find('\0') != step.npos) {
      return fail(Code::kRefused, shown + ": a path with such a step is refused");
    }
    steps.emplace_back(step);
  }
  return steps;
}

Result<Descriptor> step_into(int parent, const std::string& name, const std::string& shown, bool make) {
  if (make && ::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
    const int error_number = errno;
    struct stat info {};
    // A parent that may not be written is no hindrance where the directory is there.
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return os_error(shown, error_number);
  }
  const int fd = uninterrupted([&] { return ::openat(parent, name.c_str(), kDirectory); });
  if (fd >= 0) return Descriptor(fd);
  if (errno == ENOTDIR || errno == ELOOP) {
    return fail(Code::kRefused, shown + ": \"" + name + "\" is a link or no directory");
  }
  return os_error(shown, errno);
}

void sync_directory(int fd) { (void)::fsync(fd); }  // some file systems cannot: not an error

}  // namespace

struct BeneathFileSystem::Spot {
  Descriptor parent;
  std::string name;  // empty: the root itself
};

Result<std::unique_ptr<BeneathFileSystem>> BeneathFileSystem::open(const std::string& top, const std::string& below,
                                                                   IfAbsent absent) {
  const bool make = absent == IfAbsent::kMake;
  if (make) (void)::mkdir(top.c_str(), 0700);
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(top.c_str(), nullptr), &std::free);
  if (!real) return os_error(top, errno);
  std::string path = real.get();
  const int fd = uninterrupted([&] { return ::open(path.c_str(), kDirectory); });
  if (fd < 0) return os_error(path, errno);
  Descriptor at(fd);
  if (path == "/") path.clear();
  SLUICE_TRY(const auto steps, steps_of(below, top + "/" + below));
  for (const std::string& step : steps) {
    path += "/" + step;
    SLUICE_TRY(at, step_into(at.get(), step, path, make));
  }
  return std::unique_ptr<BeneathFileSystem>(new BeneathFileSystem(at.release(), std::move(path)));
}

BeneathFileSystem::~BeneathFileSystem() { ::close(fd_); }

Result<std::vector<std::string>> BeneathFileSystem::steps_to(const std::string& path) const {
  const bool below = path.starts_with(path_) && (path.size() == path_.size() || path[path_.size()] == '/');
  if (!below) return fail(Code::kRefused, path + " is outside " + path_);
  return steps_of(std::string_view(path).substr(path_.size()), path);
}

Result<BeneathFileSystem::Spot> BeneathFileSystem::find(const std::string& path) const {
  SLUICE_TRY(auto steps, steps_to(path));
  Spot spot{Descriptor(::fcntl(fd_, F_DUPFD_CLOEXEC, 0)), ""};
  if (spot.parent.get() < 0) return os_error(path, errno);
  if (steps.empty()) return spot;
  spot.name = std::move(steps.back());
  steps.pop_back();
  for (const std::string& step : steps) {
    SLUICE_TRY(spot.parent, step_into(spot.parent.get(), step, path, false));
  }
  return spot;
}

Result<std::unique_ptr<File>> BeneathFileSystem::open(const std::string& path, OpenMode mode) {
  SLUICE_TRY(const Spot spot, find(path));
  const int flags = posix::flags_of(mode) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const int fd = uninterrupted([&] { return ::openat(spot.parent.get(), spot.name.c_str(), flags, 0600); });
  if (fd < 0) return os_error(path, errno);
  if (mode == OpenMode::kCreateNew || mode == OpenMode::kCreateDirect) sync_directory(spot.parent.get());
  return posix::make_file(Descriptor(fd), path, mode);
}

Status BeneathFileSystem::make_directories(const std::string& path) {
  SLUICE_TRY(const auto steps, steps_to(path));
  Descriptor at(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  if (at.get() < 0) return os_error(path, errno);
  for (const std::string& step : steps) {
    SLUICE_TRY(Descriptor next, step_into(at.get(), step, path, true));
    sync_directory(at.get());
    at = std::move(next);
  }
  return {};
}

Result<std::vector<std::string>> BeneathFileSystem::list(const std::string& directory) {
  SLUICE_TRY(Spot spot, find(directory));
  if (!spot.name.empty()) {
    SLUICE_TRY(spot.parent, step_into(spot.parent.get(), spot.name, directory, false));
  } else {
    // A duplicate shares its offset with the root's handle: a new one begins at the beginning.
    const int fd = uninterrupted([&] { return ::openat(spot.parent.get(), ".", kDirectory); });
    if (fd < 0) return os_error(directory, errno);
    spot.parent = Descriptor(fd);
  }
  return posix::names_in(std::move(spot.parent), directory);
}

Status BeneathFileSystem::rename(const std::string& from, const std::string& to) {
  SLUICE_TRY(const Spot old, find(from));
  SLUICE_TRY(const Spot fresh, find(to));
  if (::renameat(old.parent.get(), old.name.c_str(), fresh.parent.get(), fresh.name.c_str()) != 0) {
    return os_error(from, errno);
  }
  sync_directory(fresh.parent.get());
  return {};
}

Status BeneathFileSystem::remove(const std::string& path) {
  const auto spot = find(path);
  if (!spot) return spot.error().code == Code::kNotFound ? Status{} : fail(spot.error());
  if (::unlinkat(spot->parent.get(), spot->name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return os_error(path, errno);
}

Status BeneathFileSystem::remove_tree(const std::string& directory) {
  const auto spot = find(directory);
  if (!spot) return spot.error().code == Code::kNotFound ? Status{} : fail(spot.error());
  if (spot->name.empty()) return fail(Code::kRefused, directory + " is the root itself");
  return posix::remove_below(spot->parent.get(), spot->name, directory);
}

std::optional<FileStamp> BeneathFileSystem::stamp(const std::string& path) {
  const auto steps = steps_to(path);
  if (!steps || steps->empty()) return std::nullopt;
  Descriptor parent(-1);
  for (std::size_t i = 0; i + 1 < steps->size(); ++i) {
    auto next = step_into(i == 0 ? fd_ : parent.get(), (*steps)[i], path, false);
    if (!next) return std::nullopt;
    parent = *std::move(next);
  }
  return posix::stamp_of(steps->size() == 1 ? fd_ : parent.get(), steps->back().c_str());
}

bool BeneathFileSystem::exists(const std::string& path) {
  const auto spot = find(path);
  struct stat info {};
  return spot && ::fstatat(spot->parent.get(), spot->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace sluice
