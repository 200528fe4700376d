#include "session/text_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "capture/text_pages.h"
#include "session/body_text.h"
#include "session/manifest.h"

namespace sluice::session {
namespace {

using capture::TextPagesBuilder;
using capture::TextPagesFile;

// Of one file, where little of it is text: what is begun and not finished is gone through again.
constexpr ByteCount kMostGoneThrough = 128 * kMiB;
constexpr std::size_t kMostRows = 262'144;
constexpr std::uint64_t kMostSeq = 500'000'000;

std::string folder_of(const std::string& directory) { return directory + "/text"; }

std::string unit_path(const std::string& directory, std::int64_t first) {
  return fmt::format("{}/{:08}.tri", folder_of(directory), first);
}

// One file that is being made.
struct Unit {
  TextPagesBuilder pages;
  ByteCount gone_through = 0;

  bool is_full() const {
    return pages.pages() >= TextPagesBuilder::kMostPages || gone_through >= kMostGoneThrough ||
           pages.rows() >= kMostRows;
  }

  void add(std::uint64_t seq, const BodyTexts* texts) {
    if (!texts) return pages.add_unknown(seq);
    gone_through += texts->request.size() + texts->response.size();
    const std::array<Bytes, 2> both{text_of(texts->response), text_of(texts->request)};
    pages.add(seq, both);
  }

 private:
  static Bytes text_of(Bytes body) {
    const Bytes text = body.substr(0, static_cast<std::size_t>(kMostText));
    return is_binary(text) ? Bytes() : text;
  }
};

// Through which they are read and written.
std::shared_ptr<FileSystem> unit_files(const std::shared_ptr<FileSystem>& files, const SessionKeyPtr& key) {
  return key ? key->seal_files(files, "text") : files;
}

std::vector<std::string> units(FileSystem& files, const std::string& directory) {
  std::vector<std::string> paths;
  const auto names = files.list(folder_of(directory));
  if (!names) return paths;
  for (const std::string& name : *names) {
    if (name.ends_with(".tri")) paths.push_back(folder_of(directory) + "/" + name);
  }
  return paths;
}

}  // namespace

Result<ByteCount> extend_text_index(const std::shared_ptr<FileSystem>& from, const std::string& directory, Index& index,
                                    const SessionKeyPtr& key, const std::function<bool()>& stop) {
  const auto own = unit_files(from, key);
  FileSystem& files = *own;
  const std::int64_t made = index.made();
  std::int64_t done = 0;  // the last block that a file covers
  for (const std::string& path : units(files, directory)) {
    const auto unit = TextPagesFile::load(files, path, made, TextPagesFile::Lists::kNo);
    if (unit) {
      done = std::max(done, unit->last());
    } else {
      SLUICE_CHECK(files.remove(path));  // of another index
    }
  }
  const bool whole = index.is_sealed();
  SLUICE_TRY(const auto blocks, index.blocks_after(done, whole));
  if (!blocks.empty()) SLUICE_CHECK(files.make_directories(folder_of(directory)));
  BodyTextReader reader(*from, directory, key);
  Unit unit;
  ByteCount text = 0;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (first == 0) first = blocks[i];
    SLUICE_TRY(const auto seqs, index.seqs_of(blocks[i]));
    for (const std::uint64_t seq : seqs) {
      if (stop()) return text;
      SLUICE_TRY(const auto row, index.find(seq));
      if (!row) continue;  // dropped
      const BodyTexts* const texts = reader.read(*row);
      if (texts) text += texts->request.size() + texts->response.size();
      unit.add(seq, texts);
    }
    const bool last = i + 1 == blocks.size();
    if (!unit.is_full() && !(last && whole)) continue;
    if (!unit.pages.empty()) {
      SLUICE_CHECK(files.save_file(unit_path(directory, first), unit.pages.octets(made, first, blocks[i])));
    }
    unit = {};
    first = 0;
  }
  return text;
}

void WithoutText::set(std::uint64_t seq, bool none) {
  if (seq > kMostSeq) return;
  if (seq >= none_.size()) none_.resize(static_cast<std::size_t>(seq) + 1 + none_.size() / 2);
  none_[static_cast<std::size_t>(seq)] = none;
}

WithoutText find_text(const std::shared_ptr<FileSystem>& from, const std::string& directory, std::int64_t index,
                      const SessionKeyPtr& key, std::string_view text) {
  WithoutText without;
  const auto slots = capture::slots_of(text);
  if (slots.empty()) return without;
  const auto own = unit_files(from, key);
  FileSystem& files = *own;
  std::vector<bool> may;
  for (const std::string& path : units(files, directory)) {
    const auto unit = TextPagesFile::load(files, path, index);
    if (!unit || !unit->rows_that_may_hold(slots, may)) continue;
    without.covered += unit->rows().size();
    for (std::size_t row = 0; row < may.size(); ++row) without.set(unit->rows()[row], !may[row]);
  }
  return without;
}

}  // namespace sluice::session
