#include "gateway/answer_cut.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_pointer.h"
#include "base/json_spelling.h"
#include "base/text.h"

namespace sluice::gateway {
namespace {

using Members = Json::object_t::Container;

constexpr std::size_t kEllipsis = 3;
// Room kept for `cut`, `truncated`, `total` and `next_offset`.
constexpr std::size_t kNotesRoom = 2'500;
constexpr std::size_t kMaxCutNames = 32;
constexpr std::size_t kMaxCutName = 200;
// An array is worth shortening at this depth: an answer's own list, or one inside its one object.
constexpr std::size_t kArrayDepth = 4;

// Units of one character as dump_json writes it: `lead` is the first octet of its UTF-8.
std::size_t char_units(unsigned char lead) {
  switch (lead) {
    case '"':
    case '\\':
    case '\b':
    case '\f':
    case '\n':
    case '\r':
    case '\t':
      return 2;
    default:
      break;
  }
  if (lead < 0x20) return 6;
  return lead >= 0xF0 ? 2 : 1;
}

std::size_t string_units(std::string_view text) {
  std::size_t units = 2;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if ((octet & 0xC0) != 0x80) units += char_units(octet);
  }
  return units;
}

// The longest prefix of at most `units` written units that ends between characters.
std::string_view written_prefix(std::string_view text, std::size_t units) {
  std::size_t used = 0, end = 0;
  while (end < text.size()) {
    const auto lead = static_cast<unsigned char>(text[end]);
    used += char_units(lead);
    if (used > units) break;
    end += lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  }
  return text.substr(0, std::min(end, text.size()));
}

// The size of a value and of everything in it, kept so that nothing is measured twice.
struct Sizes {
  std::size_t units = 0;
  std::vector<Sizes> children;
};

Sizes measure(const Json& value) {
  Sizes sizes;
  if (value.is_object()) {
    sizes.units = 2;
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      sizes.children.push_back(measure(member));
      sizes.units += sizes.children.back().units + string_units(name) + 1;
    }
    if (!value.empty()) sizes.units += value.size() - 1;
  } else if (value.is_array()) {
    sizes.units = 2;
    for (const Json& item : value) {
      sizes.children.push_back(measure(item));
      sizes.units += sizes.children.back().units;
    }
    if (!value.empty()) sizes.units += value.size() - 1;
  } else if (value.is_string()) {
    sizes.units = string_units(value.get_ref<const std::string&>());
  } else {
    sizes.units = dump_json(value).size();
  }
  return sizes;
}

// The longest array near the top, with the object that holds it.
struct Longest {
  Json* holder = nullptr;
  std::string name, pointer;
  const Sizes* sizes = nullptr;
};

void find_longest(Json& object, const Sizes& sizes, const std::string& pointer, std::size_t depth, Longest& longest) {
  std::size_t i = 0;
  for (auto& [name, member] : object.get_ref<Json::object_t&>()) {
    const Sizes& size = sizes.children[i++];
    if (member.is_array() && member.size() > 1 && (!longest.sizes || size.units > longest.sizes->units)) {
      longest = {&object, name, pointer + "/" + pointer_segment(name), &size};
    } else if (member.is_object() && depth < kArrayDepth) {
      find_longest(member, size, pointer + "/" + pointer_segment(name), depth + 1, longest);
    }
  }
}

// Forgets pointers into items that are gone.
void drop_pointers(std::vector<std::string>& pointers, const std::string& array, std::size_t kept) {
  std::erase_if(pointers, [&](const std::string& pointer) {
    if (!pointer.starts_with(array + "/")) return false;
    return std::strtoull(pointer.c_str() + array.size() + 1, nullptr, 10) >= kept;
  });
}

std::int64_t integer_or(const Json& object, std::string_view name, std::int64_t otherwise) {
  const Json* value = find_member(object, name);
  return value && value->is_number_integer() ? value->get<std::int64_t>() : otherwise;
}

// Leaves out items from the end of the longest array. False if that cannot help.
bool shorten_array(Json& answer, const Sizes& sizes, std::size_t excess, std::vector<std::string>& pointers,
                   std::optional<std::int64_t> offset) {
  Longest longest;
  find_longest(answer, sizes, "", 0, longest);
  if (!longest.sizes || longest.sizes->units < excess) return false;
  Json& holder = *longest.holder;
  auto& items = holder[longest.name].get_ref<Json::array_t&>();
  const std::size_t total = items.size();
  std::size_t kept = total, freed = 0;
  while (kept > 1 && freed < excess) freed += longest.sizes->children[--kept].units + 1;
  items.resize(kept);
  drop_pointers(pointers, longest.pointer, kept);
  for (const char* count : {"showing", "matches"}) {
    if (integer_or(holder, count, -1) == static_cast<std::int64_t>(total)) holder[count] = kept;
  }
  holder["truncated"] = true;
  if (!holder.contains("total")) holder["total"] = total;
  if (offset && &holder == &answer) {
    const char* const next = holder.contains("nextOffset") ? "nextOffset" : "next_offset";
    holder[next] = *offset + static_cast<std::int64_t>(kept);
  }
  return true;
}

// The level up to which every child may keep its size so that all together fit into `budget` (water-filling).
std::size_t level_for(const std::vector<Sizes>& children, std::size_t budget) {
  std::vector<std::size_t> sorted;
  for (const Sizes& child : children) sorted.push_back(child.units);
  std::sort(sorted.begin(), sorted.end());
  std::size_t left = budget;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::size_t share = left / (sorted.size() - i);
    if (sorted[i] > share) return share;
    left -= sorted[i];
  }
  return budget;
}

