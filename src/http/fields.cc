#include "http/fields.h"

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "http/token.h"

namespace sluice::http {
bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_octet); }

bool is_field_value(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

void FieldList::clear() {
  text_.clear();
  entries_.clear();
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

std::optional<std::string_view> FieldList::find(std::string_view wanted) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (is_named(i, wanted)) return value(i);
  }
  return std::nullopt;
}

std::size_t FieldList::count(std::string_view wanted) const {
  std::size_t times = 0;
  for (std::size_t i = 0; i < size(); ++i) times += is_named(i, wanted) ? 1 : 0;
  return times;
}

std::optional<std::string> FieldList::joined(std::string_view wanted) const {
  std::optional<std::string> out;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!is_named(i, wanted)) continue;
    if (out) {
      out->append(", ").append(value(i));
    } else {
      out.emplace(value(i));
    }
  }
  return out;
}

bool FieldList::has_token(std::string_view wanted, std::string_view token) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!is_named(i, wanted)) continue;
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
  entries_.push_back(entry);
}

void FieldList::append_raw(Bytes line, std::size_t name_length, std::size_t value_offset, std::size_t value_length) {
  Entry entry;
  entry.line = store(line);
  entry.name = {entry.line.position, static_cast<std::uint32_t>(name_length)};
  entry.value = {entry.line.position + static_cast<std::uint32_t>(value_offset),
                 static_cast<std::uint32_t>(value_length)};
  entries_.push_back(entry);
}

void FieldList::append_folded(Bytes line, std::size_t name_length, std::string_view value) {
  Entry entry;
  entry.line = store(line);
  entry.name = {entry.line.position, static_cast<std::uint32_t>(name_length)};
  entry.value = store(value);
  entries_.push_back(entry);
}

void FieldList::set(std::string_view wanted, std::string_view value) {
  if (owns(wanted) || owns(value)) return set(std::string(wanted), std::string(value));
  const auto same = [&](const Entry& entry) {
    return entry.name.length == wanted.size() && iequals(view(entry.name), wanted);
  };
  const auto first = std::find_if(entries_.begin(), entries_.end(), same);
  if (first == entries_.end()) return append(wanted, value);
  first->value = store(value);
  first->line = {};  // the name keeps its spelling
  entries_.erase(std::remove_if(first + 1, entries_.end(), same), entries_.end());
}

std::size_t FieldList::erase(std::string_view wanted) {
  return std::erase_if(entries_, [&](const Entry& entry) {
    return entry.name.length == wanted.size() && iequals(view(entry.name), wanted);
  });
}

void FieldList::erase_at(std::size_t index) { entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index)); }

}  // namespace sluice::http
