// Rules change traffic. A RuleBook is an immutable compiled snapshot: workers read it without locks, a change makes a
// new one and swaps it, and no socket ever notices. engine.md 6, proxy.md (b).
//
//   RuleBook::Plan plan = book.match(subject);
//   if (plan.needs_body) … gather the decoded request body, set subject.body, match again …
//   switch (plan.action()) { kMock … kForward … kDrop … kPassthrough … }
//
// Thread-safety: RuleBook and Rule are immutable and shared; Plan belongs to its exchange; RuleStore locks inside and
// is called from control threads only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "http/message.h"

namespace sluice::rules {

enum class HandlerType { kPassthrough, kMock, kForward, kDrop };
enum class OnMatch { kStop, kContinue };

// All fields that are set must hold; empty strings count as absent.
struct Matcher {
  std::string method;        // any case, any token
  std::string url_pattern;   // JavaScript syntax, tested on the absolute URL and on the path
  std::string hostname;      // exact, any case
  std::string host_pattern;  // "*.example.com": the name and every sub-domain label-wise
  std::string path_pattern;  // path and query
  std::vector<std::pair<std::string, std::string>> headers;  // name (any case), exact value
  std::string body_includes; // of the decoded request body
};

// In the order of the document; nullopt deletes.
using HeaderEdits = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Transform {
  HeaderEdits update_headers;
  std::string replace_method;               // requests only
  std::optional<int> replace_status;        // answers only
  std::vector<std::pair<std::string, std::string>> match_replace_body;  // literal; $& $1 $$ as in JavaScript
  bool empty() const;
};

struct Handler {
  HandlerType type = HandlerType::kPassthrough;
  std::optional<int> status;                // mock
  std::optional<std::string> body;          // mock
  std::vector<std::pair<std::string, std::string>> headers;  // mock
  std::string forward_to;                   // forward: host, host:port, scheme://host[:port]
  std::optional<Transform> transform_request, transform_response;
};

struct RuleSpec {
  double priority = 100;     // ascending: smaller first
  bool enabled = true;
  std::string description;
  Matcher matcher;
  Handler handler;
  OnMatch on_match = OnMatch::kStop;
  std::string grant;         // who made it
};

class HitCounter {           // one stripe for each worker; summed on reading
 public:
  void add(std::size_t worker) { stripes_[worker % stripes_.size()].value.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t sum() const;

 private:
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Stripe, 8> stripes_;
};

struct Rule {
  std::uint32_t number = 0;  // N of rule_N
  RuleSpec spec;
  std::int64_t created_ms = 0;
  std::shared_ptr<HitCounter> hits;  // survives edits
  std::string id() const { return "rule_" + std::to_string(number); }
};
using RulePtr = std::shared_ptr<const Rule>;

struct ForwardTarget {
  std::string scheme;  // empty: as the request
  std::string host;
  std::uint16_t port = 0;  // 0: the scheme's default
};

class RuleBook {
 public:
  // What a rule sees. Views last for the call.
  struct Subject {
    std::string_view method, scheme, host, target;  // host lower case, without brackets
    std::uint16_t port = 0;
    const http::FieldList* fields = nullptr;
    const std::string* body = nullptr;              // decoded request body, if gathered
  };

  struct Plan {
    std::vector<RulePtr> applied;   // in order; the last one is `stopped` if that is set
    RulePtr stopped;                // the on_match: stop rule; null: only continue rules, or none
    bool needs_body = false;        // a bodyIncludes condition decides and the body is not there: gather, match again

    HandlerType action() const;     // kPassthrough if no rule applied
    const Handler* handler() const; // of the deciding rule; null if none
    bool edits_request_head() const;
    bool edits_request_body() const;
    bool edits_response_head() const;
    bool edits_response_body() const;
  };

  RuleBook();
  ~RuleBook();
  // Compiles all or refuses with the reason, naming the rule: a pattern that RE2 cannot take, a bad host, a forward
  // target with a path, a status outside 100..599, a field value with CR, LF or NUL.
  static Result<std::shared_ptr<const RuleBook>> compile(std::vector<RulePtr> rules);

  bool empty() const;                                 // no enabled rule: the data path asks nothing else
  bool may_answer(std::string_view host) const;       // engine.md 2: an enabled rule could answer or redirect
  Plan match(const Subject& subject) const;
  const std::vector<RulePtr>& rules() const;          // all, disabled included, in order of evaluation

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

// --- carrying a plan out ---
// Header edits and method of all applied rules, in order.
void edit_request(const RuleBook::Plan& plan, http::RequestHead& head);
// Header edits and status.
void edit_response(const RuleBook::Plan& plan, http::ResponseHead& head);
// The gathered body (content, still content-coded) after all body edits, coded again as `fields` say; Content-Length
// set, Transfer-Encoding removed. kTooLarge or kInvalid (cannot be decoded): the caller passes the body unchanged.
Result<std::string> edit_request_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content);
Result<std::string> edit_response_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content);
struct MockAnswer {
  http::ResponseHead head;  // with Content-Length where the status and method allow one (HEAD, 204, 304: engine.md 4)
  std::string body;         // empty for HEAD, 204, 304
};
MockAnswer mock_answer(const Handler& handler, std::string_view request_method);
Result<ForwardTarget> parse_forward_target(std::string_view text);

// --- JSON shapes of the contract ---
Json to_json(const Rule& rule);
Result<Matcher> matcher_from_json(const Json& json);   // unknown keys refused, nearest name given
Result<Handler> handler_from_json(const Json& json);

// The rules of this process and the current book. Every change compiles first and is refused whole if that fails.
class RuleStore {
 public:
  explicit RuleStore(const Clock& clock);

  RuleBookPtr book() const;                            // never null
  std::uint64_t generation() const;                    // changes with each new book; cheap, for workers' caches

  Result<RulePtr> add(RuleSpec spec);
  struct Update {
    std::optional<std::string> description;
    std::optional<double> priority;
    std::optional<Matcher> matcher;
    std::optional<Handler> handler;
    std::optional<OnMatch> on_match;
    std::optional<bool> enabled;
  };
  Result<RulePtr> update(std::string_view id, Update update);  // kNotFound: "Rule 'X' not found"
  Status remove(std::string_view id);
  RulePtr find(std::string_view id) const;             // null if absent
  std::vector<RulePtr> list() const;                   // in order of evaluation

 private:
  Status publish(std::vector<RulePtr> rules);
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<RulePtr> rules_;
  RuleBookPtr book_;
  std::atomic<std::uint64_t> generation_{1};
  std::uint32_t next_number_ = 1;
};

}  // namespace sluice::rules
