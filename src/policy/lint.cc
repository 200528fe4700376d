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
  Linter(const Document& document, std::span<const KnownTool> tools) : document_(document), tools_(tools) {}

  std::vector<Problem> run() {
    for (const Named& hidden : document_.hide) check_name(hidden.name, hidden.line, "/hide");
    for (const RiskEntry& entry : document_.risk) {
      if (known(entry.name)) {
        warn(entry.line, "/risk/" + pointer_segment(entry.name), "ignored: the class of Sluice's own tools is fixed");
      }
    }
    for (const Entry& entry : document_.tools) check_entry(entry);
    if (document_.egress) check_egress(*document_.egress);
    if (document_.handles) check_handles();
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
    // Foreign servers' tools are unknown here, and that is no mistake.
    if (tools_.empty() || name.find('*') != std::string_view::npos || name.find("__") != std::string_view::npos) return;
    if (known(name)) return;
    // The first few: looking for a near name takes its time.
    constexpr std::size_t kMostSuggestions = 100;
    std::optional<std::string> near;
    if (++unknown_ <= kMostSuggestions) {
      std::vector<std::string_view> names;
      for (const KnownTool& tool : tools_) names.push_back(tool.name);
      near = nearest(name, names);
    }
    warn(line, path, fmt::format("Sluice has no such tool{}", near ? fmt::format("; did you mean {}?", *near) : ""));
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
    if (!tool || !parsed) return;
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
      return std::any_of(entry.deny_if.begin(), entry.deny_if.end(),
                         [](const Rule& rule) { return rule.conditions.empty() && rule.any_of.empty(); });
    });
  }

  const Document& document_;
  std::span<const KnownTool> tools_;
  std::vector<Problem> out_;
  std::size_t unknown_ = 0;
};

}  // namespace

std::vector<Problem> lint(const Document& document, std::span<const KnownTool> tools) {
  return Linter(document, tools).run();
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
