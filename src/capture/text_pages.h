// Which triples of octets stand in which texts, so that a search need not read most of them: texts are laid one behind
// the other into pages of some 64 KiB, and a file says of each triple in which pages it stands.
// docs/formats/session.md, "Text", is the format; recordings and the ring's search use it.
//
//   TextPagesBuilder pages;  pages.add(seq, texts);  …  files.save_file(path, pages.octets(made, first, last));
//   auto file = TextPagesFile::load(files, path, made);
//   file->rows_that_may_hold(slots_of("needle"), may);    // the others surely do not, in any case of ASCII letters
//
// A builder and a file belong to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice::capture {

// Of the beginning of a text, distinct; none: it is too short to be looked up. A longer text than is looked at here is
// in no page in which its beginning is not.
std::vector<std::uint32_t> slots_of(Bytes text);

// Of which rows it holds text, first and last; those in between, too.
struct TextPage {
  std::uint32_t first_row = 0, last_row = 0;
};

class TextPagesBuilder {
 public:
  static constexpr std::size_t kMostPages = 1'024;

  bool empty() const { return rows_.empty(); }
  std::size_t rows() const { return rows_.size(); }
  std::size_t pages() const { return pages_.size(); }
  ByteCount text() const { return text_; }  // octets that were added

  void add(std::uint64_t row, std::span<const Bytes> texts);
  // Nobody knows what is in it: each search looks.
  void add_unknown(std::uint64_t row);
  // A file's content. `made`, `first`, `last`: what they are of is the caller's matter. Nothing is added afterwards.
  std::string octets(std::int64_t made, std::int64_t first, std::int64_t last);

 private:
  void add_text(std::uint32_t row, Bytes text);
  void open_page(std::uint32_t row);

  std::vector<std::uint64_t> rows_;
  std::vector<std::uint32_t> unknown_;
  std::vector<TextPage> pages_;
  std::vector<std::vector<std::uint64_t>> bits_;
  std::size_t text_in_page_ = 0;
  ByteCount text_ = 0;
};

class TextPagesFile {
 public:
  // nullopt: it is damaged, not of `made`, or cannot be read. Without its lists it only says what it covers.
  enum class Lists { kNo, kYes };
  static std::optional<TextPagesFile> load(FileSystem& files, const std::string& path, std::int64_t made,
                                           Lists lists = Lists::kYes);

  std::int64_t first() const { return first_; }
  std::int64_t last() const { return last_; }
  const std::vector<std::uint64_t>& rows() const { return rows_; }
  // By place among rows(): true where a text of it may hold all slots. False: the file is damaged.
  bool rows_that_may_hold(const std::vector<std::uint32_t>& slots, std::vector<bool>& may) const;

 private:
  std::optional<std::string> pages_with(const std::vector<std::uint32_t>& slots) const;

  std::unique_ptr<File> file_;
  std::int64_t first_ = 0, last_ = 0;
  std::size_t stride_ = 0;
  ByteCount matrix_at_ = 0;
  std::vector<std::uint64_t> rows_;
  std::vector<TextPage> pages_;
};

}  // namespace sluice::capture
