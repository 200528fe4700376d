// From our documents to Intercept's YAML, where it can say the same.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json_pointer.h"
#include "policy/condition.h"
#include "policy/intercept.h"
#include "policy/yaml_source.h"

namespace sluice::policy {
namespace {

std::string value_text(const Node& value) {
  if (value.is(Node::Kind::kString)) return yaml_quoted(value.text);
  if (!value.is(Node::Kind::kArray)) return dump_source(value);
  std::string out = "[";
  for (const Node& item : value.items) out.append(out.size() > 1 ? ", " : "").append(value_text(item));
  return out + "]";
}

bool is_whole(Micro amount) { return amount % kMicro == 0; }

class Writer {
 public:
  explicit Writer(Written& out) : out_(out) {}

  void run(const Document& document) {
    check_top(document);
    line(0, "version: \"1\"");
    if (!document.description.empty()) line(0, "description: " + yaml_quoted(document.description));
    const bool denies = document.otherwise == Default::kDeny;
    line(0, denies ? "default: \"deny\"" : "default: \"allow\"");
    if (denies) note(1, "/default", "closes tools only: what is no tool call (resources, prompts, …) passes Intercept");
    if (!document.hide.empty()) line(0, "hide:");
    for (const Named& hidden : document.hide) {
      if (hidden.name != "*") check_name(hidden.name, hidden.line, "/hide");
      line(1, "- " + yaml_quoted(hidden.name));
    }
    const bool global = !document.limits.empty();
    line(0, document.tools.empty() && !global ? "tools: {}" : "tools:");
    const Entry* every = nullptr;
    for (const Entry& entry : document.tools) {
      if (entry.name == "*" && !denies) {
        every = &entry;
      } else {
        check_name(entry.name, entry.line, pointer_of(entry));
        write_entry(entry, {}, entry.name);
      }
    }
    Entry none;
    none.name = "*";
    if (every || global) write_entry(every ? *every : none, document.limits, kGlobalScope);
    if (!out_.refused.empty()) out_.yaml.clear();
  }

 private:
  void line(std::size_t level, std::string_view text) { out_.yaml.append(2 * level, ' ').append(text).append("\n"); }
  void refuse(std::size_t at, std::string path, std::string_view what) {
    out_.refused.push_back({at, std::move(path), fmt::format("{} cannot be said in Intercept's YAML", what)});
  }
  void note(std::size_t at, std::string path, std::string message) {
    out_.notes.push_back({at, std::move(path), std::move(message)});
  }
  static std::string pointer_of(const Entry& entry) { return "/tools/" + pointer_segment(entry.name); }

  void check_top(const Document& document) {
    const auto unsaid = [&](bool used, std::string_view name) {
      if (used) refuse(1, "/" + std::string(name), name);
    };
    unsaid(document.mode != Mode::kEnforce, "mode");
    unsaid(document.hidden_reply != HiddenReply::kDenied, "hidden_reply");
    unsaid(!document.risk.empty(), "risk");
    unsaid(!document.methods.empty(), "methods");
    unsaid(document.closed_args, "args");
    unsaid(document.pins && *document.pins != "off", "pins");
    unsaid(document.own_only, "own_only");
    unsaid(document.handles, "handles");
    unsaid(document.egress.has_value(), "egress");
    unsaid(document.max_in_flight.has_value(), "max_in_flight");
    unsaid(document.max_denials.has_value(), "max_denials");
  }

  void check_name(std::string_view name, std::size_t at, const std::string& path) {
    if (name.starts_with("risk:")) {
      refuse(at, path, "a class of tools");
    } else if (name.find('*') != std::string_view::npos) {
      refuse(at, path, "a pattern");
    }
  }

  void write_entry(const Entry& entry, const std::vector<Limit>& global, std::string_view scope) {
    const std::string path = pointer_of(entry);
    const bool empty = entry.require.empty() && entry.deny_if.empty() && entry.limits.empty() && !entry.approval;
    line(1, yaml_quoted(entry.name) + ":");
    line(2, empty && global.empty() ? "rules: []" : "rules:");
    if (entry.result) refuse(entry.line, path + "/result", "result");
    for (std::size_t i = 0; i < entry.require.size(); ++i) {
      write_require(entry.require[i], fmt::format("{}/require/{}", path, i), fmt::format("require {}", i + 1));
    }
    for (std::size_t i = 0; i < entry.deny_if.size(); ++i) {
      write_denial(entry.deny_if[i], fmt::format("{}/deny_if/{}", path, i), fmt::format("deny {}", i + 1));
    }
    if (entry.approval) write_approval(*entry.approval, entry.line, path + "/require_approval");
    std::set<std::string> counters;
    for (const Limit& limit : entry.limits) write_limit(limit, path + "/limits", scope, counters);
    for (const Limit& limit : global) write_limit(limit, "/all_tools/limits", scope, counters);
  }

  // The rule's name is kept in the text that it gives a denial.
  void write_names(const std::optional<std::string>& on_deny, const std::string& otherwise) {
    const std::string text = on_deny.value_or("");
    constexpr std::string_view kBegin = "Denied by rule \"";
    const bool named = text.starts_with(kBegin) && text.ends_with('"') && text.size() > kBegin.size() + 1;
    const std::string name = named ? text.substr(kBegin.size(), text.size() - kBegin.size() - 1) : otherwise;
    line(3, "- name: " + yaml_quoted(name));
    if (on_deny && !named) line(4, "on_deny: " + yaml_quoted(text));
  }

