#include "gateway/gate_bell.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

namespace sluice::gateway {
namespace {

constexpr std::size_t kSize = 4096;
constexpr std::uint64_t kUnderWay = std::uint64_t{1} << 63;

using Word = std::atomic_ref<const std::uint64_t>;
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free, "processes share the words");

std::uint64_t word_of(std::int64_t revision) { return static_cast<std::uint64_t>(revision) & ~kUnderWay; }

}  // namespace

GateBell::GateBell(std::string path) : path_(std::move(path)) {}

GateBell::~GateBell() {
  if (words_) ::munmap(const_cast<std::uint64_t*>(words_), kSize);
  if (fd_ >= 0) ::close(fd_);
}

// Words are written to the file and read where it is mapped: a store that finds no room on the disk ends the process.
bool GateBell::open() {
  if (words_) return true;
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return false;
  struct stat info {};
  const bool good = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                    (info.st_size >= static_cast<off_t>(kSize) || ::ftruncate(fd, kSize) == 0);
  void* const at = good ? ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (at == MAP_FAILED) {
    ::close(fd);
    return false;
  }
  words_ = static_cast<const std::uint64_t*>(at);
  fd_ = fd;
  return true;
}

void GateBell::write(std::size_t part, std::uint64_t word) const {
  // Where that fails others hear of the change a little later, by themselves.
  (void)!::pwrite(fd_, &word, sizeof word, static_cast<off_t>(part * sizeof word));
}

std::optional<std::uint64_t> GateBell::word(std::size_t part) {
  if (!open()) return std::nullopt;
  const std::uint64_t word = Word(words_[part]).load();
  return word & kUnderWay ? std::nullopt : std::optional(word);
}

void GateBell::begin(std::size_t part, std::int64_t revision) {
  if (open()) write(part, kUnderWay | word_of(revision));
}

void GateBell::settle(std::size_t part, std::int64_t revision) {
  if (!open()) return;
  const std::uint64_t now = Word(words_[part]).load(), settled = word_of(revision);
  // An earlier one may have been settled over the mark of this one, between its look and its write.
  if (now == (kUnderWay | settled) || now < settled) write(part, settled);
}

}  // namespace sluice::gateway
