// What a rule is: conditions, a handler with its edits, and its place in the order. Plain data, as the contract's JSON
// spells it (proxy.md (b)); nothing here is checked. A RuleSpec is checked by compile_rule() (through RuleStore or
// RuleBook::compile), which refuses what could not work.
// Thread-safety: values; a Rule is immutable once published and shared, only its hit counter moves.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::rules {

enum class HandlerType { kPassthrough, kMock, kForward, kDrop };
enum class OnMatch { kStop, kContinue };

// All fields that are set must hold; empty strings count as absent.
struct Matcher {
  std::string method;        // any case, any token
  std::string url_pattern;   // JavaScript syntax, tested on the absolute URL and on path and query
  std::string hostname;      // exact, any case
  std::string host_pattern;  // "*.example.com": the name and every sub-domain label-wise
  std::string path_pattern;  // path and query
  std::vector<std::pair<std::string, std::string>> headers;  // name (any case), exact value
  std::string body_includes;                                 // of the decoded request body
};

// In the order of the document; nullopt deletes.
using HeaderEdits = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Transform {
  HeaderEdits update_headers;
  std::string replace_method;         // requests only
  std::optional<int> replace_status;  // answers only
  // Search text and replacement, applied in order. The search is literal and replaces its first occurrence; in the
  // replacement $$ $& $` $' mean what they mean in JavaScript ($1 has no group here and stays as it stands).
  std::vector<std::pair<std::string, std::string>> match_replace_body;
  bool empty() const;
  bool edits_head() const;
  bool edits_body() const { return !match_replace_body.empty(); }
};

struct Handler {
  HandlerType type = HandlerType::kPassthrough;
  std::optional<int> status;                                       // mock; 200 when absent
  std::optional<std::string> body;                                 // mock
  std::vector<std::pair<std::string, std::string>> headers;        // mock
  std::string forward_to;                                          // forward: host, host:port, scheme://host[:port]
  std::optional<Transform> transform_request, transform_response;  // passthrough and forward; others ignore them
  // True if the transforms above count: a mock or a drop ignores its own.
  bool transforms() const { return type == HandlerType::kPassthrough || type == HandlerType::kForward; }
};

struct RuleSpec {
  double priority = 100;  // ascending: smaller first
  bool enabled = true;
  std::string description;
  Matcher matcher;
  Handler handler;
  OnMatch on_match = OnMatch::kStop;
  std::string grant;  // who made it
};

class HitCounter {  // one stripe for each worker; summed on reading
 public:
  void add(std::size_t worker) { stripes_[worker % stripes_.size()].value.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t sum() const;

 private:
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Stripe, 8> stripes_;
};

struct RuleProgram;  // private to this folder: the spec, checked and compiled

struct Rule {
  std::uint32_t number = 0;  // N of rule_N
  RuleSpec spec;
  std::int64_t created_ms = 0;
  std::shared_ptr<HitCounter> hits;            // survives edits
  std::shared_ptr<const RuleProgram> program;  // set by RuleStore; null: RuleBook::compile makes one
  std::string id() const { return "rule_" + std::to_string(number); }
};
using RulePtr = std::shared_ptr<const Rule>;

}  // namespace sluice::rules
