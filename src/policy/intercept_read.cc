// From Intercept's YAML to the document that our JSON would be.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "policy/condition.h"
#include "policy/intercept.h"
#include "policy/node_build.h"
#include "policy/parse_reader.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

constexpr std::array<std::string_view, 11> kOperators{"eq", "neq",    "lt",     "lte",   "gt",      "gte",
                                                      "in", "not_in", "exists", "regex", "contains"};
constexpr std::array<std::string_view, 3> kWindows{"minute", "hour", "day"};
constexpr std::size_t kMostCopies = 50'000;  // of rules of "*" under default: deny, which each tool gets

// What the rules of one tool become.
struct Pieces {
  std::size_t line = 1;
  std::vector<Node> require, deny_if, limits;
  std::vector<std::size_t> counted_from;  // lines of limits with increment_from: all_tools cannot say them
  std::optional<Node> approval;
  std::set<std::string> counters;

  bool empty() const { return require.empty() && deny_if.empty() && limits.empty() && !approval; }
};

Node entry_of(const Pieces& pieces) {
  Node entry = container(Kind::kObject, pieces.line);
  if (!pieces.require.empty()) add(entry, "require", list_of(pieces.require, pieces.require.front().line));
  if (!pieces.deny_if.empty()) add(entry, "deny_if", list_of(pieces.deny_if, pieces.deny_if.front().line));
  if (pieces.approval) add(entry, "require_approval", *pieces.approval);
  if (!pieces.limits.empty()) add(entry, "limits", list_of(pieces.limits, pieces.limits.front().line));
  return entry;
}

class Translator {
 public:
  explicit Translator(Translation& out) : out_(out), reader_(out.errors) {}

  void run(const Node& yaml) {
    const Place root{yaml, ""};
    out_.document = container(Kind::kObject, 1);
    if (!reader_.object(root, {"version", "description", "default", "hide", "tools", "approvals"})) return;
    if (reader_.has(root, "approvals")) {
      reader_.error(root.at("approvals"), "where approvals are announced is configuration here (docs/grants.md)");
    }
    take_head(root);
    if (has_value(root, "tools")) take_tools(root.at("tools"));
  }

 private:
  // A key without a value is as if it were not there.
  bool has_value(const Place& place, std::string_view name) const {
    return reader_.has(place, name) && !place.node.find(name)->is(Kind::kNull);
  }
  void note(const Place& place, std::string message) {
    out_.notes.push_back({place.node.line, place.path, std::move(message)});
  }

  void take_head(const Place& root) {
    if (!reader_.has(root, "version")) {
      reader_.error(root, "needs version: \"1\"");
    } else if (const Place at = root.at("version"); !at.node.is(Kind::kString) || at.node.text != "1") {
      reader_.error(at, "the version is the text \"1\": write it in quotes");
    } else {
      add(out_.document, "version", at.node);
    }
    if (has_value(root, "description") && reader_.expect(root.at("description"), Kind::kString)) {
      add(out_.document, "description", root.at("description").node);
    }
    if (!has_value(root, "default")) {
      reader_.error(root,
                    "needs \"default\": write `default: allow`, which is what Intercept does without it, or deny");
    } else if (const auto found = reader_.choice(root.at("default"), {"allow", "deny"})) {
      denies_ = *found == 1;
      add(out_.document, "default", root.at("default").node);
    }
    if (!has_value(root, "hide")) return;
    for (const Named& name : reader_.names(root.at("hide"))) {
      if (name.name != "*") check_name(name.name, name.line, "/hide");
    }
    add(out_.document, "hide", root.at("hide").node);
  }

  // Exact names in Intercept mean more here.
  void check_name(std::string_view name, std::size_t line, const std::string& path) {
    if (name.find('*') != std::string_view::npos) {
      reader_.error_at(line, path, "Intercept takes names as they are, except \"*\": a pattern would mean more here");
    } else if (name.starts_with("risk:")) {
      reader_.error_at(line, path, "a name that begins with risk: would mean a class here");
    }
  }

  void take_tools(const Place& tools) {
    if (!reader_.expect(tools, Kind::kObject)) return;
    Node entries = container(Kind::kObject, tools.node.line);
    std::vector<std::pair<std::string, Pieces>> named;
    std::optional<Pieces> all;
    for (std::size_t i = 0; i < tools.node.names.size(); ++i) {
      const Node::Name& name = tools.node.names[i];
      const bool wildcard = name.text == "*";
      if (!wildcard) check_name(name.text, name.line, tools.member(i).path);
      Pieces pieces = take_rules(tools.member(i), wildcard ? kGlobalScope : std::string_view(name.text));
      pieces.line = name.line;
      if (wildcard) {
        all = std::move(pieces);
      } else {
        named.emplace_back(name.text, std::move(pieces));
      }
    }
    if (all) take_wildcard(*std::move(all), named, entries);
    for (const auto& [name, pieces] : named) add(entries, name, entry_of(pieces));
    add(out_.document, "tools", std::move(entries));
  }

