#include "gateway/audit_read.h"

#include <algorithm>

#include "gateway/audit_chain.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kPart = 256 * 1024;
constexpr std::size_t kMaxLine = 4 * 1024 * 1024;

}  // namespace

Result<AuditReader> AuditReader::open(FileSystem& files, const std::string& path, ByteCount offset) {
  SLUICE_TRY(auto file, files.open(path, OpenMode::kRead));
  AuditReader reader(std::move(file), offset);
  reader.read_ = offset;
  return reader;
}

Result<std::optional<AuditReader::Line>> AuditReader::next() {
  for (std::size_t looked = used_;;) {
    const std::size_t end = buffer_.find('\n', looked);
    if (end != std::string::npos) {
      Line line{buffer_.substr(used_, end - used_), true};
      offset_ += end + 1 - used_;
      used_ = end + 1;
      return std::optional(std::move(line));
    }
    buffer_.erase(0, used_);
    used_ = 0;
    looked = buffer_.size();
    if (looked > kMaxLine) return fail(Code::kTooLarge, "a line is longer than 4 MiB");
    buffer_.resize(looked + kPart);
    auto got = file_->read_at(read_, MutableBytes(buffer_).subspan(looked));
    buffer_.resize(looked + (got ? *got : 0));
    if (!got) return fail(std::move(got).error());
    read_ += *got;
    if (*got > 0) continue;
    if (buffer_.empty()) return std::optional<Line>();
    return std::optional(Line{buffer_, false});
  }
}

bool AuditReader::is_written() const {
  const Status locked = file_->lock();
  return !locked && locked.error().code == Code::kConflict;
}

Result<std::vector<std::string>> audit_file_names(FileSystem& files, const std::string& directory) {
  SLUICE_TRY(std::vector<std::string> names, files.list(directory));
  std::erase_if(names, [](const std::string& name) { return !read_chain_file_name(name); });
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return read_chain_file_name(a)->number < read_chain_file_name(b)->number;
  });
  return names;
}

}  // namespace sluice::gateway
