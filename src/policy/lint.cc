#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json_pointer.h"
#include "base/text.h"
#include "policy/condition.h"
#include "policy/explain.h"

namespace sluice::policy {
namespace {

std::size_t line_of(const Document& document, std::string_view member) {
  for (const Node::Name& one : document.source.names) {
    if (one.text == member) return one.line;
  }
  return 1;
}

class Linter {
 public:
  Linter(const Document& document, std::span<const KnownTool> tools, std::string_view server)
      : document_(document), tools_(tools), server_(server) {}

  std::vector<Problem> run() {
    quiet_ = tools_.empty() || (server_.empty() && is_for_another_server());
    for (const Named& hidden : document_.hide) check_name(hidden.name, hidden.line, "/hide");
    for (const RiskEntry& entry : document_.risk) {
      if (server_.empty() && known(entry.name)) {
        warn(entry.line, "/risk/" + pointer_segment(entry.name), "ignored: the class of Sluice's own tools is fixed");
      }
    }
    for (const Entry& entry : document_.tools) check_entry(entry);
    if (document_.egress) check_egress(*document_.egress);
    if (document_.handles) check_handles();
    check_twins();
    if (allows_nothing()) warn(1, "", "allows no tool");
    std::stable_sort(out_.begin(), out_.end(), [](const Problem& a, const Problem& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  void warn(std::size_t line, std::string path, std::string message) {
    out_.push_back({line, std::move(path), std::move(message)});
  }

  const KnownTool* known(std::string_view name) const {
    const auto found =
        std::find_if(tools_.begin(), tools_.end(), [&](const KnownTool& tool) { return tool.name == name; });
    return found == tools_.end() ? nullptr : &*found;
  }

  void check_name(std::string_view name, std::size_t line, const std::string& path) {
    const auto odd = [](char c) {
      return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_./-*").find(c) != std::string_view::npos);
    };
    if (std::any_of(name.begin(), name.end(), odd) || name.size() > 128) {
      return warn(line, path, "no tool has such a name: names are 1 to 128 of A-Z a-z 0-9 _ . / -");
    }
    if (quiet_ || name.find('*') != std::string_view::npos || is_prefixed(name) || known(name)) return;
    const std::optional<std::string> near = ++unknown_ <= kMostSuggestions ? near_name(name) : std::nullopt;
    warn(line, path,
         fmt::format("{} has no such tool{}", server_.empty() ? "Sluice" : utf16_prefix(server_, 40),
                     near ? fmt::format("; did you mean {}?", *near) : ""));
  }

  // Of one of several servers, which are unknown here.
  bool is_prefixed(std::string_view name) const { return server_.empty() && name.find("__") != std::string_view::npos; }

  std::optional<std::string> near_name(std::string_view name) const {
    std::vector<std::string_view> names;
    for (const KnownTool& tool : tools_) names.push_back(tool.name);
    return nearest(name, names);
  }

  // By the first names; one like ours is ours misspelt.
  bool is_for_another_server() const {
    std::size_t looked = 0, others = 0;
    const auto look = [&](std::string_view name) {
      if (looked == kMostSuggestions || name.find('*') != std::string_view::npos || is_prefixed(name)) return;
      ++looked;
      if (!known(name) && !name.starts_with("proxy_") && !near_name(name)) ++others;
    };
    for (const Named& hidden : document_.hide) look(hidden.name);
    for (const Entry& entry : document_.tools) {
      if (!entry.is_class()) look(entry.name);
    }
    return others * 2 > looked;
  }

  static bool is_always(const Rule& rule) { return rule.conditions.empty() && rule.any_of.empty(); }

  static bool applies(const Entry& entry, const KnownTool& tool) {
    if (entry.is_class()) return entry.name.substr(5) == to_string(tool.risk);
    return matches_name(entry.name, tool.name);
  }

  // What closes a tool for good, as it was written; nullopt: nothing.
  std::optional<Problem> closed_by(const KnownTool& tool) const {
    for (const Named& hidden : document_.hide) {
      if (matches_name(hidden.name, tool.name)) return Problem{hidden.line, "/hide", ""};
    }
    for (const Entry& entry : document_.tools) {
      if (!applies(entry, tool)) continue;
      const std::string path = "/tools/" + pointer_segment(entry.name);
      for (const Rule& rule : entry.deny_if) {
        if (is_always(rule)) return Problem{rule.line, path + "/deny_if", ""};
      }
      for (const Limit& limit : entry.limits) {
        if (limit.max == 0) return Problem{limit.line, path + "/limits", ""};
      }
    }
    return std::nullopt;
  }

  bool is_open(const KnownTool& tool) const {
    if (closed_by(tool)) return false;
    return document_.otherwise == Default::kAllow ||
           std::any_of(document_.tools.begin(), document_.tools.end(),
                       [&](const Entry& entry) { return applies(entry, tool); });
  }

  // What is closed on purpose, and is open under the name that the other toolset gives it.
  void check_twins() {
    for (const KnownTool& tool : tools_) {
      if (tool.twins.empty()) continue;
      const auto closed = closed_by(tool);
      if (!closed) continue;
      for (const std::string_view name : tool.twins) {
        const KnownTool* twin = known(name);
        if (twin && is_open(*twin)) {
          warn(closed->line, closed->path,
               fmt::format("{} is closed, but {}, which does the same, is open", tool.name, name));
        }
      }
    }
  }

  static std::set<std::string> required(const Entry& entry) {
    std::set<std::string> paths;
    for (const Rule& rule : entry.require) {
      // Every operator of `require` fails on what is absent, but exists: false.
      for (const Condition& one : rule.conditions) {
        if (one.op != Operator::kExists || one.value.boolean) paths.insert(one.path);
      }
    }
    return paths;
  }

  void check_argument(const KnownTool* tool, const Condition& condition, const std::string& path) {
    const auto parsed = ArgumentPath::parse(condition.path);
    if (!tool || tool->any_argument || !parsed) return;
    if (std::find(tool->arguments.begin(), tool->arguments.end(), parsed->first()) != tool->arguments.end()) return;
    const auto near = nearest(parsed->first(), tool->arguments);
    warn(condition.line, path,
         fmt::format("{} has no argument \"{}\"{}", tool->name, utf16_prefix(parsed->first(), 60),
                     near ? fmt::format(", did you mean \"{}\"?", *near) : ""));
  }

  void check_require(const Entry& entry, const KnownTool* tool, const std::string& path) {
    for (std::size_t i = 0; i < entry.require.size(); ++i) {
      const Rule& rule = entry.require[i];
      const std::string at = fmt::format("{}/require/{}", path, i);
      if (rule.conditions.empty() && rule.any_of.empty()) warn(rule.line, at, "\"conditions\": [] requires nothing");
      for_each(rule, [&](const Condition& one) {
        check_argument(tool, one, at);
        if (one.op != Operator::kRegex) return;
        const std::string& pattern = one.value.text;
        const bool begins = pattern.starts_with('^') || pattern.starts_with("\\A");
        const bool ends = (pattern.ends_with('$') && !pattern.ends_with("\\$")) || pattern.ends_with("\\z");
        if (!begins || !ends)
          warn(one.line, at, "the pattern is not anchored: it holds if any part of the text matches (^…$)");
      });
    }
  }

  void check_deny_if(const Entry& entry, const KnownTool* tool, const std::string& path) {
    const std::set<std::string> needed = required(entry);
    for (std::size_t i = 0; i < entry.deny_if.size(); ++i) {
      const Rule& rule = entry.deny_if[i];
      const std::string at = fmt::format("{}/deny_if/{}", path, i);
      for_each(rule, [&](const Condition& one) {
        check_argument(tool, one, at);
        const bool tolerant = one.op == Operator::kNeq || one.op == Operator::kNotIn || one.op == Operator::kExists;
        if (!tolerant && !needed.contains(one.path)) {
          warn(one.line, at,
               fmt::format("an absent argument passes: require {} to exist if it must be given",
                           utf16_prefix(one.path, 100)));
        }
      });
    }
  }

  template <class Visit>
  static void for_each(const Rule& rule, const Visit& visit) {
    for (const Condition& one : rule.conditions) visit(one);
    for (const Conditions& branch : rule.any_of) {
      for (const Condition& one : branch) visit(one);
    }
  }

  void check_entry(const Entry& entry) {
    const std::string path = "/tools/" + pointer_segment(entry.name);
    const KnownTool* tool = known(entry.name);
    if (!entry.is_class()) check_name(entry.name, entry.line, path);
    const auto hides = [&](const Named& hidden) { return matches_name(hidden.name, entry.name); };
    if (!entry.is_class() && !entry.is_pattern() && std::any_of(document_.hide.begin(), document_.hide.end(), hides)) {
      warn(entry.line, path, "hidden: nothing here is ever asked");
    }
    check_require(entry, tool, path);
    check_deny_if(entry, tool, path);
    for (const Limit& limit : entry.limits) {
      if (limit.max == 0) warn(limit.line, path + "/limits", fmt::format("\"{}\" is 0: never", limit.counter));
    }
  }

  void check_egress(const Egress& egress) {
    const std::size_t line = line_of(document_, "egress");
    if (!egress.host_in && !egress.cidr && !egress.ports) warn(line, "/egress", "restricts nothing: it names nothing");
    const bool nothing = (egress.host_in && egress.host_in->empty()) || (egress.cidr && egress.cidr->empty()) ||
                         (egress.ports && egress.ports->empty());
    if (nothing) warn(line, "/egress", "an empty list admits nothing: no traffic that a grant causes goes anywhere");
  }

  void check_handles() {
    for (const Entry& entry : document_.tools) {
      if (!entry.result || entry.result->raw != true) continue;
      warn(entry.line, "/tools/" + pointer_segment(entry.name) + "/result/raw",
           "show_secrets answers what handles keep unseen");
    }
  }

  bool allows_nothing() const {
    const auto all = [](const Named& hidden) { return hidden.name == "*"; };
    if (std::any_of(document_.hide.begin(), document_.hide.end(), all)) return true;
    if (document_.otherwise == Default::kAllow) return false;
    return std::all_of(document_.tools.begin(), document_.tools.end(), [](const Entry& entry) {
      return std::any_of(entry.deny_if.begin(), entry.deny_if.end(), [](const Rule& rule) { return is_always(rule); });
    });
  }

  // Looking for a near name takes its time: so many at most.
  static constexpr std::size_t kMostSuggestions = 100;

  const Document& document_;
  std::span<const KnownTool> tools_;
  const std::string_view server_;  // empty: our own
  bool quiet_ = false;             // about names
  std::vector<Problem> out_;
  std::size_t unknown_ = 0;
};

}  // namespace

std::vector<Problem> lint(const Document& document, std::span<const KnownTool> tools, std::string_view server) {
  return Linter(document, tools, server).run();
}

std::vector<std::string> unknown_names(const Document& document, const std::set<std::string, std::less<>>& names,
                                       std::size_t most) {
  std::vector<std::string> out;
  std::set<std::string_view> seen;
  const auto look = [&](const std::string& name) {
    if (out.size() == most || name.find('*') != std::string::npos || names.contains(name)) return;
    if (seen.insert(name).second) out.push_back(name);
  };
  for (const Named& hidden : document.hide) look(hidden.name);
  for (const Entry& entry : document.tools) {
    if (!entry.is_class()) look(entry.name);
  }
  return out;
}

std::vector<Problem> unenforced(const Document& document, Tools whose) {
  std::vector<Problem> out;
  const auto refuse = [&](std::string_view member, std::string_view by) {
    out.push_back(
        {line_of(document, member), "/" + std::string(member),
         fmt::format("{} cannot be enforced {}, so the policy is not put in force; take the member out", member, by)});
  };
  if (whose == Tools::kOurs) return out;
  if (document.handles) refuse("handles", "for another server, whose answers are not masked");
  if (document.egress) refuse("egress", "for another server, which sends its own traffic");
  return out;
}

}  // namespace sluice::policy