  // Counters of "*" are shared by all tools. Its rules do not allow what `default: deny` denies, so there they stand
  // with each tool.
  void take_wildcard(Pieces all, std::vector<std::pair<std::string, Pieces>>& named, Node& entries) {
    std::vector<Node> shared;
    std::erase_if(all.limits, [&](const Node& limit) {
      const bool fits = !limit.find("increment_from");
      if (fits) shared.push_back(limit);
      return fits;
    });
    if (!shared.empty()) {
      Node holder = container(Kind::kObject, all.line);
      add(holder, "limits", list_of(shared, shared.front().line));
      add(out_.document, "all_tools", std::move(holder));
    }
    if (!denies_) {
      if (!all.empty()) add(entries, "*", entry_of(all));
      return;
    }
    for (const Node& limit : all.limits) {
      reader_.error_at(limit.line, "/tools/*",
                       "increment_from for every tool cannot be said under `default: deny`: give it to each tool");
    }
    const std::size_t rules = all.require.size() + all.deny_if.size();
    if (rules * named.size() > kMostCopies) {
      return reader_.error_at(all.line, "/tools/*",
                              "too many rules for too many tools: each tool would get all of them");
    }
    for (auto& [name, pieces] : named) {
      pieces.require.insert(pieces.require.end(), all.require.begin(), all.require.end());
      pieces.deny_if.insert(pieces.deny_if.end(), all.deny_if.begin(), all.deny_if.end());
      if (!all.approval) continue;
      if (pieces.approval) {
        reader_.error_at(pieces.approval->line, "/tools/" + pointer_segment(name),
                         "asks for approval, and so does \"*\": one of both");
      }
      pieces.approval = all.approval;
    }
  }

  Pieces take_rules(const Place& tool, std::string_view scope) {
    Pieces pieces;
    if (tool.node.is(Kind::kNull)) return pieces;
    if (!reader_.object(tool, {"rules"}) || !has_value(tool, "rules")) return pieces;
    const Place rules = tool.at("rules");
    if (!reader_.expect(rules, Kind::kArray)) return pieces;
    for (std::size_t i = 0; i < rules.node.items.size(); ++i) take_rule(rules.at(i), scope, pieces);
    return pieces;
  }

  void take_rule(const Place& rule, std::string_view scope, Pieces& pieces) {
    constexpr std::string_view kKeys[] = {
        "name",       "action",           "conditions", "on_deny",     "state",
        "rate_limit", "approval_timeout", "spend",      "spend_limit", "idempotency_window"};
    if (!reader_.object(rule, kKeys)) return;
    for (const std::string_view key : {"spend", "spend_limit", "idempotency_window"}) {
      if (reader_.has(rule, key)) reader_.error(rule.at(key), fmt::format("{} cannot be said here", key));
    }
    const std::string name = reader_.text(rule, "name");
    if (name.empty()) reader_.error(rule, "a rule needs a name");
    const bool says = reader_.has(rule, "on_deny");
    const std::string text = reader_.text(rule, "on_deny", default_denial(name));
    const auto action =
        reader_.has(rule, "action") ? reader_.choice(rule.at("action"), {"evaluate", "deny", "require_approval"}) : 0u;
    if (!action) return;
    if (*action != 2 && reader_.has(rule, "approval_timeout")) {
      reader_.error(rule.at("approval_timeout"), "only with action: require_approval");
    }
    const auto exclude = [&](std::initializer_list<std::string_view> keys, std::string_view with) {
      for (const std::string_view key : keys) {
        if (reader_.has(rule, key)) reader_.error(rule.at(key), fmt::format("{} excludes {}", with, key));
      }
    };
    if (*action == 1) {
      exclude({"conditions", "state", "rate_limit"}, "action: deny");
      Node denial = container(Kind::kObject, rule.node.line);
      add(denial, "conditions", container(Kind::kArray, rule.node.line));
      add(denial, "on_deny", text_node(text, rule.node.line));
      pieces.deny_if.push_back(std::move(denial));
    } else if (*action == 2) {
      exclude({"state", "rate_limit"}, "action: require_approval");
      take_approval(rule, says ? text : name, pieces);
    } else {
      if (reader_.has(rule, "rate_limit")) {
        exclude({"conditions", "state"}, "rate_limit");
        take_rate(rule.at("rate_limit"), pieces);
      } else {
        take_conditions(rule, scope, text, pieces);
      }
      const bool counts = reader_.has(rule, "rate_limit") || reader_.has(rule, "state");
      if (says && counts) {
        note(rule.at("on_deny"), "a limit has no text of its own here: its denial says how much fits and when again");
      }
    }
  }

