// What both directions share.
#include "policy/intercept.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace sluice::policy {
namespace {

bool looks_typed(const std::string& text) {
  static constexpr std::string_view kWords[] = {"true", "false", "<nil>"};
  if (std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords)) return true;
  if (text.starts_with('[') || text.starts_with("map[")) return true;  // as Go prints lists and maps
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && parsed.ptr == text.data() + text.size();
}

}  // namespace

bool is_json_text(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos || std::string_view("{[\"").find(text[first]) != std::string_view::npos;
}

bool is_loosely_compared(Operator op, const Node& value) {
  if (value.is(Node::Kind::kArray)) {
    return std::any_of(value.items.begin(), value.items.end(),
                       [&](const Node& item) { return is_loosely_compared(op, item); });
  }
  const bool equals = op == Operator::kEq || op == Operator::kNeq || op == Operator::kIn || op == Operator::kNotIn;
  if (op == Operator::kContains) return !value.is(Node::Kind::kString) || looks_typed(value.text);
  return equals && (!value.is(Node::Kind::kString) || looks_typed(value.text));
}

std::string default_denial(std::string_view rule_name) { return fmt::format("Denied by rule \"{}\"", rule_name); }

}  // namespace sluice::policy
