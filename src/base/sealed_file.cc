#include "base/sealed_file.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/aead.h"
#include "base/entropy.h"

namespace sluice {
namespace {

constexpr Bytes kMagic("SLUICEEN", 8);
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPage = 4'096, kStored = kPage + kTagSize, kSalt = 16;
constexpr std::size_t kPagesAtOnce = 64;
constexpr Bytes kPurpose("sealed file");

struct Header {
  char magic[8];
  std::uint32_t version, page;
  char salt[kSalt];
};
static_assert(sizeof(Header) == 32);

Aead aead_of(Bytes key, const Header& header, Aead::Use use) {
  return Aead(derive_key(key, Bytes(header.salt, kSalt), kPurpose).view(), use);
}

// The last page is sealed as such: a file that was cut between two pages has none.
Nonce nonce_of(std::uint64_t page, bool last) { return counter_nonce(page, last ? 1 : 0); }

class NewSealedFile final : public File {
 public:
  NewSealedFile(std::unique_ptr<File> file, std::string path, const Header& header, Bytes key)
      : file_(std::move(file)),
        path_(std::move(path)),
        aead_(aead_of(key, header, Aead::Use::kSeal)),
        sealed_(reinterpret_cast<const char*>(&header), sizeof(header)) {}

  Status append(std::span<const Bytes> pieces) override {
    if (ended_) return fail(Code::kConflict, path_ + ": a sealed file is written once");
    for (Bytes piece : pieces) {
      size_ += piece.size();
      while (!piece.empty()) {
        // A full page waits until more comes: it may be the last one.
        if (waiting_.size() == kPage) SLUICE_CHECK(seal_page(false));
        const Bytes part = piece.substr(0, kPage - waiting_.size());
        waiting_.append(part);
        piece.remove_prefix(part.size());
      }
    }
    return {};
  }
  Status sync() override {
    if (!ended_) {
      SLUICE_CHECK(seal_page(true));
      SLUICE_CHECK(write());
      ended_ = true;
    }
    return file_->sync();
  }
  Result<ByteCount> size() const override { return size_; }
  Result<std::size_t> read_at(ByteCount, MutableBytes) const override { return not_here(); }
  Status truncate(ByteCount) override { return not_here(); }
  Status lock() override { return file_->lock(); }

 private:
  tl::unexpected<Error> not_here() const { return fail(Code::kConflict, path_ + ": it is being sealed"); }
  Status seal_page(bool last) {
    const std::size_t at = sealed_.size();
    sealed_.resize(at + waiting_.size() + kTagSize);
    if (!aead_.seal(nonce_of(page_++, last), {}, waiting_, sealed_.data() + at)) {
      return fail(Code::kInternal, path_ + ": nothing can be sealed");
    }
    waiting_.clear();
    return sealed_.size() >= kPagesAtOnce * kStored ? write() : Status();
  }
  Status write() {
    SLUICE_CHECK(file_->append(Bytes(sealed_)));
    sealed_.clear();
    return {};
  }

  const std::unique_ptr<File> file_;
  const std::string path_;
  Aead aead_;
  std::string waiting_;  // the page that is being filled
  std::string sealed_;   // not written yet
  std::uint64_t page_ = 0;
  ByteCount size_ = 0;
  bool ended_ = false;
};

class SealedFile final : public File {
 public:
  SealedFile(std::unique_ptr<File> file, std::string path, const Header& header, Bytes key, ByteCount stored)
      : file_(std::move(file)),
        path_(std::move(path)),
        aead_(aead_of(key, header, Aead::Use::kOpen)),
        stored_(stored),
        pages_((stored + kStored - 1) / kStored) {}

  Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const override {
    const ByteCount all = plain_size();
    std::size_t have = 0;
    while (have < out.size() && offset < all) {
      SLUICE_TRY(const Bytes page, page_at(offset / kPage));
      const Bytes part = page.substr(static_cast<std::size_t>(offset % kPage), out.size() - have);
      part.copy(out.data() + have, part.size());
      have += part.size();
      offset += part.size();
    }
    return have;
  }
  Result<ByteCount> size() const override {
    SLUICE_CHECK(page_at(pages_ - 1));  // that there is no more of it
    return plain_size();
  }
  Result<unsigned> permissions() const override { return file_->permissions(); }
  Status append(std::span<const Bytes>) override { return not_now(); }
  Status truncate(ByteCount) override { return not_now(); }
  Status sync() override { return file_->sync(); }
  Status lock() override { return file_->lock(); }

 private:
  Status not_now() const { return fail(Code::kConflict, path_ + ": a sealed file is written once"); }
  ByteCount plain_size() const { return stored_ - pages_ * kTagSize; }
  // Valid until the next call.
  Result<Bytes> page_at(std::uint64_t number) const {
    if (number_ == number) return Bytes(page_);
    const auto length = static_cast<std::size_t>(std::min<ByteCount>(kStored, stored_ - number * kStored));
    number_.reset();
    sealed_.resize(length);
    SLUICE_TRY(const std::size_t got, file_->read_at(sizeof(Header) + number * kStored, sealed_));
    page_.resize(length - std::min(length, kTagSize));
    if (got < length || !aead_.open(nonce_of(number, number + 1 == pages_), {}, sealed_, page_.data())) {
      return fail(Code::kIo, path_ + " is damaged, or sealed with another key");
    }
    number_ = number;
    return Bytes(page_);
  }

  const std::unique_ptr<File> file_;
  const std::string path_;
  mutable Aead aead_;
  const ByteCount stored_;  // behind the header
  const std::uint64_t pages_;
  mutable std::optional<std::uint64_t> number_;  // of the page that is open
  mutable std::string sealed_, page_;
};

}  // namespace

Result<std::unique_ptr<File>> SealedFiles::open(const std::string& path, OpenMode mode) {
  if (mode != OpenMode::kRead && mode != OpenMode::kCreateNew) {
    return fail(Code::kInternal, path + ": a sealed file is written once");
  }
  SLUICE_TRY(auto file, inner_->open(path, mode));
  Header header{};
  if (mode == OpenMode::kCreateNew) {
    kMagic.copy(header.magic, sizeof(header.magic));
    header.version = kVersion;
    header.page = kPage;
    SystemEntropy().fill(header.salt);
    return std::make_unique<NewSealedFile>(std::move(file), path, header, key_.view());
  }
  SLUICE_TRY(const ByteCount size, file->size());
  SLUICE_TRY(const std::size_t got, file->read_at(0, MutableBytes(reinterpret_cast<char*>(&header), sizeof(header))));
  if (got < sizeof(header) || Bytes(header.magic, sizeof(header.magic)) != kMagic) {
    return fail(Code::kInvalid, path + " is no sealed file");
  }
  if (header.version != kVersion || header.page != kPage) {
    return fail(Code::kInvalid, path + " is a sealed file of a later version");
  }
  const ByteCount stored = size - sizeof(header);
  if (stored % kStored < kTagSize && (stored == 0 || stored % kStored != 0)) {
    return fail(Code::kIo, path + " is cut off");
  }
  return std::make_unique<SealedFile>(std::move(file), path, header, key_.view(), stored);
}

}  // namespace sluice