  void take_rate(const Place& rate, Pieces& pieces) {
    if (!reader_.expect(rate, Kind::kString)) return;
    const std::string& text = rate.node.text;
    const std::size_t slash = text.find('/');
    const std::string count = text.substr(0, slash), window = slash == text.npos ? "" : text.substr(slash + 1);
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(count.data(), count.data() + count.size(), number);
    const bool counted = parsed.ec == std::errc() && parsed.ptr == count.data() + count.size() && number > 0;
    if (!counted || std::find(kWindows.begin(), kWindows.end(), window) == kWindows.end()) {
      return reader_.error(rate, "expected a rate such as 10/minute, 10/hour or 10/day");
    }
    add_limit(rate, std::string(kRateCounter) + window, window, std::to_string(number), std::nullopt, pieces);
  }

  // `increment`: a member of the limit, and its name.
  void add_limit(const Place& at, const std::string& counter, const std::string& window, const std::string& max,
                 std::optional<std::pair<std::string, Node>> increment, Pieces& pieces) {
    if (!pieces.counters.insert(counter).second) {
      return reader_.error(at, fmt::format("the counter \"{}\" is defined twice for this tool", counter.substr(0, 60)));
    }
    const std::size_t line = at.node.line;
    Node limit = container(Kind::kObject, line);
    add(limit, "counter", text_node(counter, line));
    add(limit, "window", text_node(window, line));
    add(limit, "max", number_node(max, line));
    add(limit, "scope", text_node("server", line));  // Intercept's counters are those of all its callers
    if (increment) add(limit, increment->first, std::move(increment->second));
    pieces.limits.push_back(std::move(limit));
  }

  void take_approval(const Place& rule, const std::string& message, Pieces& pieces) {
    if (pieces.approval) return reader_.error(rule, "a second rule of this tool that asks for approval: join them");
    Node approval = container(Kind::kObject, rule.node.line);
    if (has_value(rule, "conditions")) {
      Node when = container(Kind::kArray, rule.at("conditions").node.line);
      each_condition(rule.at("conditions"), [&](const Place& at, const std::string& path) {
        if (path.starts_with("state.")) return reader_.error(at, "counters do not decide what a person is asked about");
        if (auto condition = take_condition(at, path)) when.items.push_back(*std::move(condition));
      });
      add(approval, "when", std::move(when));
    }
    if (reader_.has(rule, "approval_timeout") && reader_.duration(rule.at("approval_timeout"))) {
      add(approval, "timeout", rule.at("approval_timeout").node);
    }
    add(approval, "message", text_node(message, rule.node.line));
    pieces.approval = std::move(approval);
  }

  template <class Take>
  void each_condition(const Place& list, const Take& take) {
    if (!reader_.expect(list, Kind::kArray)) return;
    for (std::size_t i = 0; i < list.node.items.size(); ++i) {
      const Place at = list.at(i);
      if (!reader_.object(at, {"path", "op", "value"})) continue;
      bool whole = true;
      for (const std::string_view name : {"path", "op", "value"}) {
        if (reader_.has(at, name)) continue;
        reader_.error(at, fmt::format("a condition needs \"{}\"", name));
        whole = false;
      }
      if (whole && reader_.expect(at.at("path"), Kind::kString)) take(at, at.at("path").node.text);
    }
  }

  void take_conditions(const Place& rule, std::string_view scope, const std::string& text, Pieces& pieces) {
    if (!has_value(rule, "conditions") || rule.at("conditions").node.items.empty()) {
      return reader_.error(rule, "a rule that evaluates needs at least one condition");
    }
    Node needed = container(Kind::kArray, rule.at("conditions").node.line);
    std::optional<std::string> max;
    each_condition(rule.at("conditions"), [&](const Place& at, const std::string& path) {
      if (path.starts_with("state.")) return take_ceiling(rule, at, scope, max);
      if (auto condition = take_condition(at, path)) needed.items.push_back(*std::move(condition));
    });
    if (!needed.items.empty()) {
      Node require = container(Kind::kObject, rule.node.line);
      add(require, "conditions", std::move(needed));
      add(require, "on_deny", text_node(text, rule.node.line));
      pieces.require.push_back(std::move(require));
    }
    if (has_value(rule, "state")) take_state(rule.at("state"), scope, max, pieces);
  }