class Shrinker {
 public:
  void shrink(Json& value, const Sizes& sizes, std::size_t budget, const std::string& pointer) {
    if (sizes.units <= budget) return;
    if (value.is_string()) return cut_string(value, budget, pointer);
    if (value.is_object()) return shrink_object(value, sizes, budget, pointer);
    if (value.is_array()) return shrink_array(value, sizes, budget, pointer);
  }

  Json take_names() {
    Json names = Json::array();
    for (std::string& name : names_) names.push_back(std::move(name));
    return names;
  }
  std::size_t unnamed() const { return unnamed_; }

 private:
  void name(const std::string& pointer) {
    if (names_.size() < kMaxCutNames && pointer.size() <= kMaxCutName && named_ + pointer.size() < kNotesRoom / 2) {
      named_ += pointer.size() + 3;
      names_.push_back(pointer);
    } else {
      ++unnamed_;
    }
  }

  void cut_string(Json& value, std::size_t budget, const std::string& pointer) {
    auto& text = value.get_ref<std::string&>();
    text = std::string(written_prefix(text, budget > 2 + kEllipsis ? budget - 2 - kEllipsis : 0)) + "...";
    name(pointer);
  }

  // Members from the end go where even their names do not fit.
  void shrink_object(Json& value, const Sizes& sizes, std::size_t budget, const std::string& pointer) {
    auto& members = static_cast<Members&>(value.get_ref<Json::object_t&>());
    std::size_t fixed = 2, kept = 0;
    while (kept < members.size()) {
      const std::size_t more = string_units(members[kept].first) + 2;
      const std::size_t least = std::min<std::size_t>(sizes.children[kept].units, 2 + kEllipsis);
      if (fixed + more + least > budget) break;
      fixed += more + least;
      ++kept;
    }
    if (kept < members.size()) {
      while (members.size() > kept) members.pop_back();
      name(pointer);
    }
    std::vector<Sizes> children(sizes.children.begin(), sizes.children.begin() + static_cast<std::ptrdiff_t>(kept));
    std::size_t names = 2;
    for (std::size_t i = 0; i < kept; ++i) names += string_units(members[i].first) + 2;
    const std::size_t level = level_for(children, budget > names ? budget - names : 0);
    std::size_t i = 0;
    for (auto& [member_name, member] : members) {
      shrink(member, children[i++], level, pointer + "/" + pointer_segment(member_name));
    }
  }

  void shrink_array(Json& value, const Sizes& sizes, std::size_t budget, const std::string& pointer) {
    auto& items = value.get_ref<Json::array_t&>();
    std::size_t fixed = 2, kept = 0;
    while (kept < items.size()) {
      const std::size_t least = std::min<std::size_t>(sizes.children[kept].units, 2 + kEllipsis) + 1;
      if (fixed + least > budget) break;
      fixed += least;
      ++kept;
    }
    if (kept < items.size()) {
      items.resize(kept);
      name(pointer);
    }
    std::vector<Sizes> children(sizes.children.begin(), sizes.children.begin() + static_cast<std::ptrdiff_t>(kept));
    const std::size_t level = level_for(children, budget > 2 + kept ? budget - 2 - kept : 0);
    for (std::size_t i = 0; i < kept; ++i) shrink(items[i], children[i], level, pointer + "/" + std::to_string(i));
  }

  std::vector<std::string> names_;
  std::size_t named_ = 0, unnamed_ = 0;
};

}  // namespace

std::size_t json_octets(const Json& value) {
  const auto quoted = [](std::string_view text) {
    std::size_t octets = 2;
    // A character that is written as it is has as many octets as it has; one that is escaped is one octet.
    for (const char c : text)
      octets += static_cast<unsigned char>(c) >= 0x80 ? 1 : char_units(static_cast<unsigned char>(c));
    return octets;
  };
  if (value.is_string()) return quoted(value.get_ref<const std::string&>());
  if (!value.is_structured()) return dump_spelled_json(value).size();
  std::size_t octets = 2 + (value.empty() ? 0 : value.size() - 1);
  if (value.is_array()) {
    for (const Json& one : value) octets += json_octets(one);
  } else {
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      octets += quoted(name) + 1 + json_octets(member);
    }
  }
  return octets;
}

std::size_t json_units(const Json& value) { return measure(value).units; }

void cut_answer(Json& answer, std::size_t units, std::vector<std::string>& pointers,
                std::optional<std::int64_t> offset) {
  Sizes sizes = measure(answer);
  if (sizes.units <= units) return;
  const std::size_t budget = units > 2 * kNotesRoom ? units - kNotesRoom : units / 2;
  if (shorten_array(answer, sizes, sizes.units - budget, pointers, offset)) {
    sizes = measure(answer);
    if (sizes.units <= units) return;
  }
  Shrinker shrinker;
  shrinker.shrink(answer, sizes, budget, "");
  answer["cut"] = shrinker.take_names();
  if (shrinker.unnamed() > 0) answer["cut_more"] = shrinker.unnamed();
}

void repair_strings(Json& value) {
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    if (!is_utf8(text)) text = repair_utf8(text);
  } else if (value.is_array()) {
    for (Json& item : value) repair_strings(item);
  } else if (value.is_object()) {
    auto& members = value.get_ref<Json::object_t&>();
    const bool bad = std::any_of(members.begin(), members.end(), [](const auto& m) { return !is_utf8(m.first); });
    if (bad) {
      // Names are constant inside the map: made again. Two that become equal stay two members, as they were.
      Members repaired;
      for (auto& [name, member] : members) repaired.emplace_back(repair_utf8(name), std::move(member));
      static_cast<Members&>(members) = std::move(repaired);
    }
    for (auto& [name, member] : members) repair_strings(member);
  }
}

}  // namespace sluice::gateway
