#include "policy/explain.h"

#include <fmt/format.h>

namespace sluice::policy {
namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += between;
    out += part;
  }
  return out;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view more) {
  return fmt::format("{} {}", count, count == 1 ? one : more);
}

std::string_view verb(Operator op) {
  switch (op) {
    case Operator::kEq:
      return "is";
    case Operator::kNeq:
      return "is not";
    case Operator::kLt:
      return "is below";
    case Operator::kLte:
      return "is at most";
    case Operator::kGt:
      return "is above";
    case Operator::kGte:
      return "is at least";
    case Operator::kIn:
      return "is one of";
    case Operator::kNotIn:
      return "is none of";
    case Operator::kExists:
      return "is given";
    case Operator::kRegex:
      return "matches";
    case Operator::kContains:
      return "contains";
    case Operator::kPathWithin:
      return "is a path within";
    case Operator::kHostIn:
      return "is at host";
    case Operator::kCidr:
      return "is an address in";
    case Operator::kSchema:
      return "fits the schema";
  }
  return "";
}

std::string say(const Condition& condition) {
  const std::string name = condition.path.starts_with("args.") ? condition.path.substr(5) : condition.path.substr(4);
  if (condition.op == Operator::kExists)
    return fmt::format("{} is {}given", name, condition.value.boolean ? "" : "not ");
  return fmt::format("{} {} {}", name, verb(condition.op), dump_source(condition.value));
}

std::string say(const Conditions& conditions) {
  std::vector<std::string> parts;
  for (const Condition& condition : conditions) parts.push_back(say(condition));
  return joined(parts, " and ");
}

std::string say(const Rule& rule) {
  std::vector<std::string> branches;
  for (const Conditions& branch : rule.any_of) branches.push_back(say(branch));
  std::string text = say(rule.conditions);
  if (!branches.empty()) {
    const std::string any = joined(branches, ", or ");
    text = text.empty() ? any : fmt::format("{}, and one of these: {}", text, any);
  }
  return text;
}

std::string amount(Micro value) {
  return value % kMicro == 0 ? std::to_string(value / kMicro)
                             : fmt::format("{:g}", static_cast<double>(value) / static_cast<double>(kMicro));
}

std::string say(const Limit& limit) {
  const std::string of = limit.scope == Scope::kGrant    ? "for each grant"
                         : limit.scope == Scope::kServer ? "for all grants of the server together"
                                                         : "for everybody on all servers together";
  std::string what = "calls";
  if (!limit.increment_from.empty()) {
    what = "of " + limit.increment_from;
  } else if (limit.increment != kMicro) {
    what = fmt::format("points, each call counting {}", amount(limit.increment));
  }
  if (limit.max == 0) return fmt::format("Never ({}): the limit is 0.", limit.counter);
  return fmt::format("At most {} {} in {} {}, {} ({}).", amount(limit.max), what, limit.sliding ? "any" : "each UTC",
                     to_string(limit.window), of, limit.counter);
}

void say_entry(const Entry& entry, std::vector<std::string>& out) {
  for (const Rule& rule : entry.require) {
    const std::string text = say(rule);
    if (!text.empty())
      out.push_back(fmt::format("  Only if {}{}.", text, rule.on_deny ? "; else \"" + *rule.on_deny + '"' : ""));
  }
  for (const Rule& rule : entry.deny_if) {
    const std::string text = say(rule);
    out.push_back(fmt::format("  {}{}.", text.empty() ? "Always denied" : "Not if " + text,
                              rule.on_deny ? ": \"" + *rule.on_deny + '"' : ""));
  }
  if (entry.approval) {
    const std::string when = say(entry.approval->when);
    const std::string& message = entry.approval->message;
    out.push_back(fmt::format("  A person must approve{} (by {}, within {} s).{}", when.empty() ? "" : " if " + when,
                              joined(entry.approval->approvers, " or "), entry.approval->timeout.count(),
                              message.empty() ? "" : " They are told: \"" + message + "\"."));
  }
  for (const Limit& limit : entry.limits) out.push_back("  " + say(limit));
  if (!entry.result) return;
  if (entry.result->raw) {
    out.push_back(*entry.result->raw ? "  Secrets may be shown (show_secrets)." : "  Secrets are never shown.");
  }
  if (!entry.result->redact.empty())
    out.push_back(fmt::format("  {} masked in answers.",
                              counted(entry.result->redact.size(), "kind of text is", "kinds of text are")));
  if (!entry.result->block.empty())
    out.push_back(fmt::format("  Answers are withheld by {}.", counted(entry.result->block.size(), "rule", "rules")));
  if (entry.result->max_bytes) out.push_back(fmt::format("  Answers have at most {} bytes.", *entry.result->max_bytes));
}

