#include "app/trusted_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/aead.h"
#include "base/descriptor.h"
#include "base/text.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxKeyFile = 4 * kKiB;

// What is read for ourselves alone may be a secret: none of it stays on the stack.
class Wiped {
 public:
  explicit Wiped(MutableBytes octets) : octets_(octets) {}
  ~Wiped() { ::explicit_bzero(octets_.data(), octets_.size()); }

 private:
  const MutableBytes octets_;
};

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

FileMark mark_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

Status check_ownership(const std::string& path, const struct stat& info, Readers readers) {
  if (!S_ISREG(info.st_mode)) return fail(Code::kRefused, path + " is no regular file");
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return fail(Code::kRefused, fmt::format("{} belongs to somebody else: it must be root's or one's own", path));
  }
  if ((info.st_mode & 022) != 0) {
    return fail(Code::kRefused, fmt::format("{} can be written by others: chmod go-w {}", path, path));
  }
  if (readers == Readers::kSelf && (info.st_mode & 077) != 0) {
    return fail(Code::kRefused, fmt::format("{} can be read by others: chmod 600 {}", path, path));
  }
  return {};
}

}  // namespace

FileMark mark_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? mark_of(info) : FileMark{};
}

Status check_trusted(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return check_ownership(path, info, Readers::kAnybody);
}

Result<std::string> load_trusted(const std::string& path, ByteCount most, Readers readers, FileMark* mark) {
  // A FIFO must not hold us up; what was opened is what is judged.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
    return fail(Code::kIo, fmt::format("{} cannot be read: {}", path, errno_text(errno)));
  }
  if (mark) *mark = mark_of(info);
  SLUICE_CHECK(check_ownership(path, info, readers));
  const auto too_large = [&] {
    return fail(Code::kTooLarge, fmt::format("{} is larger than {} KiB", path, most / kKiB));
  };
  if (static_cast<std::uint64_t>(info.st_size) > most) return too_large();
  std::string text;
  char part[64 * 1024];
  const Wiped wiped(MutableBytes(part, sizeof part));
  for (;;) {
    const ssize_t got = ::read(file.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Code::kIo, fmt::format("{} cannot be read: {}", path, errno_text(errno)));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > most) return too_large();
  }
}

Result<Secret> load_trusted_key(const std::string& path) {
  SLUICE_TRY(std::string text, load_trusted(path, kMaxKeyFile, Readers::kSelf));
  auto octets = hex_decode(trim(std::string_view(text).substr(0, text.find('\n'))));
  ::explicit_bzero(text.data(), text.size());
  if (!octets || octets->size() != kKeySize) {
    return fail(Code::kInvalid, path + " holds no key: 64 hexadecimal digits (openssl rand -hex 32)");
  }
  Secret key(*octets);
  ::explicit_bzero(octets->data(), octets->size());
  return key;
}

}  // namespace sluice::app
