#include "policy/parse_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/json_pointer.h"
#include "base/text.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxShown = 60;

// A word of the document's author in a message: short, without control characters.
std::string in_quotes(std::string_view word) {
  std::string shown(utf16_prefix(word, kMaxShown));
  if (shown.size() < word.size()) shown += "…";
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return '"' + shown + '"';
}

std::string one_of(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out.append("\"").append(words[i]).append("\"");
  }
  return out;
}

// What other formats call these things (policy.md 1.11, 2.1).
std::string_view in_our_words(std::string_view name) {
  if (name == "rate_limit") return "; a rate is an entry of \"limits\": {\"counter\", \"window\", \"max\"}";
  if (name == "rules") return "; rules are in \"require\" and \"deny_if\"";
  if (name == "action") return "; a rule denies where it stands, in \"require\" or in \"deny_if\"";
  if (name == "reason" || name == "message") return "; the text for the caller is \"on_deny\"";
  return "";
}

}  // namespace

Place Place::at(std::string_view name) const { return {*node.find(name), path + "/" + pointer_segment(name)}; }

bool Reader::expect(const Place& place, Node::Kind kind) {
  if (place.node.is(kind)) return true;
  error(place, fmt::format("expected {}, not {}", kind_name(kind), kind_name(place.node.kind)));
  return false;
}

bool Reader::object(const Place& place, std::span<const std::string_view> known) {
  if (!expect(place, Node::Kind::kObject)) return false;
  for (const Node::Name& name : place.node.names) {
    if (std::find(known.begin(), known.end(), name.text) != known.end()) continue;
    const auto near = nearest(name.text, known);
    error_at(name.line, place.path + "/" + pointer_segment(name.text),
             fmt::format("unknown key {}{}", in_quotes(name.text),
                         near ? fmt::format(", did you mean \"{}\"?", *near) : std::string(in_our_words(name.text))));
  }
  return true;
}

std::string Reader::text(const Place& place, std::string_view name, std::string fallback) {
  if (!has(place, name)) return fallback;
  const Place member = place.at(name);
  return expect(member, Node::Kind::kString) ? member.node.text : fallback;
}

bool Reader::flag(const Place& place, std::string_view name, bool fallback) {
  if (!has(place, name)) return fallback;
  const Place member = place.at(name);
  return expect(member, Node::Kind::kBoolean) ? member.node.boolean : fallback;
}

std::optional<std::int64_t> Reader::integer(const Place& place, std::int64_t least, std::int64_t most) {
  if (!expect(place, Node::Kind::kNumber)) return std::nullopt;
  const std::string& spelling = place.node.text;
  std::int64_t value = 0;
  const auto parsed = std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != spelling.data() + spelling.size() || value < least || value > most) {
    error(place, fmt::format("expected a whole number from {} to {}", least, most));
    return std::nullopt;
  }
  return value;
}

std::optional<std::size_t> Reader::choice(const Place& place, std::span<const std::string_view> words) {
  if (!expect(place, Node::Kind::kString)) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), place.node.text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  const auto near = nearest(place.node.text, words);
  error(place, near ? fmt::format("unknown {}, did you mean \"{}\"?", in_quotes(place.node.text), *near)
                    : fmt::format("expected {}, not {}", one_of(words), in_quotes(place.node.text)));
  return std::nullopt;
}

std::vector<Named> Reader::names(const Place& place) {
  std::vector<Named> out;
  if (!expect(place, Node::Kind::kArray)) return out;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < place.node.items.size(); ++i) {
    const Place item = place.at(i);
    if (!expect(item, Node::Kind::kString)) continue;
    if (trim(item.node.text).empty()) {
      error(item, "a name is empty");
    } else if (!seen.insert(item.node.text).second) {
      error(item, in_quotes(item.node.text) + " is here twice");
    } else {
      out.push_back({item.node.text, item.node.line});
    }
  }
  return out;
}

std::vector<std::string> Reader::strings(const Place& place) {
  std::vector<std::string> out;
  for (Named& name : names(place)) out.push_back(std::move(name.name));
  return out;
}

std::optional<std::chrono::seconds> Reader::duration(const Place& place) {
  if (!expect(place, Node::Kind::kString)) return std::nullopt;
  const std::string& text = place.node.text;
  std::int64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
  const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3'600 : unit == "d" ? 86'400 : 0;
  if (parsed.ec != std::errc() || seconds == 0 || count < 0 || count > 31 * 86'400 / seconds) {
    error(place, "expected a time such as \"30s\", \"30m\", \"12h\" or \"7d\", at most 31 days");
    return std::nullopt;
  }
  return std::chrono::seconds(count * seconds);
}

}  // namespace sluice::policy
