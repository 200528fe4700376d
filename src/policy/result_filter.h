// What a policy does to an answer before it leaves: `result` of the entries that apply (gate.md 3, 7). Paths and
// patterns are masked, an answer that a `block` rule finds is withheld. Immutable; thread-safe.
//
// Paths are a part of JSONPath (RFC 9535): $.a, $['a'], $[0], $[*], $.*, $..a, $..[0], $..*. Patterns see each text,
// each member's name and each number as it is written, not what a text holds in another encoding. Blocks see the same,
// and the whole answer as one line of JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "policy/policy.h"

namespace sluice::policy {

inline constexpr std::string_view kRedactedByPolicy = "[redacted by policy]";

class JsonPath {
 public:
  // kInvalid with a sentence.
  static Result<JsonPath> parse(std::string_view text);
  // Where it points to in `root`, each once.
  void find(Json& root, std::vector<Json*>& out) const;

 private:
  struct Step {
    enum class Kind { kName, kIndex, kEach } kind = Kind::kName;
    bool anywhere = false;  // behind ..
    std::string name;
    std::size_t index = 0;
  };
  Status parse_bracket(std::string_view& rest, Step& step);
  static void take(const Step& step, Json& from, std::vector<Json*>& out);
  std::vector<Step> steps_;
};

// An output schema, as far as the operator `schema` goes (docs/policy.md).
class Shape {
 public:
  static Result<Shape> compile(const Json& schema);
  bool fits(const Json& value) const;
  ~Shape();
  Shape(Shape&&) noexcept;

 private:
  struct Inner;
  explicit Shape(std::unique_ptr<const Inner> inner);
  std::unique_ptr<const Inner> inner_;
};

// One entry's rules, compiled. `pointer` is the entry's: "/tools/x".
class CompiledResult {
 public:
  static Result<std::shared_ptr<const CompiledResult>> compile(const ResultRules& rules, const std::string& pointer);
  ~CompiledResult();

 private:
  friend class ResultFilter;
  struct Parts;
  explicit CompiledResult(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

// All that apply to one call.
class ResultFilter {
 public:
  void add(std::shared_ptr<const CompiledResult> rules) { rules_.push_back(std::move(rules)); }
  bool empty() const { return rules_.empty(); }

  struct Blocked {
    std::string rule, message;
  };
  std::optional<Blocked> blocked(const Json& value) const;
  std::optional<Blocked> blocked_text(std::string_view text) const;
  // Whether redact() may mask anything by a path, or by a path or a pattern.
  bool masks_paths() const;
  bool masks() const;
  // How many places were masked. A value that is no text becomes one.
  std::size_t redact(Json& value) const;
  std::size_t redact_text(std::string& text) const;
  // The smallest, of the answer as one line of JSON, with its rule.
  struct Most {
    std::uint64_t bytes = 0;
    std::string rule;
  };
  std::optional<Most> max_bytes() const;

 private:
  std::size_t redact_patterns(Json& value) const;
  std::optional<Blocked> find_blocked(const Json& value) const;
  std::vector<std::shared_ptr<const CompiledResult>> rules_;
};

}  // namespace sluice::policy
