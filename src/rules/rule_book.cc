#include "rules/rule_book.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/url.h"
#include "rules/diagnostics.h"
#include "rules/rule_group.h"
#include "rules/rule_program.h"

namespace sluice::rules {
namespace {

constexpr std::size_t kMaxBoundsAsked = 256;  // may_answer() compares this many anchored patterns, beyond it says yes

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using GroupsByHost = std::unordered_map<std::string, RuleGroup, TextHash, std::equal_to<>>;

// False only if no request to this host can match the pattern, by its URL or by its path.
bool may_match_host(const Pattern& pattern, std::string_view host) {
  if (pattern.may_match_from("/") || pattern.may_match_from("*")) return true;
  const bool brackets = host.find(':') != std::string_view::npos;
  const std::string name = brackets ? "[" + std::string(host) + "]" : std::string(host);
  for (const std::string_view scheme : {"http://", "https://", "ws://", "wss://"}) {
    if (pattern.may_match_from(std::string(scheme) + name)) return true;
  }
  return false;
}

}  // namespace

struct RuleBook::Compiled {
  std::vector<RulePtr> rules;  // in order of evaluation; places are indexes of this
  std::vector<std::shared_ptr<const RuleProgram>> programs;
  std::size_t enabled = 0;
  RuleGroup everywhere;                       // no host condition
  GroupsByHost by_host;                       // exact
  GroupsByHost by_suffix;                     // *.suffix and suffix
  std::shared_ptr<AnswerRules> answer_rules;  // null: none
  bool answers_everywhere = false;
  std::vector<const Pattern*> answering_patterns;  // anchored: they answer for the hosts that they can match

  void place(std::uint32_t place) {
    const RuleProgram& program = *programs[place];
    ++enabled;
    if (rules[place]->spec.matcher.asks_answer()) {
      if (!answer_rules) answer_rules = std::make_shared<AnswerRules>();
      return answer_rules->rules.push_back(rules[place]);
    }
    if (!program.host.empty()) return by_host[program.host].add(place, programs[place]);
    if (!program.host_exact.empty()) return by_host[program.host_exact].add(place, programs[place]);
    if (!program.host_suffix.empty()) return by_suffix[program.host_suffix].add(place, programs[place]);
    everywhere.add(place, programs[place]);
    if (!program.answers) return;
    if (program.url && program.url->source().anchored && answering_patterns.size() < kMaxBoundsAsked) {
      answering_patterns.push_back(&*program.url);
    } else {
      answers_everywhere = true;
    }
  }

  Status check_size() const {
    std::size_t instructions = 0;
    ByteCount text = 0;
    for (const auto& program : programs) {
      instructions += program->instructions();
      text += program->text_size;
    }
    if (instructions > kMaxPatternInstructions) {
      return fail(Code::kTooLarge, "the patterns of all rules together are too large: a million RE2 instructions");
    }
    if (text > kMaxRuleText) return fail(Code::kTooLarge, "all rules together hold more than 256 MiB of text");
    return {};
  }

  Status seal(const Compiled* before) {
    SLUICE_CHECK(everywhere.seal(before ? &before->everywhere : nullptr));
    for (GroupsByHost Compiled::*groups : {&Compiled::by_host, &Compiled::by_suffix}) {
      for (auto& [host, group] : this->*groups) {
        const auto found = before ? (before->*groups).find(host) : GroupsByHost::const_iterator();
        SLUICE_CHECK(group.seal(before && found != (before->*groups).end() ? &found->second : nullptr));
      }
    }
    return {};
  }