std::string subject(const Entry& entry) {
  if (entry.is_class()) return fmt::format("Tools of the class {}", entry.name.substr(5));
  return entry.is_pattern() ? fmt::format("Tools named {}", entry.name) : fmt::format("Tool {}", entry.name);
}

void say_rest(const Document& document, std::vector<std::string>& out) {
  for (const MethodEntry& method : document.methods) {
    out.push_back(fmt::format("The method {} is {}.", method.name, method.allow ? "open" : "closed"));
  }
  if (document.closed_args) out.push_back("Arguments that a tool's schema does not name are denied.");
  if (document.own_only) out.push_back("A grant changes only rules that it made itself.");
  if (document.pins) out.push_back(fmt::format("Changed tools of other servers: {}.", *document.pins));
  if (document.egress) out.push_back(explain(*document.egress));
  if (document.handles)
    out.push_back(
        "Secrets in answers are replaced by handles: used where they came from, by replays, and seen by nobody.");
  if (document.max_in_flight) {
    out.push_back(fmt::format("At most {} of a grant {} at once.", counted(*document.max_in_flight, "call", "calls"),
                              *document.max_in_flight == 1 ? "runs" : "run"));
  }
  if (document.max_denials) {
    out.push_back(fmt::format("After {} in {}{} a grant gets no answers but 429.",
                              counted(document.max_denials->max, "denial", "denials"),
                              article_of(document.max_denials->window), to_string(document.max_denials->window)));
  }
}

}  // namespace

std::string explain(const Egress& egress) {
  std::vector<std::string> parts;
  const auto listed = [](const std::vector<std::string>& names) {
    return names.empty() ? std::string("nothing") : joined(names, ", ");
  };
  if (egress.host_in) parts.push_back("to hosts in " + listed(*egress.host_in));
  if (egress.cidr) parts.push_back("to addresses in " + listed(*egress.cidr));
  if (egress.ports) {
    std::vector<std::string> ports;
    for (const std::uint16_t port : *egress.ports) ports.push_back(std::to_string(port));
    parts.push_back("to ports " + listed(ports));
  }
  if (parts.empty()) return "Traffic that a grant causes may go anywhere: `egress` names nothing.";
  return fmt::format("Traffic that a grant causes goes only {}; judged where it is dialled.", joined(parts, " and "));
}

std::vector<std::string> explain(const Document& document) {
  std::vector<std::string> out;
  if (!document.description.empty()) out.push_back(fmt::format("\"{}\"", document.description));
  if (document.mode == Mode::kMonitor)
    out.push_back("Monitor mode: decisions are only written down; every call passes.");
  out.push_back(document.otherwise == Default::kAllow ? "Tools that are not named here are allowed."
                                                      : "Tools that are not named here are denied.");
  std::vector<std::string> hidden;
  for (const Named& name : document.hide) hidden.push_back(name.name == "*" ? "every tool" : name.name);
  if (!hidden.empty()) {
    out.push_back(fmt::format("Hidden, and {}: {}.",
                              document.hidden_reply == HiddenReply::kDenied ? "denied" : "answered as unknown",
                              joined(hidden, ", ")));
  }
  for (const RiskEntry& entry : document.risk) {
    out.push_back(fmt::format("Other servers' tools named {} are of the class {}.", entry.name, to_string(entry.risk)));
  }
  for (const Entry& entry : document.tools) {
    const std::size_t before = out.size();
    out.push_back(subject(entry) + ":");
    say_entry(entry, out);
    if (out.size() == before + 1) out.back() = subject(entry) + ": allowed.";
  }
  if (!document.limits.empty()) out.push_back("All calls:");
  for (const Limit& limit : document.limits) out.push_back("  " + say(limit));
  say_rest(document, out);
  return out;
}

}  // namespace sluice::policy
