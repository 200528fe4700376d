// The compiled rules and what they say about one request: engine.md 6, proxy.md (b).
// Thread-safety: a RuleBook is immutable, any number of threads match at once. A Plan belongs to its exchange; it
// keeps the rules alive that it names, so a book may be replaced while exchanges still carry out plans of the old one.
// Errors: compile() alone can fail; matching cannot.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"
#include "http/fields.h"
#include "rules/rule.h"

namespace sluice::rules {

// Of one book. Twice what the benchmarks promise a speed for; ten thousand URL patterns have half a million
// instructions; and the texts (mock bodies above all) of a process that lives long.
inline constexpr std::size_t kMaxRules = 20'000;
inline constexpr std::size_t kMaxPatternInstructions = 1'000'000;
inline constexpr ByteCount kMaxRuleText = 256 * kMiB;

struct AnswerRules;  // private to this folder

class RuleBook {
 public:
  // What a rule sees. Views last for the call.
  struct Subject {
    std::string_view method, scheme, host, target;  // host lower case, without brackets; target: path and query
    std::uint16_t port = 0;                         // 0 or the scheme's default: left out of the URL
    const http::FieldList* fields = nullptr;
    // The decoded request body. null: not gathered (yet). Point it to an empty string where there is none or none can
    // be had (no body, too large, cannot be decoded): bodyIncludes then does not hold.
    const std::string* body = nullptr;
    std::string_view url = {};       // the absolute URL if known; empty: made from the parts
    std::string_view protocol = {};  // "http/1.1", "h2", "websocket"
    std::optional<int> status = {};  // of the answer; nullopt: there is none yet
  };

  struct Plan {
    std::vector<RulePtr> applied;                     // in order; the last one is `stopped` if that is set
    std::shared_ptr<const AnswerRules> answer_rules;  // of the book, to be asked when there is an answer; null: none
    RulePtr stopped;                                  // the on_match: stop rule; null: only continue rules, or none
    // A bodyIncludes condition decides and the body is not there: gather, match again. The rest of this plan is then
    // only what is certain already.
    bool needs_body = false;

    HandlerType action() const;      // kPassthrough if no rule applied
    const Handler* handler() const;  // of the deciding rule; null if none
    bool edits_request_head() const;
    bool edits_request_body() const;
    bool edits_response_head() const;
    bool edits_response_body() const;
    bool sets_request_body() const;  // whatever it was, also where there was none
    bool sets_response_body() const;
    // The rules that ask for the answer, now that there is one: what applies is added to `applied`. True if any does.
    bool match_answer(const Subject& subject, std::size_t worker);

    std::chrono::milliseconds delay() const;  // all rules' together
    Throttle throttle() const;                // the slowest of each direction
    bool edits_messages() const;
    bool holds(HoldOn side) const;  // kRequest or kResponse
    // After match_answer(): the rule that keeps the origin's answer from the client (mock, drop, abort); null: none.
    RulePtr answer_block() const;
    std::chrono::milliseconds hold_time() const;
    void count_hits(std::size_t worker) const;  // once for each exchange, when the plan is final
  };

  RuleBook();
  ~RuleBook();
  // Compiles all or refuses with the reason, naming the rule: a pattern that RE2 cannot take, a bad host, a forward
  // target with a path, a status that no answer can have, a field value with CR, LF or NUL. kTooLarge: over
  // one of the limits above.
  // `before`: a book that this one takes the place of; what has not changed need not be compiled again.
  static Result<std::shared_ptr<const RuleBook>> compile(std::vector<RulePtr> rules, const RuleBook* before = nullptr);

  bool empty() const;  // no enabled rule: the data path asks nothing else
  // engine.md 2: an enabled rule could answer, drop or redirect requests to this host. A rule without a host condition
  // counts for every host, unless its urlPattern begins with ^ and cannot reach this one.
  bool may_answer(std::string_view host) const;
  Plan match(const Subject& subject) const;
  const std::vector<RulePtr>& rules() const;  // all, disabled included, in order of evaluation

  // The contract's diagnostics for one subject (proxy_test_rule_match): the object under `result`.
  struct TestOptions {
    bool include_disabled = true;
    std::optional<std::size_t> limit_rules;
  };
  Json test(const Subject& subject, const TestOptions& options) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};
using RuleBookPtr = std::shared_ptr<const RuleBook>;

}  // namespace sluice::rules
