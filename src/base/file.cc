#include "base/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace sluice {

Result<std::string> FileSystem::load_file(const std::string& path, ByteCount limit) {
  SLUICE_TRY(auto file, open(path, OpenMode::kRead));
  SLUICE_TRY(const ByteCount announced, file->size());
  const auto too_large = [&] { return fail(Code::kTooLarge, fmt::format("{}: larger than {} bytes", path, limit)); };
  if (announced > limit) return too_large();
  // The size is a hint only: pseudo files say 0, and a file may grow while it is read.
  std::string content;
  for (;;) {
    const std::size_t had = content.size();
    const std::size_t step = std::max<std::size_t>(had < announced ? announced - had + 1 : 0, 4096);
    content.resize(had + step);
    auto got = file->read_at(had, MutableBytes(content.data() + had, step));
    if (!got) return fail(std::move(got).error());
    content.resize(had + *got);
    if (content.size() > limit) return too_large();
    if (*got < step) return content;
  }
}

Status FileSystem::save_file(const std::string& path, Bytes content) {
  // The name carries the process, and kCreateNew tells apart the threads of it.
  std::string temporary;
  std::unique_ptr<File> file;
  for (int attempt = 0;; ++attempt) {
    temporary = fmt::format("{}.{}-{}.tmp", path, ::getpid(), attempt);
    auto opened = open(temporary, OpenMode::kCreateNew);
    if (opened) {
      file = *std::move(opened);
      break;
    }
    if (opened.error().code != Code::kConflict || attempt == 99) return fail(std::move(opened).error());
  }
  Status written = file->append(content);
  if (written) written = file->sync();
  file.reset();
  if (written) written = rename(temporary, path);
  if (!written) (void)remove(temporary);  // the first error is the one to tell
  return written;
}

}  // namespace sluice
