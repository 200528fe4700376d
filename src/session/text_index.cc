#include "session/text_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include "base/crc32c.h"
#include "base/text.h"
#include "session/body_text.h"
#include "session/manifest.h"

namespace sluice::session {
namespace {

constexpr Bytes kMagic("SLUICETX", 8);
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSlots = 65'536, kPageText = 64 * 1024, kMostPages = 1'024, kMostRowsInPage = 4'096;
constexpr std::size_t kOverlap = 256;  // of pages of one body: a text that long is found across their border
constexpr std::size_t kMostTriples = 24;
// Of one file, where little of it is text: what is begun and not finished is gone through again.
constexpr ByteCount kMostGoneThrough = 128 * kMiB;
constexpr std::size_t kMostRows = 262'144;
constexpr std::uint64_t kMostSeq = 500'000'000;

struct Header {
  char magic[8];
  std::uint32_t version, rows, pages, stride;
  std::int64_t index;        // the one whose blocks it was made of
  std::int64_t first, last;  // blocks
  std::uint32_t reserved, checksum;
};
static_assert(sizeof(Header) == 56);

struct Page {
  std::uint32_t first_row = 0, last_row = 0;
};

// Octets of a slot's row: a bit for each page.
std::size_t stride_of(std::size_t pages) { return (pages + 7) / 8; }

std::string folder_of(const std::string& directory) { return directory + "/text"; }

std::uint32_t slot_of(std::uint32_t triple) { return (triple * 0x9E3779B1u) >> 16; }

// The triples of a text, as slots; `each` may get one more than once.
template <class Each>
void each_slot(Bytes text, const Each& each) {
  if (text.size() < 3) return;
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(ascii_lower(text[i])));
  };
  std::uint32_t triple = at(0) << 8 | at(1);
  for (std::size_t i = 2; i < text.size(); ++i) {
    triple = (triple << 8 | at(i)) & 0xFFFFFFu;
    each(slot_of(triple));
  }
}

std::string unit_path(const std::string& directory, std::int64_t first) {
  return fmt::format("{}/{:08}.tri", folder_of(directory), first);
}

// One file: rows, and the pages that their texts fill.
class Unit {
 public:
  bool is_full() const {
    return pages_.size() >= kMostPages || gone_through_ >= kMostGoneThrough || seqs_.size() >= kMostRows;
  }
  bool empty() const { return seqs_.empty(); }
  std::size_t pages() const { return pages_.size(); }

  void add(std::uint64_t seq, const BodyTexts* texts) {
    const auto row = static_cast<std::uint32_t>(seqs_.size());
    seqs_.push_back(seq);
    if (!texts) {  // nobody knows: each search looks
      unknown_.push_back(row);
      return;
    }
    gone_through_ += texts->request.size() + texts->response.size();
    add_text(row, texts->response);
    add_text(row, texts->request);
  }

  std::string octets(std::int64_t index, std::int64_t first, std::int64_t last) {
    if (text_in_page_ > 0) close_page();
    for (const std::uint32_t row : unknown_) {
      pages_.push_back({row, row});
      bits_.emplace_back(kSlots / 64, ~std::uint64_t{0});
    }
    const std::size_t stride = stride_of(pages_.size());
    Header header{};
    kMagic.copy(header.magic, sizeof(header.magic));
    header.version = kVersion;
    header.rows = static_cast<std::uint32_t>(seqs_.size());
    header.pages = static_cast<std::uint32_t>(pages_.size());
    header.stride = static_cast<std::uint32_t>(stride);
    header.index = index;
    header.first = first;
    header.last = last;
    header.checksum = crc32c(Bytes(reinterpret_cast<const char*>(&header), sizeof(header) - 4));
    std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
    std::string lists(reinterpret_cast<const char*>(seqs_.data()), seqs_.size() * sizeof(std::uint64_t));
    lists.append(reinterpret_cast<const char*>(pages_.data()), pages_.size() * sizeof(Page));
    const std::uint32_t checksum = crc32c(lists);
    out += lists;
    out.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
    std::string matrix(kSlots * (stride + 4), '\0');
    for (std::size_t page = 0; page < pages_.size(); ++page) {
      for (std::size_t word = 0; word < kSlots / 64; ++word) {
        for (std::uint64_t bits = bits_[page][word]; bits != 0; bits &= bits - 1) {
          const std::size_t slot = word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits));
          matrix[slot * (stride + 4) + page / 8] |= static_cast<char>(1 << (page % 8));
        }
      }
    }
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      char* const row = matrix.data() + slot * (stride + 4);
      const std::uint32_t own = crc32c(Bytes(row, stride), static_cast<std::uint32_t>(slot));
      std::memcpy(row + stride, &own, sizeof(own));
    }
    return out + matrix;
  }

 private:
  void add_text(std::uint32_t row, Bytes text) {
    text = text.substr(0, static_cast<std::size_t>(kMostText));
    if (text.size() < 3 || is_binary(text)) return;
    while (!text.empty()) {
      open_page(row);
      const Bytes part = text.substr(0, kPageText + kOverlap);
      std::uint64_t* const bits = bits_.back().data();
      each_slot(part, [&](std::uint32_t slot) { bits[slot / 64] |= std::uint64_t{1} << (slot % 64); });
      text_in_page_ += part.size();
      text.remove_prefix(std::min(text.size(), part.size() == kPageText + kOverlap ? kPageText : part.size()));
      if (text_in_page_ >= kPageText) close_page();
    }
  }
  void open_page(std::uint32_t row) {
    if (text_in_page_ > 0 && row - pages_.back().first_row >= kMostRowsInPage) close_page();
    if (text_in_page_ == 0) {
      pages_.push_back({row, row});
      bits_.emplace_back(kSlots / 64, 0);
    }
    pages_.back().last_row = row;
  }
  void close_page() { text_in_page_ = 0; }

  std::vector<std::uint64_t> seqs_;
  std::vector<std::uint32_t> unknown_;
  std::vector<Page> pages_;
  std::vector<std::vector<std::uint64_t>> bits_;
  std::size_t text_in_page_ = 0;
  ByteCount gone_through_ = 0;
};