  // args.a.b, each dot one level; names that are more than names here stand in quotes.
  std::optional<Node> path_of(const Place& at) {
    const std::string& path = at.node.text;
    if (!path.starts_with("args.")) {
      reader_.error(at, "a path begins with args. or state.");
      return std::nullopt;
    }
    std::string out = "args", rest = path.substr(4);
    while (!rest.empty()) {
      const std::size_t end = rest.find('.', 1);
      const std::string name = rest.substr(1, end == rest.npos ? end : end - 1);
      rest = end == rest.npos ? "" : rest.substr(end);
      const bool odd = name.find_first_of("[]\"*") != std::string::npos;
      out += odd ? "[" + dump_json(name) + "]" : "." + name;
    }
    if (const auto parsed = ArgumentPath::parse(out); !parsed) {
      reader_.error(at, parsed.error().message);
      return std::nullopt;
    }
    return text_node(std::move(out), at.node.line);
  }

  std::optional<Node> take_condition(const Place& at, const std::string&) {
    const auto op = reader_.choice(at.at("op"), kOperators);
    auto path = path_of(at.at("path"));
    if (!op || !path) return std::nullopt;
    const Node& value = at.at("value").node;
    if (const auto operand = Operand::compile(static_cast<Operator>(*op), value); !operand) {
      reader_.error(at.at("value"), operand.error().message);
      return std::nullopt;
    }
    if (is_loosely_compared(static_cast<Operator>(*op), value)) {
      note(at, fmt::format("{} compares types here: Intercept also takes the text \"100\" for the number 100, and "
                           "\"true\" for true",
                           kOperators[*op]));
    }
    Node condition = container(Kind::kObject, at.node.line);
    add(condition, "path", *std::move(path));
    add(condition, "op", at.at("op").node);
    add(condition, "value", value);
    return condition;
  }

  // state.SCOPE.COUNTER lte N beside the state block that counts it: at most N.
  void take_ceiling(const Place& rule, const Place& at, std::string_view scope, std::optional<std::string>& max) {
    const Node* state = has_value(rule, "state") ? rule.node.find("state") : nullptr;
    const Node* counter = state ? state->find("counter") : nullptr;
    const bool own = counter && counter->is(Kind::kString) &&
                     at.at("path").node.text == fmt::format("state.{}.{}", scope, counter->text);
    if (!own) {
      return reader_.error(
          at.at("path"), fmt::format("reads a counter that this rule does not count: only state.{}.COUNTER of its own "
                                     "state can be said here",
                                     scope));
    }
    const auto op = reader_.choice(at.at("op"), kOperators);
    if (!op) return;
    const auto found = static_cast<Operator>(*op);
    if (found != Operator::kLt && found != Operator::kLte) {
      return reader_.error(at.at("op"), "a counter is bounded by lt or lte; nothing else can be said here");
    }
    if (max) return reader_.error(at, "this rule bounds its counter twice");
    const std::int64_t least = found == Operator::kLt ? 1 : 0;
    const auto bound = reader_.integer(at.at("value"), least, 1'000'000'000'000);
    if (bound) max = std::to_string(*bound - least);
  }

  void take_state(const Place& state, std::string_view scope, const std::optional<std::string>& max, Pieces& pieces) {
    if (!reader_.object(state, {"counter", "window", "increment", "increment_from"})) return;
    const std::string counter = reader_.text(state, "counter");
    if (counter.empty()) reader_.error(state, "a counter needs a name");
    if (!reader_.has(state, "window")) return reader_.error(state, "a counter needs a window: minute, hour or day");
    const auto window = reader_.choice(state.at("window"), kWindows);
    if (reader_.has(state, "increment") && reader_.has(state, "increment_from")) {
      reader_.error(state, "increment and increment_from exclude each other");
    }
    std::optional<std::pair<std::string, Node>> increment;
    if (reader_.has(state, "increment")) {
      const auto amount = reader_.integer(state.at("increment"), 0, 1'000'000'000'000);
      if (amount && *amount > 1) increment.emplace("increment", state.at("increment").node);  // 0 is 1
    } else if (reader_.has(state, "increment_from") && reader_.expect(state.at("increment_from"), Kind::kString)) {
      auto path = path_of(state.at("increment_from"));
      if (!path) return;
      increment.emplace("increment_from", *std::move(path));
      note(state.at("increment_from"), "counts fractions here, and denies what is negative or no number");
    }
    if (!max) {
      return reader_.error(state, fmt::format("counts nothing: a rule with a state needs a condition on state.{}.{} "
                                              "with lt or lte",
                                              scope, counter.empty() ? "COUNTER" : counter));
    }
    if (window) add_limit(state, counter, std::string(kWindows[*window]), *max, std::move(increment), pieces);
  }

  Translation& out_;
  Reader reader_;
  bool denies_ = false;
};

}  // namespace

Translation from_intercept(const Node& yaml) {
  Translation out;
  Translator(out).run(yaml);
  const auto by_line = [](const Problem& a, const Problem& b) { return a.line < b.line; };
  std::stable_sort(out.errors.begin(), out.errors.end(), by_line);
  std::stable_sort(out.notes.begin(), out.notes.end(), by_line);
  return out;
}

}  // namespace sluice::policy
