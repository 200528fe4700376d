// One rule, checked and compiled. Private to this folder: the book matches with it, live and in tests alike.
// Immutable; thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rules/pattern.h"
#include "rules/replacer.h"
#include "rules/rule.h"
#include "rules/rule_book.h"

namespace sluice::rules {

// What conditions are asked of, made from a Subject; the URL and the repaired texts are built when first needed.
// Views into the Subject: lasts as long as the call.
class Asked {
 public:
  explicit Asked(const RuleBook::Subject& subject) : subject_(subject) {}
  const RuleBook::Subject& subject() const { return subject_; }
  std::string_view host() const;  // without a final dot
  std::string_view url() const;   // absolute, UTF-8
  std::string_view path() const;  // path and query, UTF-8

 private:
  RuleBook::Subject subject_;
  mutable std::optional<std::string> url_, repaired_path_;
  mutable std::optional<std::string_view> path_;
};

enum class Body { kHolds, kFails, kUnknown };

struct RuleProgram {
  std::string host;         // matcher.hostname: lower case, no brackets, no final dot
  std::string host_suffix;  // matcher.hostPattern "*.example.com": "example.com"; "*" leaves it empty
  std::string host_exact;   // matcher.hostPattern without a star: as hostname
  std::optional<Pattern> url, path;
  struct BodyReplacers {  // regexReplaceBody of either side
    std::vector<Replacer> request, response;
  } replacers;
  std::vector<Replacer> messages;   // transformMessage
  std::optional<Replacer> rewrite;  // handler.urlPattern
  bool answers = false;             // engine.md 2: the request may never reach its server
  ByteCount text_size = 0;          // octets of all texts of the rule
  std::size_t instructions() const { return (url ? url->size() : 0) + (path ? path->size() : 0); }

  // The conditions, one by one; each holds where the matcher does not name it. Shared by match() and test().
  static bool method_holds(const Matcher& matcher, const Asked& asked);
  bool url_holds(const Asked& asked) const;
  bool hostname_holds(const Asked& asked) const;
  bool host_pattern_holds(const Asked& asked) const;
  bool path_holds(const Asked& asked) const;
  static bool header_holds(const http::FieldList* fields, std::string_view name, std::string_view value);
  static bool headers_hold(const Matcher& matcher, const Asked& asked);
  static bool protocol_holds(const Matcher& matcher, const Asked& asked);
  static bool status_holds(const Matcher& matcher, const Asked& asked);
  static Body body_holds(const Matcher& matcher, const Asked& asked);
};

// The rules of one book that ask for the answer, in order of evaluation.
struct AnswerRules {
  std::vector<RulePtr> rules;
};

// All conditions but those on the body.
bool head_holds(const Rule& rule, const RuleProgram& program, const Asked& asked, bool pattern_known);

// Every check of a rule that needs no other rule. Errors begin with the member: "matcher.urlPattern: …".
Result<std::shared_ptr<const RuleProgram>> compile_rule(const RuleSpec& spec);

}  // namespace sluice::rules
