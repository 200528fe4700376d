// The fields of one head or trailer section: order, case, duplicates and odd spelling kept as they came.
// Fields live in one text buffer; a field that nothing touched keeps its raw line, so that a head can be written
// again octet for octet. A FieldList owns its text and is cheap to reuse (clear() keeps the capacity).
// Views returned are valid until the next change of the list (arguments may be such views). Not thread-safe.
// Sizes: all text together stays below 4 GiB; what readers put in is bounded by HttpLimits.
// RFC 9110 §5 (fields), RFC 9112 §5 (field syntax).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"

namespace sluice::http {

// RFC 9110 §5.6.2: what a method or a field name must be.
bool is_token(std::string_view text);
// What a field value made here may hold: no CR, LF or NUL (RFC 9110 §5.5). Rules and tools ask before they set one;
// the writers turn such octets into blanks, so that no value ever becomes a line of its own.
bool is_field_value(std::string_view text);

class FieldList {
 public:
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  void clear();
  // Octets of memory that the text takes up.
  std::size_t capacity() const { return text_.capacity(); }
  // Room for a head of this size, so that filling it allocates once.
  void reserve(std::size_t octets, std::size_t fields);

  std::string_view name(std::size_t index) const { return view(entries_[index].name); }
  std::string_view value(std::size_t index) const { return view(entries_[index].value); }
  // The line as it came, with its line end; empty for a field that was made here.
  Bytes raw_line(std::size_t index) const { return view(entries_[index].line); }

  bool is_named(std::size_t index, std::string_view name) const {
    return entries_[index].name.length == name.size() && iequals(view(entries_[index].name), name);
  }
  // The next field of this name (any case) at `from` or behind it; size() if there is none.
  std::size_t next_named(std::string_view name, std::size_t from = 0) const;
  // First value of this name (any case), or nullopt.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // All values of this name joined with ", " (RFC 9110 §5.3); nullopt if there is none.
  std::optional<std::string> joined(std::string_view name) const;
  // True if the comma-separated lists of all fields of this name hold `token` (any case).
  bool has_token(std::string_view name, std::string_view token) const;

  void append(std::string_view name, std::string_view value);
  // As append, with the octets as they came. `line` ends with its line end; name and value lie inside it.
  void append_raw(Bytes line, std::size_t name_length, std::size_t value_offset, std::size_t value_length);
  // The same for a reader that has a whole head: keep() copies its field lines at once and says where they begin here;
  // append_kept() then names the parts of one line.
  struct KeptLine {
    std::size_t position = 0, length = 0;  // of the line with its line end
    std::size_t name_length = 0;
    std::size_t value_offset = 0, value_length = 0;  // in the line
  };
  std::size_t keep(Bytes lines);
  void append_kept(const KeptLine& line);
  // A field over several lines (obs-fold): `value` is the unfolded value, `line` all its lines.
  void append_folded(Bytes line, std::size_t name_length, std::string_view value);
  // The first field of this name gets the value in its place, others of the name go; appended if there was none.
  void set(std::string_view name, std::string_view value);
  // Removes all fields of this name; how many they were.
  std::size_t erase(std::string_view name);
  void erase_at(std::size_t index);

 private:
  struct Span {
    std::uint32_t position = 0;
    std::uint32_t length = 0;
  };
  struct Entry {
    Span name, value, line;
    std::uint32_t tag = 0;  // of the name: tells nearly all other names apart
  };
  std::string_view view(Span span) const { return {text_.data() + span.position, span.length}; }
  bool is(const Entry& entry, std::string_view name, std::uint32_t tag) const {
    return entry.tag == tag && iequals(view(entry.name), name);
  }
  void add(Entry entry);
  bool owns(std::string_view text) const;
  Span store(std::string_view text);

  std::string text_;
  std::vector<Entry> entries_;
  std::uint64_t names_ = 0;  // a bit for each name that was ever added: most names asked for are not there
};

}  // namespace sluice::http
