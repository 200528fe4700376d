#include "policy/result_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "base/json_spelling.h"
#include "policy/condition.h"
#include "regex/regex.h"
#include "regex/replace.h"

namespace sluice::policy {
namespace {

bool is_name_char(char c) { return c != '.' && c != '[' && c != ']' && c != '*' && c != '\'' && c != '"' && c != ' '; }

Status unknown_path() {
  return fail(Code::kInvalid, "a path is made of .name, ..name, ['name'], [0], [*] and .* behind $");
}

}  // namespace

Status JsonPath::parse_bracket(std::string_view& rest, Step& step) {
  const std::size_t end =
      rest.starts_with("['") || rest.starts_with("[\"") ? rest.find(std::string(1, rest[1]) + "]", 2) : rest.find(']');
  if (end == std::string_view::npos) return unknown_path();
  if (rest[1] == '\'' || rest[1] == '"') {
    step.name = rest.substr(2, end - 2);
    if (step.name.find('\\') != std::string::npos) return unknown_path();
    rest.remove_prefix(end + 2);
    return {};
  }
  const std::string_view inside = rest.substr(1, end - 1);
  rest.remove_prefix(end + 1);
  if (inside == "*") {
    step.kind = Step::Kind::kEach;
    return {};
  }
  step.kind = Step::Kind::kIndex;
  const auto [last, error] = std::from_chars(inside.data(), inside.data() + inside.size(), step.index);
  const bool whole = error == std::errc() && last == inside.data() + inside.size();
  return whole ? Status() : unknown_path();
}

Result<JsonPath> JsonPath::parse(std::string_view text) {
  JsonPath path;
  if (!text.starts_with('$')) return fail(Code::kInvalid, "a JSONPath begins with $");
  std::string_view rest = text.substr(1);
  if (rest.empty()) return fail(Code::kInvalid, "$ alone is the whole answer: use \"block\", or deny the tool");
  while (!rest.empty()) {
    Step step;
    step.anywhere = rest.starts_with("..");
    if (step.anywhere && !rest.starts_with("..[")) rest.remove_prefix(1);
    if (step.anywhere && rest.starts_with("..[")) rest.remove_prefix(2);
    if (rest.starts_with('[')) {
      SLUICE_CHECK(path.parse_bracket(rest, step));
    } else if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      const std::size_t length =
          static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), is_name_char) - rest.begin());
      if (length == 0 && !rest.starts_with('*')) return fail(unknown_path().error());
      if (length == 0) step.kind = Step::Kind::kEach;
      step.name = rest.substr(0, length);
      rest.remove_prefix(std::max<std::size_t>(length, 1));
    } else {
      return fail(unknown_path().error());
    }
    path.steps_.push_back(std::move(step));
  }
  return path;
}

void JsonPath::take(const Step& step, Json& from, std::vector<Json*>& out) {
  if (step.kind == Step::Kind::kEach) {
    if (!from.is_structured()) return;
    for (Json& child : from) out.push_back(&child);
  } else if (step.kind == Step::Kind::kIndex) {
    if (from.is_array() && step.index < from.size()) out.push_back(&from[step.index]);
  } else if (from.is_object()) {
    if (const auto found = from.find(step.name); found != from.end()) out.push_back(&*found);
  }
}

// Each value is looked at once for a step, so that ..a..a..a on deep values stays linear.
void JsonPath::find(Json& root, std::vector<Json*>& out) const {
  std::vector<Json*> now{&root};
  for (const Step& step : steps_) {
    std::vector<Json*> next, waiting = now;
    std::unordered_set<const Json*> seen;
    while (!waiting.empty()) {
      Json* const one = waiting.back();
      waiting.pop_back();
      if (!seen.insert(one).second) continue;
      take(step, *one, next);
      if (!step.anywhere || !one->is_structured()) continue;
      for (Json& child : *one) waiting.push_back(&child);
    }
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    now = std::move(next);
  }
  out.insert(out.end(), now.begin(), now.end());
}

struct Shape::Inner {
  Schema schema;
};

Shape::Shape(std::unique_ptr<const Inner> inner) : inner_(std::move(inner)) {}
Shape::Shape(Shape&&) noexcept = default;
Shape::~Shape() = default;

Result<Shape> Shape::compile(const Json& schema) {
  SLUICE_TRY(const Node source, parse_source(dump_json(schema)));
  SLUICE_TRY(Schema compiled, Schema::compile(source));
  return Shape(std::make_unique<const Inner>(Inner{std::move(compiled)}));
}

bool Shape::fits(const Json& value) const { return inner_->schema.judge(value, nullptr) == Truth::kTrue; }

struct CompiledResult::Parts {
  struct Block {
    std::string value;  // contains
    std::optional<regex::Regex> pattern;
    std::string rule, message;
    bool is_in(std::string_view text) const {
      return pattern ? pattern->is_in(text) : text.find(value) != std::string_view::npos;
    }
  };
  std::vector<JsonPath> paths;
  std::vector<regex::Replacer> patterns;
  std::vector<Block> blocks;
  std::optional<std::uint64_t> max_bytes;
  std::string pointer;
};

