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

#include "base/json.h"

namespace sluice::rules {

enum class HandlerType {
  kPassthrough,
  kMock,
  kForward,   // to another server
  kDrop,      // the connection is closed
  kAbort,     // ... is reset
  kRedirect,  // status and Location
  kFile,      // a mock whose body is a file's content
  kRewrite,   // to another URL
  kHold,      // waits for somebody to decide (breakpoint)
};
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
  std::string protocol;                                      // "http/1.1", "h2" or "websocket"
  // The rule is asked when the head of the origin's answer is there: with this status, or whatever it says.
  std::optional<int> status_code;
  bool at_answer = false;
  bool asks_answer() const { return at_answer || status_code; }
};

// In the order of the document; nullopt deletes.
using HeaderEdits = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct JsonEdit {
  enum class Op { kSet, kRemove };
  Op op = Op::kSet;
  std::string pointer;  // RFC 6901
  Json value;           // kSet
};

using Replacements = std::vector<std::pair<std::string, std::string>>;

// Body edits are made in the order of the members here.
struct Transform {
  HeaderEdits update_headers;
  std::string replace_method;         // requests only
  std::optional<int> replace_status;  // answers only
  std::optional<std::string> set_body;
  // Search text and replacement, applied in order. The search is literal and replaces its first occurrence; in the
  // replacement $$ $& $` $' mean what they mean in JavaScript ($1 has no group here and stays as it stands).
  Replacements match_replace_body;
  // JavaScript patterns and replacements ($1, $<name>, $&, $$), every occurrence.
  Replacements regex_replace_body;
  std::vector<JsonEdit> json_edits;  // of a body that is JSON
  bool empty() const;
  bool edits_head() const;
  bool edits_body() const {
    return set_body || !match_replace_body.empty() || !regex_replace_body.empty() || !json_edits.empty();
  }
};

// Of WebSocket messages: text, as it is after decompression.
struct MessageTransform {
  enum class Direction { kBoth, kRequest, kResponse };  // kRequest: from the client
  Direction direction = Direction::kBoth;
  Replacements regex_replace;
};

// Octets a second of the body; 0: as fast as it goes.
struct Throttle {
  std::uint64_t request = 0, response = 0;
};

enum class HoldOn { kRequest, kResponse, kBoth };

struct Handler {
  HandlerType type = HandlerType::kPassthrough;
  std::optional<int> status;                                 // mock, file: 200 when absent; redirect: 302
  std::optional<std::string> body;                           // mock
  std::vector<std::pair<std::string, std::string>> headers;  // mock, file, redirect
  std::string forward_to;                                    // forward: host, host:port, scheme://host[:port]
  std::string location;                                      // redirect
  std::string path;                                          // file: beneath the root of files (engine option)
  std::string url_pattern, replacement;                      // rewrite: as in regexReplaceBody, of the absolute URL
  HoldOn hold_on = HoldOn::kRequest;                         // hold
  std::optional<std::int64_t> timeout_ms;                    // hold: kHoldTime when absent
  std::int64_t delay_ms = 0;                                 // any: before anything else happens
  std::optional<Throttle> throttle;
  std::optional<Transform> transform_request, transform_response;  // of what goes on to a server; others ignore them
  std::optional<MessageTransform> transform_message;
  // True if the transforms above count: what answers or drops ignores its own.
  bool transforms() const {
    return type == HandlerType::kPassthrough || type == HandlerType::kForward || type == HandlerType::kRewrite ||
           type == HandlerType::kHold;
  }
  // True if nothing that a server says reaches the client.
  bool blocks() const {
    return type == HandlerType::kMock || type == HandlerType::kDrop || type == HandlerType::kAbort;
  }
  // True if the request may never reach the server that it names: who holds it may answer it.
  bool answers() const {
    if (type == HandlerType::kHold) return hold_on != HoldOn::kResponse;
    return type != HandlerType::kPassthrough;
  }
};

inline constexpr std::int64_t kHoldTime = 60'000;        // ms; then it goes on
inline constexpr std::int64_t kLongestDelay = 300'000;   // ms: as long as anything may be idle
inline constexpr std::int64_t kLongestHold = 3'600'000;  // ms

struct RuleSpec {
  double priority = 100;  // ascending: smaller first
  bool enabled = true;
  std::string description;
  Matcher matcher;
  Handler handler;
  OnMatch on_match = OnMatch::kStop;
  bool persist = false;                 // kept over a restart
  std::string grant;                    // who made it
  std::vector<std::string> changed_by;  // ... and other grants that changed what it does or let it apply, by name
  std::string name;                     // its id in the toolset `mitmproxy`, unique among rules; empty: none
};

// Whose rule it is, for what it makes traffic do: all of them answer for it. Without those that have no name.
std::vector<std::string> makers(const RuleSpec& spec);

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
  std::int64_t saved_row = 0;                  // of the archive; 0: not saved
  std::shared_ptr<HitCounter> hits;            // survives edits
  std::shared_ptr<const RuleProgram> program;  // set by RuleStore; null: RuleBook::compile makes one
  std::string id() const { return "rule_" + std::to_string(number); }
};
using RulePtr = std::shared_ptr<const Rule>;

}  // namespace sluice::rules
