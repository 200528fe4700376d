#include "http/fields.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/text.h"
#include "http/token.h"

namespace sluice::http {
namespace {

// Length, first, middle and last letter in lower case. Names that only case tells apart have one tag.
std::uint32_t tag_of(std::string_view name) {
  if (name.empty()) return 0;
  const auto letter = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(name[at]) | 0x20);
  };
  return static_cast<std::uint32_t>(name.size()) << 24 | letter(0) << 16 | letter(name.size() / 2) << 8 |
         letter(name.size() - 1);
}

std::uint64_t bit_of(std::uint32_t tag) { return std::uint64_t{1} << (tag * 0x9e3779b1u >> 26); }

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_octet); }

// Asked of every field that is written: eight octets at a time, of which the last may overlap those before.
bool is_field_value(std::string_view text) {
  const auto is_good = [](char c) { return c != '\0' && c != '\r' && c != '\n'; };
  if (text.size() >= 8) {
    constexpr std::uint64_t kOnes = 0x0101010101010101u;
    // The top bit of an octet below CR's successor; never missed, seldom wrong.
    const auto low = [&](std::size_t at) {
      std::uint64_t eight;
      std::memcpy(&eight, text.data() + at, 8);
      return (eight - kOnes * ('\r' + 1)) & ~eight;
    };
    std::uint64_t any = low(text.size() - 8);
    for (std::size_t at = 0; at + 8 < text.size(); at += 8) any |= low(at);
    if ((any & (kOnes * 0x80)) == 0) return true;
  }
  return std::all_of(text.begin(), text.end(), is_good);
}

void FieldList::clear() {
  text_.clear();
  entries_.clear();
  names_ = 0;
}

void FieldList::reserve(std::size_t octets, std::size_t fields) {
  text_.reserve(octets);
  entries_.reserve(fields);
}

bool FieldList::owns(std::string_view text) const {
  const std::less<const char*> before;
  return !text.empty() && !before(text.data(), text_.data()) && before(text.data(), text_.data() + text_.size());
}

FieldList::Span FieldList::store(std::string_view text) {
  const auto position = static_cast<std::uint32_t>(text_.size());
  text_.append(text);
  return {position, static_cast<std::uint32_t>(text.size())};
}

void FieldList::add(Entry entry) {
  entry.tag = tag_of(view(entry.name));
  names_ |= bit_of(entry.tag);
  entries_.push_back(entry);
}

std::size_t FieldList::next_named(std::string_view wanted, std::size_t from) const {
  const std::uint32_t tag = tag_of(wanted);
  if ((names_ & bit_of(tag)) == 0) return size();
  for (; from < size(); ++from) {
    if (is(entries_[from], wanted, tag)) break;
  }
  return from;
}

std::optional<std::string_view> FieldList::find(std::string_view wanted) const {
  const std::size_t at = next_named(wanted);
  return at < size() ? std::optional(value(at)) : std::nullopt;
}

std::size_t FieldList::count(std::string_view wanted) const {
  std::size_t times = 0;
  for (std::size_t i = next_named(wanted); i < size(); i = next_named(wanted, i + 1)) ++times;
  return times;
}

std::optional<std::string> FieldList::joined(std::string_view wanted) const {
  std::optional<std::string> out;
  for (std::size_t i = next_named(wanted); i < size(); i = next_named(wanted, i + 1)) {
    if (out) {
      out->append(", ").append(value(i));
    } else {
      out.emplace(value(i));
    }
  }
  return out;
}

bool FieldList::has_token(std::string_view wanted, std::string_view token) const {
  for (std::size_t i = next_named(wanted); i < size(); i = next_named(wanted, i + 1)) {
    std::string_view list = value(i);
    while (!list.empty()) {
      const auto comma = std::min(list.find(','), list.size());
      if (iequals(trim(list.substr(0, comma)), token)) return true;
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return false;
}

void FieldList::append(std::string_view name, std::string_view value) {
  if (owns(name) || owns(value)) return append(std::string(name), std::string(value));
  Entry entry;
  entry.name = store(name);
  entry.value = store(value);
  add(entry);
}

void FieldList::append_raw(Bytes line, std::size_t name_length, std::size_t value_offset, std::size_t value_length) {
  append_kept({keep(line), line.size(), name_length, value_offset, value_length});
}

std::size_t FieldList::keep(Bytes lines) { return store(lines).position; }

void FieldList::append_kept(const KeptLine& line) {
  const auto position = static_cast<std::uint32_t>(line.position);
  Entry entry;
  entry.line = {position, static_cast<std::uint32_t>(line.length)};
  entry.name = {position, static_cast<std::uint32_t>(line.name_length)};
  entry.value = {position + static_cast<std::uint32_t>(line.value_offset),
                 static_cast<std::uint32_t>(line.value_length)};
  add(entry);
}

void FieldList::append_folded(Bytes line, std::size_t name_length, std::string_view value) {
  Entry entry;
  entry.line = store(line);
  entry.name = {entry.line.position, static_cast<std::uint32_t>(name_length)};
  entry.value = store(value);
  add(entry);
}

void FieldList::set(std::string_view wanted, std::string_view value) {
  if (owns(wanted) || owns(value)) return set(std::string(wanted), std::string(value));
  const std::size_t at = next_named(wanted);
  if (at == size()) return append(wanted, value);
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(at);
  first->value = store(value);
  first->line = {};  // the name keeps its spelling
  const auto same = [&, tag = tag_of(wanted)](const Entry& entry) { return is(entry, wanted, tag); };
  entries_.erase(std::remove_if(first + 1, entries_.end(), same), entries_.end());
}

std::size_t FieldList::erase(std::string_view wanted) {
  if (next_named(wanted) == size()) return 0;
  return std::erase_if(entries_, [&, tag = tag_of(wanted)](const Entry& entry) { return is(entry, wanted, tag); });
}

void FieldList::erase_at(std::size_t index) { entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index)); }

}  // namespace sluice::http