  void write_condition(const Condition& condition, const std::string& at) {
    const auto path = ArgumentPath::parse(condition.path);
    const auto dotted = path ? path->dotted() : std::nullopt;
    if (!dotted) refuse(condition.line, at, "an index, [*] or a name with a dot in a path");
    if (condition.op > Operator::kContains) refuse(condition.line, at, to_string(condition.op));
    if (is_loosely_compared(condition.op, condition.value)) {
      note(condition.line, at,
           fmt::format("{} is looser there: Intercept also takes the text \"100\" for the number 100, and \"true\" "
                       "for true",
                       to_string(condition.op)));
    }
    line(5, "- path: " + yaml_quoted(dotted.value_or("")));
    line(6, "op: " + yaml_quoted(to_string(condition.op)));
    line(6, "value: " + value_text(condition.value));
  }

  void write_require(const Rule& rule, const std::string& at, const std::string& name) {
    if (!rule.any_of.empty()) return refuse(rule.line, at, "any_of");
    if (rule.conditions.empty()) return;  // requires nothing
    write_names(rule.on_deny, name);
    line(4, "conditions:");
    for (const Condition& condition : rule.conditions) write_condition(condition, at);
  }

  // What must not hold, as what must: only where an absent argument and one of another type are judged alike.
  static std::optional<Condition> inverted(const Rule& rule) {
    if (rule.conditions.size() != 1 || !rule.any_of.empty()) return std::nullopt;
    Condition out = rule.conditions.front();
    if (const auto path = ArgumentPath::parse(out.path); !path || path->has_wildcard()) return std::nullopt;
    if (out.op == Operator::kExists) {
      out.value.boolean = !out.value.boolean;
    } else if (out.op == Operator::kNeq) {
      out.op = Operator::kEq;
    } else if (out.op == Operator::kNotIn) {
      out.op = Operator::kIn;
    } else {
      return std::nullopt;
    }
    return out;
  }

  void write_denial(const Rule& rule, const std::string& at, const std::string& name) {
    if (rule.conditions.empty() && rule.any_of.empty()) {
      write_names(rule.on_deny, name);
      return line(4, "action: \"deny\"");
    }
    const auto needed = inverted(rule);
    if (!needed) {
      return refuse(rule.line, at,
                    "a condition of deny_if (Intercept's rules say what must hold, of an argument that is there)");
    }
    write_names(rule.on_deny, name);
    line(4, "conditions:");
    write_condition(*needed, at);
  }

  void write_approval(const Approval& approval, std::size_t at, const std::string& path) {
    // Of an argument of another type a person is asked here; Intercept would let the call pass.
    if (!approval.when.empty()) return refuse(at, path + "/when", "when a person is asked");
    if (approval.approvers != std::vector<std::string>{"admin"}) return refuse(at, path + "/approvers", "approvers");
    if (approval.wait.count() > 0) return refuse(at, path + "/wait", "wait");
    line(3, "- name: \"approval\"");
    line(4, "action: \"require_approval\"");
    line(4, fmt::format("approval_timeout: \"{}s\"", approval.timeout.count()));
    if (!approval.message.empty()) line(4, "on_deny: " + yaml_quoted(approval.message));
  }

  void write_limit(const Limit& limit, const std::string& path, std::string_view scope,
                   std::set<std::string>& counters) {
    if (limit.sliding) return refuse(limit.line, path, "sliding");
    if (limit.scope == Scope::kAll) return refuse(limit.line, path, "the scope all");
    if (!is_whole(limit.max) || !is_whole(limit.increment)) return refuse(limit.line, path, "a fraction");
    if (!counters.insert(limit.counter).second) return refuse(limit.line, path, "a counter of two windows");
    if (scope.find('.') != std::string_view::npos) return refuse(limit.line, path, "a counter of a tool with a dot");
    if (limit.scope == Scope::kGrant) note(limit.line, path, "counts all callers together there, not each grant");
    const std::string window(to_string(limit.window));
    line(3, "- name: " + yaml_quoted(limit.counter));
    const bool plain = limit.increment_from.empty() && limit.increment == kMicro;
    if (plain && limit.max > 0 && limit.counter == std::string(kRateCounter) + window) {
      return line(4, fmt::format("rate_limit: \"{}/{}\"", limit.max / kMicro, window));
    }
    line(4, "conditions:");
    line(5, "- path: " + yaml_quoted(fmt::format("state.{}.{}", scope, limit.counter)));
    line(6, "op: \"lte\"");
    line(6, fmt::format("value: {}", limit.max / kMicro));
    line(4, "state:");
    line(5, "counter: " + yaml_quoted(limit.counter));
    line(5, fmt::format("window: \"{}\"", window));
    if (!limit.increment_from.empty()) {
      const auto from = ArgumentPath::parse(limit.increment_from);
      const auto dotted = from ? from->dotted() : std::nullopt;
      if (!dotted) return refuse(limit.line, path, "an index or a name with a dot in increment_from");
      note(limit.line, path, "counts whole units only there: 0.9 is nothing, and a negative amount is given back");
      line(5, "increment_from: " + yaml_quoted(*dotted));
    } else if (limit.increment != kMicro) {
      line(5, fmt::format("increment: {}", limit.increment / kMicro));
    }
  }

  Written& out_;
};

}  // namespace

Written to_intercept(const Document& document) {
  Written out;
  Writer(out).run(document);
  return out;
}

}  // namespace sluice::policy
