// SystemFileSystem: the disk by POSIX calls.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "base/direct_file.h"
#include "base/file.h"
#include "base/posix.h"

namespace sluice::posix {
namespace {

constexpr std::size_t kMaxPieces = 64;            // of one writev: well below IOV_MAX
constexpr std::int64_t kSettled = 2'000'000'000;  // ns: some file systems keep times of two seconds
constexpr int kMaxTreeDepth = 64;                 // remove_tree holds one descriptor for each level

Code code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return Code::kRefused;  // ELOOP: a link where O_NOFOLLOW wants none
    case EEXIST:
    case ENOTEMPTY:
    case EWOULDBLOCK:
      return Code::kConflict;
    default:
      return Code::kIo;
  }
}

class SystemFile final : public File {
 public:
  SystemFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status append(std::span<const Bytes> pieces) override {
    std::size_t skip = 0;  // octets of pieces.front() that are written
    while (!pieces.empty()) {
      std::array<iovec, kMaxPieces> vectors;
      std::size_t count = 0;
      for (Bytes piece : pieces.first(std::min(pieces.size(), kMaxPieces))) {
        const Bytes rest = count == 0 ? piece.substr(skip) : piece;
        vectors[count++] = {const_cast<char*>(rest.data()), rest.size()};  // NOLINT: writev does not write to it
      }
      const ssize_t wrote = uninterrupted([&] { return ::writev(fd_.get(), vectors.data(), static_cast<int>(count)); });
      if (wrote < 0) return os_error(path_, errno);
      std::size_t left = static_cast<std::size_t>(wrote) + skip;
      while (!pieces.empty() && left >= pieces.front().size()) {
        left -= pieces.front().size();
        pieces = pieces.subspan(1);
      }
      if (wrote == 0 && !pieces.empty()) return fail(Code::kIo, path_ + ": the disk took nothing");
      skip = left;
    }
    return {};
  }

  Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const override {
    if (offset > static_cast<ByteCount>(std::numeric_limits<off_t>::max()) - out.size()) return std::size_t{0};
    std::size_t have = 0;
    while (have < out.size()) {
      const ssize_t got = uninterrupted(
          [&] { return ::pread(fd_.get(), out.data() + have, out.size() - have, static_cast<off_t>(offset + have)); });
      if (got < 0) return os_error(path_, errno);
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    return have;
  }

  Result<ByteCount> size() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return os_error(path_, errno);
    return static_cast<ByteCount>(info.st_size);
  }

  Result<unsigned> permissions() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return os_error(path_, errno);
    return static_cast<unsigned>(info.st_mode & 07777);
  }

  Status truncate(ByteCount size) override {
    return done(uninterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }));
  }

  Status sync() override {
    return done(uninterrupted([&] { return ::fdatasync(fd_.get()); }));
  }

  Status lock() override {
    if (uninterrupted([&] { return ::flock(fd_.get(), LOCK_EX | LOCK_NB); }) == 0) return {};
    if (errno == EWOULDBLOCK) return fail(Code::kConflict, path_ + ": locked by another process");
    return os_error(path_, errno);
  }

 private:
  Status done(int result) const {
    if (result != 0) return os_error(path_, errno);
    return {};
  }

  Descriptor fd_;
  std::string path_;
};

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

}  // namespace

tl::unexpected<Error> os_error(const std::string& path, int error_number) {
  return fail(code_of(error_number), fmt::format("{}: {}", path, errno_text(error_number)));
}

Result<std::vector<std::string>> names_in(Descriptor fd, const std::string& path) {
  const Directory directory(::fdopendir(fd.get()));
  if (!directory) return os_error(path, errno);
  fd.release();  // the DIR closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return os_error(path, errno);
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<FileStamp> stamp_of(int parent, const char* name) {
  struct stat info {};
  timespec now{};
  if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return std::nullopt;  // the one that files' times are of
  const auto ns = [](const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
  const FileStamp stamp{info.st_dev, info.st_ino, static_cast<ByteCount>(info.st_size), ns(info.st_mtim),
                        ns(info.st_ctim)};
  if (std::max(stamp.modified_ns, stamp.changed_ns) > ns(now) - kSettled) return std::nullopt;
  return stamp;
}

Status remove_below(int parent, const std::string& name, const std::string& shown, int depth) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  const int unlink_error = errno;
  if (unlink_error != EISDIR && unlink_error != EPERM) return os_error(shown, unlink_error);
  if (depth > kMaxTreeDepth) return fail(Code::kTooLarge, shown + ": directories nested too deep");
  const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return os_error(shown, errno == ENOTDIR ? unlink_error : errno);
  const Descriptor directory(fd);
  SLUICE_TRY(const auto names, names_in(Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), shown));
  for (const std::string& child : names) SLUICE_CHECK(remove_below(fd, child, shown + "/" + child, depth + 1));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return os_error(shown, errno);
  return {};
}

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kAppend:
      return O_RDWR | O_APPEND | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_APPEND | O_CREAT | O_EXCL;
    case OpenMode::kCreateDirect:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

Result<std::unique_ptr<File>> make_file(Descriptor fd, const std::string& path, OpenMode mode) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return os_error(path, errno);
  if (!S_ISREG(info.st_mode)) return fail(Code::kRefused, path + ": not a regular file");
  if (mode == OpenMode::kCreateDirect) return make_direct_file(fd.release(), path);
  return std::make_unique<SystemFile>(std::move(fd), path);
}

}  // namespace sluice::posix

namespace sluice {
namespace {

using posix::os_error;
using posix::uninterrupted;

// So that the new name survives a power cut. Some file systems cannot do this: not an error.
void sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const Descriptor holder(fd);
  (void)::fsync(fd);
}

}  // namespace

Result<std::unique_ptr<File>> SystemFileSystem::open(const std::string& path, OpenMode mode) {
  // O_NONBLOCK: opening a FIFO by mistake must not hang; it means nothing to a regular file.
  const int flags = posix::flags_of(mode) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const int fd = uninterrupted([&] { return ::open(path.c_str(), flags, 0600); });
  if (fd < 0) return os_error(path, errno);
  return posix::make_file(Descriptor(fd), path, mode);
}

Status SystemFileSystem::make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      // A parent that may not be written (or is read-only) but is there is as good as made.
      const int error_number = errno;
      struct stat info {};
      if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return os_error(part, error_number);
    }
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return os_error(path, errno);
  if (!S_ISDIR(info.st_mode)) return fail(Code::kConflict, path + ": exists and is not a directory");
  return {};
}

Result<std::vector<std::string>> SystemFileSystem::list(const std::string& directory) {
  const int fd = uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return os_error(directory, errno);
  return posix::names_in(Descriptor(fd), directory);
}

Status SystemFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return os_error(from, errno);
  sync_directory_of(to);
  return {};
}

Status SystemFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return os_error(path, errno);
}

Status SystemFileSystem::remove_tree(const std::string& directory) {
  return posix::remove_below(AT_FDCWD, directory, directory);
}

std::optional<FileStamp> SystemFileSystem::stamp(const std::string& path) {
  return posix::stamp_of(AT_FDCWD, path.c_str());
}

bool SystemFileSystem::exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace sluice
