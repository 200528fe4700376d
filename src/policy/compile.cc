// From a document to an engine.
#include <fmt/format.h>

#include <map>

#include "base/json_pointer.h"
#include "base/siphash.h"
#include "policy/compiled.h"

namespace sluice::policy {
namespace {

// No secret: the same text has the same revision everywhere.
constexpr SipKey kRevisionKey{'s', 'l', 'u', 'i', 'c', 'e', ' ', 'p', 'o', 'l', 'i', 'c', 'y', ' ', ' ', '1'};

// Rule ids, each once in its list: the second equal one ends with #2 (gate.md 3).
class Ids {
 public:
  std::string unique(std::string id) {
    const int count = ++seen_[id];
    return count == 1 ? id : fmt::format("{}#{}", id, count);
  }

 private:
  std::map<std::string, int> seen_;
};

Result<std::vector<IdentifiedCondition>> compile_conditions(const Conditions& conditions, const std::string& list,
                                                            Ids& ids) {
  std::vector<IdentifiedCondition> out;
  for (const Condition& condition : conditions) {
    SLUICE_TRY(auto compiled, CompiledCondition::compile(condition));
    std::string rule = ids.unique(list + "/" + compiled.label());
    out.push_back({std::move(compiled), std::move(rule)});
  }
  return out;
}

}  // namespace

// The rules of one list, with their ids.
template <class RuleType>
static Result<std::vector<RuleType>> compile_rules(const std::vector<Rule>& rules, const std::string& list) {
  std::vector<RuleType> out;
  Ids ids;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    RuleType made;
    SLUICE_TRY(made.all, compile_conditions(rules[i].conditions, list, ids));
    for (const Conditions& branch : rules[i].any_of) {
      SLUICE_TRY(auto any, compile_conditions(branch, list, ids));
      made.any.push_back(std::move(any));
    }
    made.rule = fmt::format("{}/{}", list, i);
    made.on_deny = rules[i].on_deny;
    out.push_back(std::move(made));
  }
  return out;
}

template <class LimitType>
static Result<std::vector<LimitType>> compile_limits(const std::vector<Limit>& limits, const std::string& entry) {
  std::vector<LimitType> out;
  Ids ids;
  for (const Limit& limit : limits) {
    LimitType made;
    made.limit = limit;
    made.entry = entry;
    made.rule = ids.unique(entry + "/limits/" + pointer_segment(limit.counter));
    if (!limit.increment_from.empty()) {
      SLUICE_TRY(made.from, ArgumentPath::parse(limit.increment_from));
    }
    out.push_back(std::move(made));
  }
  return out;
}

Engine::Engine(Document document)
    : document_(std::move(document)),
      revision_(siphash(kRevisionKey, dump_source(document_.source)) & 0xFFFF'FFFF'FFFFu),
      index_(std::make_unique<Index>()) {}

Engine::~Engine() = default;

Result<Engine::CompiledEntry> Engine::compile_entry(const Entry& entry) const {
  CompiledEntry made;
  made.source = &entry;
  made.pointer = "/tools/" + pointer_segment(entry.name);
  SLUICE_TRY(made.require, compile_rules<CompiledRule>(entry.require, made.pointer + "/require"));
  SLUICE_TRY(made.deny_if, compile_rules<CompiledRule>(entry.deny_if, made.pointer + "/deny_if"));
  SLUICE_TRY(made.limits, compile_limits<CompiledLimit>(entry.limits, made.pointer));
  if (const auto& rules = entry.result;
      rules && (!rules->redact.empty() || !rules->block.empty() || rules->max_bytes)) {
    SLUICE_TRY(made.result, CompiledResult::compile(*rules, made.pointer));
  }
  if (entry.approval) {
    for (const Condition& condition : entry.approval->when) {
      SLUICE_TRY(auto compiled, CompiledCondition::compile(condition));
      made.approval_when.push_back(std::move(compiled));
    }
    const Node* tools = document_.source.find("tools");
    const Node* written = tools ? tools->find(entry.name) : nullptr;
    const Node* approval = written ? written->find("require_approval") : nullptr;
    if (!approval) return fail(Code::kInternal, "an approval without its text");
    made.approval_text = fmt::format("{}\n{}\n", made.pointer, dump_source(*approval));
  }
  return made;
}

Status Engine::compile_entries() {
  entries_.reserve(document_.tools.size());  // the index points into it
  for (const Entry& entry : document_.tools) {
    SLUICE_TRY(auto made, compile_entry(entry));
    entries_.push_back(std::move(made));
    const CompiledEntry& kept = entries_.back();
    if (entry.is_class()) {
      const auto risk = find_risk(std::string_view(entry.name).substr(5));
      if (!risk) return fail(Code::kInternal, "an entry of an unknown class");
      index_->classes[static_cast<std::size_t>(*risk)] = &kept;
    } else if (entry.is_pattern()) {
      index_->patterns.push_back(&kept);
    } else {
      index_->exact.emplace(entry.name, &kept);
    }
  }
  auto results = std::make_shared<ResultFilter>();
  for (const CompiledEntry& entry : entries_) {
    if (entry.result) results->add(entry.result);
  }
  if (!results->empty()) all_results_ = std::move(results);
  SLUICE_TRY(all_tools_, compile_limits<CompiledLimit>(document_.limits, "/all_tools"));
  return {};
}

Result<std::shared_ptr<const Engine>> Engine::compile(Document document) {
  std::shared_ptr<Engine> engine(new Engine(std::move(document)));
  if (const Status compiled = engine->compile_entries(); !compiled) {
    return fail(Code::kInternal, "the policy does not compile: " + compiled.error().message);
  }
  return std::shared_ptr<const Engine>(std::move(engine));
}

}  // namespace sluice::policy
