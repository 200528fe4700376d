// Limits, approvals and rules for results.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "policy/condition.h"
#include "policy/parse_reader.h"
#include "policy/result_filter.h"
#include "regex/replace.h"

namespace sluice::policy {
namespace {

constexpr Micro kMost = 1'000'000'000'000;  // whole units of a limit: far from where sums overflow
constexpr std::chrono::seconds kMaxWait{50};

std::optional<Micro> parse_amount(Reader& reader, const Place& place, bool may_be_zero) {
  if (!reader.expect(place, Node::Kind::kNumber)) return std::nullopt;
  const auto amount = Number::from_spelling(place.node.text).micro();
  if (!amount || *amount / kMicro > kMost || (*amount == 0 && !may_be_zero)) {
    reader.error(place, fmt::format("expected a number {} and at most {}", may_be_zero ? "from 0" : "above 0", kMost));
    return std::nullopt;
  }
  return amount;
}

void parse_increment(Reader& reader, const Place& place, bool for_all_tools, Limit& limit) {
  if (reader.has(place, "increment")) {
    limit.increment = parse_amount(reader, place.at("increment"), false).value_or(kMicro);
  }
  if (!reader.has(place, "increment_from")) return;
  const Place from = place.at("increment_from");
  if (reader.has(place, "increment")) reader.error(from, "increment and increment_from exclude each other");
  // policy.md 1.2: the limits of all_tools are static.
  if (for_all_tools) reader.error(from, "all_tools counts calls of every tool: increment_from has no argument there");
  limit.increment_from = reader.text(place, "increment_from");
  const auto path = ArgumentPath::parse(limit.increment_from);
  if (!from.node.is(Node::Kind::kString)) return;
  if (!path) {
    reader.error(from, path.error().message);
  } else if (path->has_wildcard()) {
    reader.error(from, "increment_from names one argument: no [*]");
  }
}

std::optional<Limit> parse_limit(Reader& reader, const Place& place, bool for_all_tools) {
  constexpr std::string_view kKeys[] = {"counter", "window", "sliding", "max", "scope", "increment", "increment_from"};
  if (!reader.object(place, kKeys)) return std::nullopt;
  for (const std::string_view name : {"counter", "window", "max"}) {
    if (!reader.has(place, name)) reader.error(place, fmt::format("a limit needs \"{}\"", name));
  }
  Limit limit;
  limit.line = place.node.line;
  limit.counter = reader.text(place, "counter");
  if (reader.has(place, "counter") && place.node.find("counter")->is(Node::Kind::kString) &&
      trim(limit.counter).empty()) {
    reader.error(place.at("counter"), "a counter needs a name");
  }
  if (reader.has(place, "window")) limit.window = parse_window(reader, place.at("window")).value_or(Window::kMinute);
  if (reader.has(place, "max")) limit.max = parse_amount(reader, place.at("max"), true).value_or(0);
  if (reader.has(place, "scope")) {
    limit.scope = static_cast<Scope>(reader.choice(place.at("scope"), {"grant", "server", "all"}).value_or(0));
  }
  limit.sliding = reader.flag(place, "sliding", false);
  parse_increment(reader, place, for_all_tools, limit);
  return limit;
}

void parse_redact(Reader& reader, const Place& list, ResultRules& rules) {
  if (!reader.expect(list, Node::Kind::kArray)) return;
  for (std::size_t i = 0; i < list.node.items.size(); ++i) {
    const Place place = list.at(i);
    if (!reader.object(place, {"path", "pattern"})) continue;
    if (reader.has(place, "path") == reader.has(place, "pattern")) {
      reader.error(place, "give one of \"path\" and \"pattern\"");
      continue;
    }
    ResultRules::Redact redact{reader.text(place, "path"), reader.text(place, "pattern")};
    if (reader.has(place, "pattern")) {
      if (const auto compiled = regex::Replacer::compile(redact.pattern); !compiled) {
        reader.error(place.at("pattern"), compiled.error().message);
      }
    } else if (const auto path = JsonPath::parse(redact.path); !path) {
      reader.error(place.at("path"), path.error().message);
    }
    rules.redact.push_back(std::move(redact));
  }
}

void parse_block(Reader& reader, const Place& list, ResultRules& rules) {
  if (!reader.expect(list, Node::Kind::kArray)) return;
  for (std::size_t i = 0; i < list.node.items.size(); ++i) {
    const Place place = list.at(i);
    if (!reader.object(place, {"op", "value", "on_deny"})) continue;
    if (!reader.has(place, "op") || !reader.has(place, "value")) {
      reader.error(place, "needs \"op\" (contains or regex) and \"value\"");
      continue;
    }
    ResultRules::Block block;
    const auto op = reader.choice(place.at("op"), {"contains", "regex"});
    block.op = op == 1u ? Operator::kRegex : Operator::kContains;
    block.value = reader.text(place, "value");
    block.on_deny = reader.text(place, "on_deny");
    if (block.op == Operator::kRegex) {
      if (const auto compiled = regex::Regex::compile(block.value); !compiled) {
        reader.error(place.at("value"), compiled.error().message);
      }
    } else if (block.value.empty() && place.node.find("value")->is(Node::Kind::kString)) {
      reader.error(place.at("value"), "every text contains the empty one");
    }
    rules.block.push_back(std::move(block));
  }
}

}  // namespace

std::optional<Window> parse_window(Reader& reader, const Place& place) {
  const auto found = reader.choice(place, {"minute", "hour", "day"});
  if (!found) return std::nullopt;
  return static_cast<Window>(*found);
}

std::vector<Limit> parse_limits(Reader& reader, const Place& place, bool for_all_tools) {
  std::vector<Limit> out;
  if (!reader.expect(place, Node::Kind::kArray)) return out;
  for (std::size_t i = 0; i < place.node.items.size(); ++i) {
    auto limit = parse_limit(reader, place.at(i), for_all_tools);
    if (!limit) continue;
    const auto same = [&](const Limit& other) {
      return other.counter == limit->counter && other.window == limit->window;
    };
    if (std::any_of(out.begin(), out.end(), same)) {
      reader.error(place.at(i), "the same counter and window are in this list already");
    }
    out.push_back(*std::move(limit));
  }
  return out;
}

Approval parse_approval(Reader& reader, const Place& place) {
  Approval approval;
  if (!reader.object(place, {"when", "timeout", "approvers", "message", "wait"})) return approval;
  if (reader.has(place, "when")) approval.when = parse_conditions(reader, place.at("when"));
  if (reader.has(place, "timeout")) {
    approval.timeout = reader.duration(place.at("timeout")).value_or(approval.timeout);
    if (approval.timeout == approval.timeout.zero()) reader.error(place.at("timeout"), "nobody decides in no time");
  }
  if (reader.has(place, "wait")) {
    approval.wait = reader.duration(place.at("wait")).value_or(approval.wait);
    if (approval.wait > kMaxWait) reader.error(place.at("wait"), "a call is held for 50 s at most");
  }
  if (reader.has(place, "approvers")) {
    const Place list = place.at("approvers");
    approval.approvers = reader.strings(list);
    for (std::size_t i = 0; list.node.is(Node::Kind::kArray) && i < list.node.items.size(); ++i) {
      reader.choice(list.at(i), {"admin", "caller"});
    }
    if (list.node.is(Node::Kind::kArray) && list.node.items.empty())
      reader.error(list, "somebody must be able to approve");
  }
  approval.message = reader.text(place, "message");
  return approval;
}

ResultRules parse_result(Reader& reader, const Place& place) {
  ResultRules rules;
  if (!reader.object(place, {"redact", "block", "max_bytes", "raw"})) return rules;
  if (reader.has(place, "redact")) parse_redact(reader, place.at("redact"), rules);
  if (reader.has(place, "block")) parse_block(reader, place.at("block"), rules);
  if (reader.has(place, "max_bytes")) {
    if (const auto most = reader.integer(place.at("max_bytes"), 1, 64 * 1024 * 1024)) {
      rules.max_bytes = static_cast<std::uint64_t>(*most);
    }
  }
  if (reader.has(place, "raw")) rules.raw = reader.flag(place, "raw", false);
  return rules;
}

}  // namespace sluice::policy
