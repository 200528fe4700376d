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

using Word = std::atomic_ref<std::uint64_t>;
static_assert(Word::is_always_lock_free, "processes share the words");

std::uint64_t word_of(std::int64_t revision) { return static_cast<std::uint64_t>(revision) & ~kUnderWay; }

// All of it is on the disk before it is mapped: a page that finds no room when it is written ends the process.
std::uint64_t* map(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return nullptr;
  if (info.st_size < static_cast<off_t>(kSize) && ::posix_fallocate(fd, 0, kSize) != 0) return nullptr;
  void* const at = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<std::uint64_t*>(at);
}

}  // namespace

GateBell::GateBell(std::string path) : path_(std::move(path)) {}

GateBell::~GateBell() {
  if (words_) ::munmap(words_, kSize);
}

bool GateBell::open() {
  if (!tried_) {
    tried_ = true;
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd >= 0) {
      words_ = map(fd);
      ::close(fd);
    }
  }
  return words_ != nullptr;
}

std::optional<std::uint64_t> GateBell::word(std::size_t part) {
  if (!open()) return std::nullopt;
  const std::uint64_t word = Word(words_[part]).load();
  return word & kUnderWay ? std::nullopt : std::optional(word);
}

void GateBell::begin(std::size_t part, std::int64_t revision) {
  if (open()) Word(words_[part]).store(kUnderWay | word_of(revision));
}

void GateBell::settle(std::size_t part, std::int64_t revision) {
  if (!open()) return;
  std::uint64_t begun = kUnderWay | word_of(revision);
  Word(words_[part]).compare_exchange_strong(begun, word_of(revision));
}

}  // namespace sluice::gateway
