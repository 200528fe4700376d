#include "policy/canonical.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json_spelling.h"

namespace sluice::policy {
namespace {

// RFC 8785 §3.2.3 orders names by UTF-16 code units: as UTF-8 does, but for what lies beyond the basic plane, whose
// surrogates (D800 to DFFF) come before U+E000 to U+FFFF.
bool before(const std::string& a, const std::string& b) {
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (left == a.end() || right == b.end()) return left == a.end() && right != b.end();
  const auto rank = [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0xF0) return 0xEE00u + octet;                 // four octets: surrogates
    return octet >= 0xEE ? 0xFF00u + octet : 0xEC00u + octet;  // U+E000 on begins with EE
  };
  return rank(*left) < rank(*right);
}

void write(const Json& value, const Spellings* spellings, std::string& out) {
  if (value.is_object()) {
    std::vector<const Json::object_t::value_type*> members;
    for (const auto& member : value.get_ref<const Json::object_t&>()) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return before(a->first, b->first); });
    out += '{';
    bool first = true;
    for (const auto* member : members) {
      if (!std::exchange(first, false)) out += ',';
      out += dump_json(Json(member->first)) + ':';
      write(member->second, spellings, out);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& item : value) {
      if (!std::exchange(first, false)) out += ',';
      write(item, spellings, out);
    }
    out += ']';
  } else if (value.is_number() && spellings && spellings->contains(&value)) {
    out += spellings->at(&value);
  } else {
    out += dump_spelled_json(value);
  }
}

}  // namespace

std::string canonical_json(const Json& value, const Spellings* spellings) {
  std::string out;
  write(value, spellings, out);
  return out;
}

}  // namespace sluice::policy
