#include "proxy/file_roots.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/descriptor.h"
#include "base/text.h"

namespace sluice::proxy {
namespace {

using Identity = std::pair<dev_t, ino_t>;

std::optional<Identity> identity_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return std::nullopt;
  return Identity{facts.st_dev, facts.st_ino};
}

std::optional<Identity> identity_of(const std::string& path) {
  struct stat facts {};
  if (path.empty() || ::stat(path.c_str(), &facts) != 0) return std::nullopt;
  return Identity{facts.st_dev, facts.st_ino};
}

constexpr int kDeepest = 1024;  // folders above a file

Error cannot_open(const std::string& path, int error) {
  const std::string shown = repair_utf8(path.substr(0, 200));
  if (error == ENOENT) return {Code::kNotFound, "there is no file \"" + shown + "\" beneath an allowed root"};
  if (error == ELOOP || error == ENOTDIR) {
    return {Code::kRefused, "\"" + shown + "\" leads over a link or something that is no folder"};
  }
  if (error == EACCES) return {Code::kRefused, "\"" + shown + "\" may not be read"};
  return {Code::kIo, "\"" + shown + "\" cannot be opened"};
}

}  // namespace

Result<int> FileRoots::open(const std::string& path) const {
  if (roots_.empty()) return fail(Code::kRefused, "no folder may be read: start Sluice with --allow-root DIR");
  Error problem{Code::kRefused,
                "\"" + repair_utf8(path.substr(0, 200)) + "\" lies beneath no allowed root (--allow-root)"};
  for (std::string root : roots_) {
    if (root.size() > 1 && root.ends_with('/')) root.pop_back();
    std::string_view below = path;
    if (path.starts_with('/')) {
      if (!path.starts_with(root + '/')) continue;
      below.remove_prefix(root.size() + 1);
    }
    auto opened = open_beneath(root, below, path);
    if (opened) return opened;
    problem = std::move(opened.error());
    if (problem.code != Code::kNotFound) break;
  }
  return fail(std::move(problem));
}

// Compared by what the folders are, not by how they are called: a root may be reached over a link.
bool FileRoots::is_closed(int folder) const {
  const auto closed = identity_of(closed_), open = identity_of(open_), policy = identity_of(policy_);
  if (!closed && !policy) return false;  // there is none
  Descriptor at(::openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < kDeepest; ++depth) {
    const auto here = identity_of(at.get());
    if (!here || (closed && here == closed) || (policy && here == policy)) return true;
    if (here == open) return false;
    Descriptor above(::openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (identity_of(above.get()) == here) return false;  // the root of all
    at = std::move(above);
  }
  return true;
}

Result<int> FileRoots::open_beneath(const std::string& root, std::string_view below, const std::string& path) const {
  Descriptor at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.get() < 0) return fail(Code::kNotFound, "an allowed root is not there: " + root);
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = below.find('/', begin);
    const std::string step(below.substr(begin, end == std::string::npos ? end : end - begin));
    if (step.empty() || step == "." || step == "..") return fail(cannot_open(path, ELOOP));  // checked with the rule
    const bool last = end == std::string::npos;
    // O_NONBLOCK: a FIFO must not hold the worker up; that it is no file is said below.
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    Descriptor next(::openat(at.get(), step.c_str(), flags));
    if (next.get() < 0) return fail(cannot_open(path, errno));
    if (last && is_closed(at.get())) {
      return fail(Code::kRefused,
                  "\"" + repair_utf8(path.substr(0, 200)) + "\" lies in Sluice's own folder or the policy's");
    }
    at = std::move(next);
    if (last) return at.release();
    begin = end + 1;
  }
}

Result<std::string> FileRoots::read(const std::string& path) const {
  SLUICE_TRY(const int fd, open(path));
  const Descriptor at(fd);
  struct stat facts {};
  if (::fstat(at.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return fail(cannot_open(path, ENOTDIR));
  if (static_cast<ByteCount>(facts.st_size) > most_) {
    return fail(Code::kTooLarge,
                "\"" + repair_utf8(path.substr(0, 200)) + "\" is over " +
                    (most_ >= kMiB ? std::to_string(most_ / kMiB) + " MiB" : std::to_string(most_ / kKiB) + " KiB"));
  }
  std::string content(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t got = ::read(at.get(), content.data() + have, content.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(cannot_open(path, EIO));
    if (got == 0) break;  // it became shorter
    have += static_cast<std::size_t>(got);
  }
  content.resize(have);
  return content;
}

}  // namespace sluice::proxy
