// Arguments of terms: statuses, sizes, durations, rules, patterns.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "analysis/filter_node.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
// The first has no name: what a bare number counts.
constexpr Unit kSizes[] = {{"", 1},
                           {"b", 1},
                           {"k", 1024.0},
                           {"kb", 1024.0},
                           {"kib", 1024.0},
                           {"m", 1024.0 * 1024},
                           {"mb", 1024.0 * 1024},
                           {"mib", 1024.0 * 1024},
                           {"g", 1024.0 * 1024 * 1024},
                           {"gb", 1024.0 * 1024 * 1024},
                           {"gib", 1024.0 * 1024 * 1024}};
constexpr Unit kDurations[] = {{"", 1}, {"us", 0.001}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};

// "10k", "1.5s": digits, perhaps a fraction, a unit.
std::optional<double> read_amount(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + digits, value, std::chars_format::fixed);
  if (digits == 0 || read.ec != std::errc() || read.ptr != text.data() + digits) return std::nullopt;
  for (const Unit& unit : units) {
    if (iequals(text.substr(digits), unit.name)) return value * unit.factor;
  }
  return std::nullopt;
}

// >n >=n <n <=n =n n a-b
std::optional<Bounds> read_bounds(std::string_view text, std::span<const Unit> units) {
  Bounds bounds;
  const char sign = text.empty() ? '\0' : text.front();
  if (sign == '>' || sign == '<' || sign == '=') {
    text.remove_prefix(1);
    const bool open = sign != '=' && !text.starts_with('=');
    if (sign != '=' && !open) text.remove_prefix(1);
    const auto amount = read_amount(text, units);
    if (!amount) return std::nullopt;
    if (sign != '<') bounds.low = *amount, bounds.low_open = open;
    if (sign != '>') bounds.high = *amount, bounds.high_open = open;
    return bounds;
  }
  const std::size_t dash = text.find('-');
  const auto low = read_amount(text.substr(0, dash), units);
  const auto high = dash == std::string_view::npos ? low : read_amount(text.substr(dash + 1), units);
  if (!low || !high || *low > *high) return std::nullopt;
  bounds.low = *low;
  bounds.high = *high;
  return bounds;
}

// 404, 400-499, >=400, and 5.. or 5xx: the hundred.
std::optional<Bounds> read_status(std::string_view text) {
  static constexpr Unit kNone[] = {{"", 1}};
  const std::size_t digits = std::min(text.find_first_of(".xX"), text.size());
  if (digits == text.size()) {
    auto bounds = read_bounds(text, kNone);
    return bounds;
  }
  const std::string_view rest = text.substr(digits);
  if (text.size() != 3 || digits == 0 || rest.find_first_not_of(".xX") != std::string_view::npos) return std::nullopt;
  const auto start = read_amount(text.substr(0, digits), kNone);
  if (!start) return std::nullopt;
  const double step = std::pow(10.0, static_cast<double>(rest.size()));
  Bounds bounds;
  bounds.low = *start * step;
  bounds.high = bounds.low + step - 1;
  return bounds;
}

Status read_rule(FilterNode& node) {
  std::string_view text = node.argument;
  if (text == "*") return {};
  if (text.starts_with("rule_")) text.remove_prefix(5);
  std::uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) {
    return fail(Code::kInvalid, "~rule takes a rule's id such as rule_3, or * for any");
  }
  node.rule = number;
  return {};
}

Status take(FilterNode& node, const std::optional<Bounds>& bounds, std::string_view examples) {
  if (!bounds) return fail(Code::kInvalid, fmt::format("~{} takes {}", node.term->code, examples));
  node.bounds = *bounds;
  return {};
}

}  // namespace

Status read_filter_argument(FilterNode& node) {
  switch (node.term->argument) {
    case TermArgument::kNone:
      return {};
    case TermArgument::kStatus:
      return take(node, read_status(node.argument), "a status such as 404, 400-499, 5.. or >=400");
    case TermArgument::kSize:
      return take(node, read_bounds(node.argument, kSizes),
                  "a size such as >10k, <=1.5m, 0 or 1k-2k, without a blank behind the sign");
    case TermArgument::kDuration:
      return take(node, read_bounds(node.argument, kDurations),
                  "a time such as >500ms, <1.5s or 1s-2s (a bare number: ms), without a blank behind the sign");
    case TermArgument::kRule:
      return read_rule(node);
    case TermArgument::kPattern: {
      SLUICE_TRY(TextPattern pattern, TextPattern::compile(node.argument));
      node.pattern = std::move(pattern);
      return {};
    }
  }
  return {};
}

}  // namespace sluice::analysis
