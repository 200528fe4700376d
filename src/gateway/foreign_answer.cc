#include "gateway/foreign_answer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>

#include "base/json_spelling.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostWork = 256 * 1024 * 1024;  // octets compared; what is beyond is masked unseen
constexpr std::string_view kStructured = "structuredContent";

bool is_scalar_number(const Json& value) { return value.is_number() || is_spelling(value); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// What was masked, in every form in which a text may show it.
class Hidden {
 public:
  // `before` and `after`: the same value without and with its masks.
  void compare(const Json& before, const Json& after) {
    if (before.is_structured() && before.type() == after.type() && before.size() == after.size() &&
        !is_spelling(before)) {
      auto other = after.begin();
      for (const Json& one : before) compare(one, *other++);
    } else if (dump_spelled_json(before) != dump_spelled_json(after)) {
      add(before);
    }
  }
  bool is_empty() const { return texts_.empty() && words_.empty(); }

  bool is_in(std::string_view text) {
    if (text.empty()) return false;
    constexpr std::size_t kEach = 32;  // octets that looking for one more costs, however short the text is
    const std::size_t work = (text.size() + kEach) * (texts_.size() + words_.size());
    if (work > left_) return true;
    left_ -= work;
    return std::any_of(texts_.begin(), texts_.end(),
                       [&](const auto& one) { return find(text, one, 0) != std::string_view::npos; }) ||
           std::any_of(words_.begin(), words_.end(), [&](const auto& one) { return is_word_of(text, one); });
  }

  // Masks it in all texts of a value, and equal numbers; how often.
  std::size_t mask(Json& value) {
    const bool found = value.is_string()         ? is_in(value.get_ref<const std::string&>())
                       : is_scalar_number(value) ? is_in(dump_spelled_json(value))
                                                 : false;
    if (found) value = std::string(policy::kRedactedByPolicy);
    if (!value.is_structured() || is_spelling(value)) return found;
    std::size_t count = 0;
    for (Json& one : value) count += mask(one);
    return count;
  }

 private:
  void add(const Json& value) {
    if (value.is_string()) {
      const std::string_view text = trimmed(value.get_ref<const std::string&>());
      if (text.empty()) return;
      texts_.emplace(text);
      const std::string quoted = dump_json(Json(text));
      texts_.insert(quoted.substr(1, quoted.size() - 2));
    } else if (is_scalar_number(value)) {
      words_.insert(dump_spelled_json(value));
      const Json plain = plain_json(value);
      words_.insert(dump_json(plain));
      // 1e2 and 100.0 are also 100.
      if (plain.is_number_float() && std::abs(plain.get<double>()) < 1e15) {
        const double number = plain.get<double>();
        if (std::trunc(number) == number) words_.insert(std::to_string(static_cast<std::int64_t>(number)));
      }
    } else if (value.is_structured()) {  // a truth value somewhere says nothing of another one
      for (const Json& one : value) add(one);
    }
  }
  // In linear time, whatever the two are: std::string_view::find() is not.
  static std::size_t find(std::string_view text, std::string_view what, std::size_t from) {
    const void* const at = ::memmem(text.data() + from, text.size() - from, what.data(), what.size());
    return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
  }
  // Of a number, which is in many a text by chance: not within a longer one.
  static bool is_word_of(std::string_view text, std::string_view word) {
    for (std::size_t at = find(text, word, 0); at != std::string_view::npos; at = find(text, word, at + word.size())) {
      const std::size_t end = at + word.size();
      if ((at == 0 || !is_digit(text[at - 1])) && (end == text.size() || !is_digit(text[end]))) return true;
    }
    return false;
  }

  std::set<std::string, std::less<>> texts_, words_;
  std::size_t left_ = kMostWork;
};

// A text that is JSON; where of two members of a name the last one wins, the text is not what it was (`made_anew`).
Result<Json> parse_text(const std::string& text, bool& made_anew) {
  auto inside = parse_spelled_json(text);
  if (inside || inside.error().code == Code::kTooLarge) return inside;
  auto again = parse_spelled_json(text, {.refuse_duplicate_keys = false});
  made_anew = again.has_value();
  return again;
}

// A text of the answer as the rules see it: `before` is what the server wrote, `text` what is left of it so far.
void redact_text(const policy::ResultFilter& rules, Hidden& hidden, const std::string& before, Json& text) {
  bool made_anew = false;
  auto inside = parse_text(before, made_anew);
  if (!inside && inside.error().code == Code::kTooLarge && rules.masks_paths()) {  // nobody knows what is in there
    text = std::string(policy::kRedactedByPolicy);
  } else if (inside && inside->is_structured() && !is_spelling(*inside)) {
    Json seen = Json::object();  // where a path to the structured content finds it, too
    seen[std::string(kStructured)] = *std::move(inside);
    const std::size_t masked = rules.redact(seen);
    if (masked + hidden.mask(seen[std::string(kStructured)]) > 0 || (made_anew && rules.masks_paths())) {
      std::string made = dump_spelled_json(seen[std::string(kStructured)]);
      rules.redact_text(made);
      text = std::move(made);
    }
  }
  if (text.is_string() && hidden.is_in(text.get_ref<const std::string&>())) {
    text = std::string(policy::kRedactedByPolicy);
  }
}

// The texts and numbers of a content block and of what is about it; not what says of what kind it is, which stands in
// the block itself and in its resource (`is_block`).
void redact_block(const policy::ResultFilter& rules, Hidden& hidden, const Json& before, Json& value, bool is_block) {
  constexpr std::array<std::string_view, 6> kKinds{"type", "mimeType", "data", "blob", "annotations", "size"};
  if (is_scalar_number(value)) {
    hidden.mask(value);
    return;
  }
  if (value.is_string()) {
    if (before.is_string()) redact_text(rules, hidden, before.get_ref<const std::string&>(), value);
    return;
  }
  if (!value.is_structured() || is_spelling(value) || before.type() != value.type() || before.size() != value.size()) {
    return;
  }
  auto was = before.begin();
  for (auto one = value.begin(); one != value.end(); ++one, ++was) {
    const bool named = value.is_object();
    if (named && is_block && std::find(kKinds.begin(), kKinds.end(), one.key()) != kKinds.end()) continue;
    redact_block(rules, hidden, *was, *one, is_block && (!named || one.key() == "resource"));
  }
}

}  // namespace

bool redact_foreign(const policy::ResultFilter& rules, Json& answer) {
  if (!rules.masks()) return false;
  const Json before = answer;
  const std::size_t masked = rules.redact(answer);
  if (!answer.is_object() || !before.is_object()) return false;
  Hidden hidden;
  const Json* was = find_member(before, kStructured);
  const Json* is = find_member(answer, kStructured);
  if (masked > 0 && was && is) hidden.compare(*was, *is);
  const Json* blocks = find_member(before, "content");
  const auto content = answer.find("content");
  if (blocks && content != answer.end()) redact_block(rules, hidden, *blocks, *content, true);
  if (!hidden.is_empty()) {
    constexpr std::array<std::string_view, 4> kOthers{"content", kStructured, "isError", "resultType"};
    for (auto& [name, member] : answer.get_ref<Json::object_t&>()) {
      if (std::find(kOthers.begin(), kOthers.end(), name) == kOthers.end()) hidden.mask(member);
    }
  }
  return masked > 0 && was && is && dump_spelled_json(*was) != dump_spelled_json(*is);
}

}  // namespace sluice::gateway