CompiledResult::CompiledResult(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
CompiledResult::~CompiledResult() = default;

Result<std::shared_ptr<const CompiledResult>> CompiledResult::compile(const ResultRules& rules,
                                                                      const std::string& pointer) {
  auto parts = std::make_unique<Parts>();
  parts->pointer = pointer;
  parts->max_bytes = rules.max_bytes;
  for (const ResultRules::Redact& redact : rules.redact) {
    if (redact.path.empty()) {
      SLUICE_TRY(auto pattern, regex::Replacer::compile(redact.pattern));
      parts->patterns.push_back(std::move(pattern));
    } else {
      SLUICE_TRY(auto path, JsonPath::parse(redact.path));
      parts->paths.push_back(std::move(path));
    }
  }
  for (std::size_t i = 0; i < rules.block.size(); ++i) {
    const ResultRules::Block& block = rules.block[i];
    Parts::Block made{block.value, std::nullopt, fmt::format("{}/result/block/{}", pointer, i),
                      block.on_deny.empty() ? "The answer is withheld" : block.on_deny};
    if (block.op == Operator::kRegex) {
      SLUICE_TRY(made.pattern, regex::Regex::compile(block.value));
    }
    parts->blocks.push_back(std::move(made));
  }
  return std::shared_ptr<const CompiledResult>(new CompiledResult(std::move(parts)));
}

std::optional<ResultFilter::Blocked> ResultFilter::blocked_text(std::string_view text) const {
  for (const auto& rules : rules_) {
    for (const auto& block : rules->parts_->blocks) {
      if (block.is_in(text)) return Blocked{block.rule, block.message};
    }
  }
  return std::nullopt;
}

std::optional<ResultFilter::Blocked> ResultFilter::find_blocked(const Json& value) const {
  if (value.is_string()) return blocked_text(value.get_ref<const std::string&>());
  if (value.is_number() || is_spelling(value)) return blocked_text(dump_spelled_json(value));
  if (!value.is_structured()) return std::nullopt;
  for (const auto& [name, member] : value.items()) {
    if (value.is_object()) {
      if (auto found = blocked_text(name)) return found;
    }
    if (auto found = find_blocked(member)) return found;
  }
  return std::nullopt;
}

std::optional<ResultFilter::Blocked> ResultFilter::blocked(const Json& value) const {
  const bool any = std::any_of(rules_.begin(), rules_.end(), [](const auto& r) { return !r->parts_->blocks.empty(); });
  if (!any) return std::nullopt;
  if (auto found = find_blocked(value)) return found;
  return blocked_text(dump_spelled_json(value));
}

std::size_t ResultFilter::redact_text(std::string& text) const {
  std::size_t count = 0;
  for (const auto& rules : rules_) {
    for (const regex::Replacer& pattern : rules->parts_->patterns) count += pattern.replace(text, kRedactedByPolicy);
  }
  return count;
}

std::size_t ResultFilter::redact_patterns(Json& value) const {
  if (value.is_string()) return redact_text(value.get_ref<std::string&>());
  if (value.is_number() || is_spelling(value)) {
    std::string spelling = dump_spelled_json(value);
    const std::size_t count = redact_text(spelling);
    if (count > 0) value = std::string(kRedactedByPolicy);
    return count;
  }
  std::size_t count = 0;
  if (value.is_array()) {
    for (Json& one : value) count += redact_patterns(one);
  } else if (value.is_object()) {
    std::size_t names = 0;
    for (auto& [name, member] : value.get_ref<Json::object_t&>()) {
      count += redact_patterns(member);
      std::string shown = name;
      names += redact_text(shown);
    }
    count += names;
    if (names > 0) {
      Json made = Json::object();
      std::unordered_map<std::string, std::size_t> alike;  // names that look alike now
      std::unordered_set<std::string> taken;
      for (auto& [name, member] : value.get_ref<Json::object_t&>()) {
        std::string shown = name;
        redact_text(shown);
        std::string free = shown;
        while (!taken.insert(free).second) free = fmt::format("{}+{}", shown, ++alike[shown]);
        made.get_ref<Json::object_t&>().emplace_back(std::move(free), std::move(member));
      }
      value = std::move(made);
    }
  }
  return count;
}

bool ResultFilter::masks_paths() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const auto& rules) { return !rules->parts_->paths.empty(); });
}

bool ResultFilter::masks() const {
  return masks_paths() ||
         std::any_of(rules_.begin(), rules_.end(), [](const auto& rules) { return !rules->parts_->patterns.empty(); });
}

std::size_t ResultFilter::redact(Json& value) const {
  std::vector<Json*> found;
  for (const auto& rules : rules_) {
    for (const JsonPath& path : rules->parts_->paths) path.find(value, found);
  }
  // From the outside in: what is inside a value that is masked is gone with it.
  const std::unordered_set<const Json*> masked(found.begin(), found.end());
  std::vector<Json*> waiting{&value};
  std::size_t count = 0;
  while (!masked.empty() && !waiting.empty()) {
    Json* const one = waiting.back();
    waiting.pop_back();
    if (masked.contains(one)) {
      *one = std::string(kRedactedByPolicy);
      ++count;
    } else if (one->is_structured()) {
      for (Json& child : *one) waiting.push_back(&child);
    }
  }
  return count + redact_patterns(value);
}

std::optional<ResultFilter::Most> ResultFilter::max_bytes() const {
  std::optional<Most> most;
  for (const auto& rules : rules_) {
    const auto& bound = rules->parts_->max_bytes;
    if (bound && (!most || *bound < most->bytes)) most = Most{*bound, rules->parts_->pointer + "/result/max_bytes"};
  }
  return most;
}

}  // namespace sluice::policy