struct Loaded {
  std::unique_ptr<File> file;
  Header header{};
  std::vector<std::uint64_t> seqs;
  std::vector<Page> pages;
  ByteCount matrix_at = 0;
};

std::optional<Loaded> load(FileSystem& files, const std::string& path, std::int64_t index, bool with_lists) {
  Loaded unit;
  auto file = files.open(path, OpenMode::kRead);
  if (!file) return std::nullopt;
  unit.file = *std::move(file);
  const auto got = unit.file->read_at(0, MutableBytes(reinterpret_cast<char*>(&unit.header), sizeof(Header)));
  const Header& header = unit.header;
  const Bytes checked(reinterpret_cast<const char*>(&header), sizeof(Header) - 4);
  if (!got || *got < sizeof(Header) || Bytes(header.magic, sizeof(header.magic)) != kMagic) return std::nullopt;
  if (crc32c(checked) != header.checksum || header.version != kVersion || header.index != index) return std::nullopt;
  if (header.stride != stride_of(header.pages)) return std::nullopt;  // somebody made it, and not this program
  const std::size_t seqs = std::size_t{header.rows} * sizeof(std::uint64_t);
  const std::size_t length = seqs + std::size_t{header.pages} * sizeof(Page);
  unit.matrix_at = sizeof(Header) + length + 4;
  if (!with_lists) return unit;
  const auto size = unit.file->size();
  if (!size || *size < unit.matrix_at) return std::nullopt;
  std::string lists(length + 4, '\0');
  const auto read = unit.file->read_at(sizeof(Header), lists);
  if (!read || *read < lists.size()) return std::nullopt;
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, lists.data() + length, sizeof(checksum));
  if (crc32c(Bytes(lists).substr(0, length)) != checksum) return std::nullopt;
  unit.seqs.resize(header.rows);
  unit.pages.resize(header.pages);
  if (seqs > 0) std::memcpy(unit.seqs.data(), lists.data(), seqs);
  if (length > seqs) std::memcpy(unit.pages.data(), lists.data() + seqs, length - seqs);
  return unit;
}

// Pages in which all slots are; nullopt: the file is damaged.
std::optional<std::string> pages_with(const Loaded& unit, const std::vector<std::uint32_t>& slots) {
  const std::size_t stride = unit.header.stride;
  std::string all(stride, '\xFF'), row(stride + 4, '\0');
  for (const std::uint32_t slot : slots) {
    const auto got = unit.file->read_at(unit.matrix_at + ByteCount{slot} * (stride + 4), row);
    std::uint32_t checksum = 0;
    if (!got || *got < row.size()) return std::nullopt;
    std::memcpy(&checksum, row.data() + stride, sizeof(checksum));
    if (crc32c(Bytes(row).substr(0, stride), slot) != checksum) return std::nullopt;
    for (std::size_t i = 0; i < stride; ++i) all[i] = static_cast<char>(all[i] & row[i]);
  }
  return all;
}

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
    const auto unit = load(files, path, made, false);
    if (unit) {
      done = std::max(done, unit->header.last);
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
    if (!unit.empty()) {
      SLUICE_CHECK(files.save_file(unit_path(directory, first), unit.octets(made, first, blocks[i])));
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
  std::set<std::uint32_t> distinct;
  each_slot(text.substr(0, kOverlap), [&](std::uint32_t slot) { distinct.insert(slot); });
  if (distinct.empty()) return without;
  std::vector<std::uint32_t> slots(distinct.begin(), distinct.end());
  if (slots.size() > kMostTriples) slots.resize(kMostTriples);
  const auto own = unit_files(from, key);
  FileSystem& files = *own;
  for (const std::string& path : units(files, directory)) {
    const auto unit = load(files, path, index, true);
    if (!unit) continue;
    const auto pages = pages_with(*unit, slots);
    if (!pages) continue;
    for (const std::uint64_t seq : unit->seqs) without.set(seq, true);
    without.covered += unit->seqs.size();
    for (std::size_t page = 0; page < unit->pages.size(); ++page) {
      if (((*pages)[page / 8] >> (page % 8) & 1) == 0) continue;
      const Page& rows = unit->pages[page];
      for (std::size_t row = rows.first_row; row <= rows.last_row && row < unit->seqs.size(); ++row) {
        without.set(unit->seqs[row], false);
      }
    }
  }
  return without;
}

}  // namespace sluice::session
