// What the parts of the parser share: looking at members with all problems collected. Private to this folder.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_pointer.h"
#include "policy/policy.h"

namespace sluice::policy {

// A node and its JSON pointer.
struct Place {
  const Node& node;
  std::string path;

  Place at(std::string_view name) const;  // a member that is there
  Place at(std::size_t index) const { return {node.items[index], path + "/" + std::to_string(index)}; }
  // The member of that number: for objects of which all are looked at.
  Place member(std::size_t index) const {
    return {node.items[index], path + "/" + pointer_segment(node.names[index].text)};
  }
};

class Reader {
 public:
  explicit Reader(std::vector<Problem>& errors) : errors_(errors) {}

  void error(const Place& place, std::string message) {
    errors_.push_back({place.node.line, place.path, std::move(message)});
  }
  void error_at(std::size_t line, std::string path, std::string message) {
    errors_.push_back({line, std::move(path), std::move(message)});
  }
  // False and an error: not of this kind.
  bool expect(const Place& place, Node::Kind kind);
  // An object with no other members than these; unknown ones are errors with the nearest name.
  bool object(const Place& place, std::span<const std::string_view> known);
  bool object(const Place& place, std::initializer_list<std::string_view> known) {
    return object(place, std::span(known.begin(), known.size()));
  }
  bool has(const Place& place, std::string_view name) const { return place.node.find(name) != nullptr; }

  // The member if it is there and right; otherwise `fallback`, with an error if it is there and wrong.
  std::string text(const Place& place, std::string_view name, std::string fallback = "");
  bool flag(const Place& place, std::string_view name, bool fallback);
  // A whole number within the bounds.
  std::optional<std::int64_t> integer(const Place& place, std::int64_t least, std::int64_t most);
  // One of these words: its place in the list.
  std::optional<std::size_t> choice(const Place& place, std::span<const std::string_view> words);
  std::optional<std::size_t> choice(const Place& place, std::initializer_list<std::string_view> words) {
    return choice(place, std::span(words.begin(), words.size()));
  }
  std::vector<Named> names(const Place& place);                      // an array of strings, none twice, none empty
  std::vector<std::string> strings(const Place& place);              // the same without lines
  std::optional<std::chrono::seconds> duration(const Place& place);  // "30m"

 private:
  std::vector<Problem>& errors_;
};

// parse_rules.cc
Conditions parse_conditions(Reader& reader, const Place& place);
std::vector<Rule> parse_rules(Reader& reader, const Place& place);
// parse_limits.cc
std::vector<Limit> parse_limits(Reader& reader, const Place& place, bool for_all_tools);
std::optional<Window> parse_window(Reader& reader, const Place& place);
Approval parse_approval(Reader& reader, const Place& place);
ResultRules parse_result(Reader& reader, const Place& place);

}  // namespace sluice::policy
