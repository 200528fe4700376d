#include "base/direct_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sluice {
namespace {

constexpr std::size_t kBlock = 4096;          // alignment of memory, offset and length: the largest common one
constexpr std::size_t kBuffer = 1024 * 1024;  // one write

struct Freer {
  void operator()(char* memory) const { std::free(memory); }
};

class DirectFile final : public File {
 public:
  DirectFile(int fd, std::string path)
      : fd_(fd), path_(std::move(path)), buffer_(static_cast<char*>(std::aligned_alloc(kBlock, kBuffer))) {
    if (!buffer_) throw std::bad_alloc();
    const int flags = ::fcntl(fd_, F_GETFL);
    direct_ = flags >= 0 && ::fcntl(fd_, F_SETFL, flags | O_DIRECT) == 0;
  }
  ~DirectFile() override {
    (void)::ftruncate(fd_, static_cast<off_t>(base_ + used_));
    ::close(fd_);
  }

  Status append(std::span<const Bytes> pieces) override {
    if (ended_) return fail(Code::kInvalid, path_ + ": a direct file that was cut takes nothing more");
    for (Bytes piece : pieces) {
      if (used_ == 0) SLUICE_CHECK(write_in_place(piece));
      while (!piece.empty()) {
        const std::size_t count = std::min(piece.size(), kBuffer - used_);
        std::memcpy(buffer_.get() + used_, piece.data(), count);
        piece.remove_prefix(count);
        used_ += count;
        if (used_ == kBuffer) SLUICE_CHECK(write_out());
      }
    }
    return write_out();
  }

  Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const override {
    const ByteCount end = base_ + used_;
    if (offset >= end) return std::size_t{0};
    out = out.first(static_cast<std::size_t>(std::min<ByteCount>(out.size(), end - offset)));
    // The memory of the caller is not aligned: through a block of our own.
    std::unique_ptr<char, Freer> block(static_cast<char*>(std::aligned_alloc(kBlock, kBuffer)));
    if (!block) throw std::bad_alloc();
    std::size_t have = 0;
    while (have < out.size()) {
      const ByteCount from = (offset + have) / kBlock * kBlock;
      const std::size_t skip = static_cast<std::size_t>(offset + have - from);
      const ssize_t got = ::pread(fd_, block.get(), kBuffer, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return error(errno);
      if (static_cast<std::size_t>(got) <= skip) break;
      const std::size_t count = std::min(out.size() - have, static_cast<std::size_t>(got) - skip);
      std::memcpy(out.data() + have, block.get() + skip, count);
      have += count;
    }
    return have;
  }

  Result<ByteCount> size() const override { return base_ + used_; }
  // To less: what a failed append left goes. Nothing can be appended behind it.
  Status truncate(ByteCount size) override {
    if (size > base_ + used_) return fail(Code::kInvalid, path_ + ": a direct file grows by appending alone");
    base_ = size;
    used_ = 0;
    ended_ = true;
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return error(errno);
    return {};
  }
  Status sync() override {
    if (::fdatasync(fd_) != 0) return error(errno);
    return {};
  }
  Status lock() override {
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EWOULDBLOCK) return fail(Code::kConflict, path_ + ": locked by another process");
    return error(errno);
  }

 private:
  tl::unexpected<Error> error(int number) const {
    return fail(Code::kIo, fmt::format("{}: {}", path_, errno_text(number)));
  }

  // Whole blocks that lie aligned in the caller's memory need no copy; they are taken off `piece`.
  Status write_in_place(Bytes& piece) {
    if (reinterpret_cast<std::uintptr_t>(piece.data()) % kBlock != 0) return {};
    const std::size_t whole = piece.size() / kBlock * kBlock;
    SLUICE_CHECK(write_at(base_, piece.substr(0, whole)));
    base_ += whole;
    piece.remove_prefix(whole);
    return {};
  }

  // Everything that is here, padded to whole blocks; an unfinished last block stays and is written again.
  Status write_out() {
    const std::size_t padded = (used_ + kBlock - 1) / kBlock * kBlock;
    std::memset(buffer_.get() + used_, 0, padded - used_);
    SLUICE_CHECK(write_at(base_, Bytes(buffer_.get(), padded)));
    const std::size_t whole = used_ / kBlock * kBlock;
    std::memmove(buffer_.get(), buffer_.get() + whole, used_ - whole);
    base_ += whole;
    used_ -= whole;
    return {};
  }

  // Whole blocks.
  Status write_at(ByteCount offset, Bytes octets) {
    for (std::size_t done = 0; done < octets.size();) {
      const ssize_t wrote =
          ::pwrite(fd_, octets.data() + done, octets.size() - done, static_cast<off_t>(offset + done));
      if (wrote > 0) {
        done += static_cast<std::size_t>(wrote);
        if (done % kBlock != 0) leave_direct();
        continue;
      }
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0 && errno == EINVAL && direct_) {  // the file system took the flag and not the write
        leave_direct();
        continue;
      }
      return error(wrote == 0 ? ENOSPC : errno);
    }
    return {};
  }

  void leave_direct() {
    direct_ = false;
    const int flags = ::fcntl(fd_, F_GETFL);
    if (flags >= 0) (void)::fcntl(fd_, F_SETFL, flags & ~O_DIRECT);
  }

  int fd_;
  std::string path_;
  std::unique_ptr<char, Freer> buffer_;
  ByteCount base_ = 0;    // offset of the buffer in the file; whole blocks, until it has ended
  std::size_t used_ = 0;  // octets in it
  bool direct_ = false, ended_ = false;
};

}  // namespace

std::unique_ptr<File> make_direct_file(int fd, std::string path) {
  return std::make_unique<DirectFile>(fd, std::move(path));
}

}  // namespace sluice
