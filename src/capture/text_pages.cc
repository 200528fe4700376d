#include "capture/text_pages.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/crc32c.h"
#include "base/text.h"

namespace sluice::capture {
namespace {

constexpr Bytes kMagic("SLUICETX", 8);
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSlots = 65'536, kPageText = 64 * 1024, kMostRowsInPage = 4'096;
constexpr std::size_t kOverlap = 256;  // of pages of one text: what is that long is found across their border
constexpr std::size_t kMostTriples = 24;

struct Header {
  char magic[8];
  std::uint32_t version, rows, pages, stride;
  std::int64_t made, first, last;
  std::uint32_t reserved, checksum;
};
static_assert(sizeof(Header) == 56);

// Octets of a slot's row: a bit for each page.
std::size_t stride_of(std::size_t pages) { return (pages + 7) / 8; }

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

}  // namespace

std::vector<std::uint32_t> slots_of(Bytes text) {
  std::set<std::uint32_t> distinct;
  each_slot(text.substr(0, kOverlap), [&](std::uint32_t slot) { distinct.insert(slot); });
  std::vector<std::uint32_t> slots(distinct.begin(), distinct.end());
  if (slots.size() > kMostTriples) slots.resize(kMostTriples);
  return slots;
}

// ---- making ----

void TextPagesBuilder::add(std::uint64_t number, std::span<const Bytes> texts) {
  const auto row = static_cast<std::uint32_t>(rows_.size());
  rows_.push_back(number);
  for (const Bytes text : texts) add_text(row, text);
}

void TextPagesBuilder::add_unknown(std::uint64_t number) {
  unknown_.push_back(static_cast<std::uint32_t>(rows_.size()));
  rows_.push_back(number);
}

void TextPagesBuilder::add_text(std::uint32_t row, Bytes text) {
  text_ += text.size();
  if (text.size() < 3) return;
  while (!text.empty()) {
    open_page(row);
    const Bytes part = text.substr(0, kPageText + kOverlap);
    std::uint64_t* const bits = bits_.back().data();
    each_slot(part, [&](std::uint32_t slot) { bits[slot / 64] |= std::uint64_t{1} << (slot % 64); });
    text_in_page_ += part.size();
    text.remove_prefix(std::min(text.size(), part.size() == kPageText + kOverlap ? kPageText : part.size()));
    if (text_in_page_ >= kPageText) text_in_page_ = 0;
  }
}

void TextPagesBuilder::open_page(std::uint32_t row) {
  if (text_in_page_ > 0 && row - pages_.back().first_row >= kMostRowsInPage) text_in_page_ = 0;
  if (text_in_page_ == 0) {
    pages_.push_back({row, row});
    bits_.emplace_back(kSlots / 64, 0);
  }
  pages_.back().last_row = row;
}

std::string TextPagesBuilder::octets(std::int64_t made, std::int64_t first, std::int64_t last) {
  for (const std::uint32_t row : unknown_) {
    pages_.push_back({row, row});
    bits_.emplace_back(kSlots / 64, ~std::uint64_t{0});
  }
  const std::size_t stride = stride_of(pages_.size());
  Header header{};
  kMagic.copy(header.magic, sizeof(header.magic));
  header.version = kVersion;
  header.rows = static_cast<std::uint32_t>(rows_.size());
  header.pages = static_cast<std::uint32_t>(pages_.size());
  header.stride = static_cast<std::uint32_t>(stride);
  header.made = made;
  header.first = first;
  header.last = last;
  header.checksum = crc32c(Bytes(reinterpret_cast<const char*>(&header), sizeof(header) - 4));
  std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
  std::string lists(reinterpret_cast<const char*>(rows_.data()), rows_.size() * sizeof(std::uint64_t));
  lists.append(reinterpret_cast<const char*>(pages_.data()), pages_.size() * sizeof(TextPage));
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

// ---- reading ----

std::optional<TextPagesFile> TextPagesFile::load(FileSystem& files, const std::string& path, std::int64_t made,
                                                 Lists wanted) {
  TextPagesFile loaded;
  auto file = files.open(path, OpenMode::kRead);
  if (!file) return std::nullopt;
  loaded.file_ = *std::move(file);
  Header header{};
  const auto got = loaded.file_->read_at(0, MutableBytes(reinterpret_cast<char*>(&header), sizeof(Header)));
  const Bytes checked(reinterpret_cast<const char*>(&header), sizeof(Header) - 4);
  if (!got || *got < sizeof(Header) || Bytes(header.magic, sizeof(header.magic)) != kMagic) return std::nullopt;
  if (crc32c(checked) != header.checksum || header.version != kVersion || header.made != made) return std::nullopt;
  if (header.stride != stride_of(header.pages)) return std::nullopt;  // somebody made it, and not this program
  loaded.first_ = header.first;
  loaded.last_ = header.last;
  loaded.stride_ = header.stride;
  const std::size_t rows = std::size_t{header.rows} * sizeof(std::uint64_t);
  const std::size_t length = rows + std::size_t{header.pages} * sizeof(TextPage);
  loaded.matrix_at_ = sizeof(Header) + length + 4;
  if (wanted == Lists::kNo) return loaded;
  const auto size = loaded.file_->size();
  if (!size || *size < loaded.matrix_at_) return std::nullopt;
  std::string lists(length + 4, '\0');
  const auto read = loaded.file_->read_at(sizeof(Header), lists);
  if (!read || *read < lists.size()) return std::nullopt;
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, lists.data() + length, sizeof(checksum));
  if (crc32c(Bytes(lists).substr(0, length)) != checksum) return std::nullopt;
  loaded.rows_.resize(header.rows);
  loaded.pages_.resize(header.pages);
  if (rows > 0) std::memcpy(loaded.rows_.data(), lists.data(), rows);
  if (length > rows) std::memcpy(loaded.pages_.data(), lists.data() + rows, length - rows);
  return loaded;
}

// Pages in which all slots are; nullopt: the file is damaged.
std::optional<std::string> TextPagesFile::pages_with(const std::vector<std::uint32_t>& slots) const {
  std::string all(stride_, '\xFF'), row(stride_ + 4, '\0');
  for (const std::uint32_t slot : slots) {
    const auto got = file_->read_at(matrix_at_ + ByteCount{slot} * (stride_ + 4), row);
    std::uint32_t checksum = 0;
    if (!got || *got < row.size()) return std::nullopt;
    std::memcpy(&checksum, row.data() + stride_, sizeof(checksum));
    if (crc32c(Bytes(row).substr(0, stride_), slot) != checksum) return std::nullopt;
    for (std::size_t i = 0; i < stride_; ++i) all[i] = static_cast<char>(all[i] & row[i]);
  }
  return all;
}

bool TextPagesFile::rows_that_may_hold(const std::vector<std::uint32_t>& slots, std::vector<bool>& may) const {
  may.assign(rows_.size(), false);
  const auto pages = pages_with(slots);
  if (!pages) return false;
  for (std::size_t page = 0; page < pages_.size(); ++page) {
    if (((*pages)[page / 8] >> (page % 8) & 1) == 0) continue;
    for (std::size_t row = pages_[page].first_row; row <= pages_[page].last_row && row < rows_.size(); ++row) {
      may[row] = true;
    }
  }
  return true;
}

}  // namespace sluice::capture