  // Calls `visit` for each group whose host condition holds, until it says true; whether it did.
  template <class Visit>
  bool any_group(std::string_view host, Visit visit) const {
    if (!by_host.empty()) {
      if (const auto found = by_host.find(host); found != by_host.end() && visit(found->second)) return true;
    }
    if (by_suffix.empty()) return false;
    while (true) {
      if (const auto found = by_suffix.find(host); found != by_suffix.end() && visit(found->second)) return true;
      const std::size_t dot = host.find('.');
      if (dot == std::string_view::npos) return false;
      host.remove_prefix(dot + 1);
    }
  }
};

RuleBook::RuleBook() : compiled_(std::make_unique<const Compiled>()) {}
RuleBook::~RuleBook() = default;

Result<std::shared_ptr<const RuleBook>> RuleBook::compile(std::vector<RulePtr> rules, const RuleBook* before) {
  if (rules.size() > kMaxRules) return fail(Code::kTooLarge, "there can be at most 20,000 rules");
  std::stable_sort(rules.begin(), rules.end(), [](const RulePtr& a, const RulePtr& b) {
    if (a->spec.priority != b->spec.priority) return a->spec.priority < b->spec.priority;
    return a->number < b->number;  // ties by insertion
  });
  auto compiled = std::make_unique<Compiled>();
  compiled->rules = std::move(rules);
  compiled->programs.reserve(compiled->rules.size());
  for (RulePtr& rule : compiled->rules) {
    if (!rule->program) {  // plans find the program in the rule
      auto made = std::make_shared<Rule>(*rule);
      auto program = compile_rule(rule->spec);
      if (!program) return fail(std::move(program.error()).with_context(rule->id()));
      made->program = *std::move(program);
      rule = std::move(made);
    }
    compiled->programs.push_back(rule->program);
  }
  SLUICE_CHECK(compiled->check_size());
  for (std::uint32_t place = 0; place < compiled->rules.size(); ++place) {
    if (compiled->rules[place]->spec.enabled) compiled->place(place);
  }
  SLUICE_CHECK(compiled->seal(before ? before->compiled_.get() : nullptr));
  auto book = std::make_shared<RuleBook>();
  book->compiled_ = std::move(compiled);
  return std::shared_ptr<const RuleBook>(std::move(book));
}

bool RuleBook::empty() const { return compiled_->enabled == 0; }
const std::vector<RulePtr>& RuleBook::rules() const { return compiled_->rules; }

bool RuleBook::may_answer(std::string_view host) const {
  if (compiled_->enabled == 0) return false;
  if (compiled_->answers_everywhere) return true;
  Subject subject;
  subject.host = host;
  const std::string_view name = Asked(subject).host();
  if (compiled_->any_group(name, [](const RuleGroup& group) { return group.answers(); })) return true;
  return std::any_of(compiled_->answering_patterns.begin(), compiled_->answering_patterns.end(),
                     [&](const Pattern* pattern) { return may_match_host(*pattern, host); });
}

RuleBook::Plan RuleBook::match(const Subject& subject) const {
  Plan plan;
  if (compiled_->enabled == 0) return plan;
  plan.answer_rules = compiled_->answer_rules;
  const Asked asked(subject);
  CandidateLists candidates;
  compiled_->everywhere.find(asked, candidates);
  compiled_->any_group(asked.host(), [&](const RuleGroup& group) {
    group.find(asked, candidates);
    return false;
  });
  while (const auto next = candidates.next()) {
    const RulePtr& rule = compiled_->rules[next->place];
    if (!head_holds(*rule, *compiled_->programs[next->place], asked, next->pattern_known)) continue;
    const Body body = RuleProgram::body_holds(rule->spec.matcher, asked);
    if (body == Body::kUnknown) {
      plan.needs_body = true;
      return plan;
    }
    if (body == Body::kFails) continue;
    plan.applied.push_back(rule);
    if (rule->spec.on_match == OnMatch::kContinue) continue;
    plan.stopped = rule;
    break;
  }
  return plan;
}

Json RuleBook::test(const Subject& subject, const TestOptions& options) const {
  return diagnose(compiled_->rules, compiled_->programs, subject, options);
}

// --- Plan ---

namespace {

template <class Holds>
bool any_transform(const std::vector<RulePtr>& applied, std::optional<Transform> Handler::*side, Holds holds) {
  return std::any_of(applied.begin(), applied.end(), [&](const RulePtr& rule) {
    const Handler& handler = rule->spec.handler;
    return handler.transforms() && handler.*side && holds(*(handler.*side));
  });
}
bool head(const Transform& transform) { return transform.edits_head(); }
bool body(const Transform& transform) { return transform.edits_body(); }
bool set_body(const Transform& transform) { return transform.set_body.has_value(); }

}  // namespace

HandlerType RuleBook::Plan::action() const { return stopped ? stopped->spec.handler.type : HandlerType::kPassthrough; }
const Handler* RuleBook::Plan::handler() const { return stopped ? &stopped->spec.handler : nullptr; }
bool RuleBook::Plan::edits_request_head() const { return any_transform(applied, &Handler::transform_request, head); }
bool RuleBook::Plan::edits_request_body() const { return any_transform(applied, &Handler::transform_request, body); }
bool RuleBook::Plan::edits_response_head() const { return any_transform(applied, &Handler::transform_response, head); }
bool RuleBook::Plan::edits_response_body() const { return any_transform(applied, &Handler::transform_response, body); }

bool RuleBook::Plan::sets_request_body() const { return any_transform(applied, &Handler::transform_request, set_body); }
bool RuleBook::Plan::sets_response_body() const {
  return any_transform(applied, &Handler::transform_response, set_body);
}

bool RuleBook::Plan::match_answer(const Subject& subject, std::size_t worker) {
  if (!answer_rules) return false;
  const Asked asked(subject);
  bool any = false;
  for (const RulePtr& rule : answer_rules->rules) {
    if (!head_holds(*rule, *rule->program, asked, false)) continue;
    any = true;
    applied.push_back(rule);
    if (rule->hits) rule->hits->add(worker);
    if (rule->spec.on_match == OnMatch::kContinue) continue;
    if (!stopped) stopped = rule;
    break;
  }
  return any;
}

std::chrono::milliseconds RuleBook::Plan::delay() const {
  std::chrono::milliseconds sum{0};
  for (const RulePtr& rule : applied) sum += std::chrono::milliseconds(rule->spec.handler.delay_ms);
  return std::min(sum, std::chrono::milliseconds(kLongestDelay));
}

Throttle RuleBook::Plan::throttle() const {
  Throttle slowest;
  const auto slower = [](std::uint64_t& one, std::uint64_t other) {
    if (other > 0 && (one == 0 || other < one)) one = other;
  };
  for (const RulePtr& rule : applied) {
    if (!rule->spec.handler.throttle) continue;
    slower(slowest.request, rule->spec.handler.throttle->request);
    slower(slowest.response, rule->spec.handler.throttle->response);
  }
  return slowest;
}

bool RuleBook::Plan::edits_messages() const {
  return std::any_of(applied.begin(), applied.end(),
                     [](const RulePtr& rule) { return rule->spec.handler.transform_message.has_value(); });
}

bool RuleBook::Plan::holds(HoldOn side) const {
  return std::any_of(applied.begin(), applied.end(), [&](const RulePtr& rule) {
    const Handler& handler = rule->spec.handler;
    return handler.type == HandlerType::kHold && (handler.hold_on == side || handler.hold_on == HoldOn::kBoth);
  });
}

RulePtr RuleBook::Plan::answer_block() const {
  if (applied.empty() || !applied.back()->spec.matcher.asks_answer()) return nullptr;
  return applied.back()->spec.handler.blocks() ? applied.back() : nullptr;
}

std::chrono::milliseconds RuleBook::Plan::hold_time() const {
  std::int64_t longest = 0;
  for (const RulePtr& rule : applied) {
    if (rule->spec.handler.type != HandlerType::kHold) continue;
    longest = std::max(longest, rule->spec.handler.timeout_ms.value_or(kHoldTime));
  }
  return std::chrono::milliseconds(longest);
}

void RuleBook::Plan::count_hits(std::size_t worker) const {
  for (const RulePtr& rule : applied) {
    if (rule->hits) rule->hits->add(worker);
  }
}

}  // namespace sluice::rules
