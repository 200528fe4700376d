#include "policy/yaml_source.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <unordered_set>

#include "base/text.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";

// Thrown through the library's parser and caught below it: its event functions return nothing.
struct Refused {
  std::string message;
};

[[noreturn]] void refuse(const YAML::Mark& mark, std::string_view what) {
  throw Refused{fmt::format("line {}, column {}: {}", mark.line + 1, mark.column + 1, what)};
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

template <std::size_t N>
bool one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// 0o17 and 0x1F (YAML 1.2, 10.3.2) as JSON spells them.
std::optional<std::string> based_number(std::string_view text) {
  const int base = text.starts_with("0o") ? 8 : text.starts_with("0x") ? 16 : 0;
  if (base == 0) return std::nullopt;
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data() + 2, text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0) return std::nullopt;
  return std::to_string(value);
}

// A plain scalar that the core schema takes as a number, as JSON spells it. `zeros`: it begins with a zero too many,
// which one reader takes as octal and another as decimal.
std::optional<std::string> number_of(std::string_view text, bool& zeros) {
  if (auto based = based_number(text)) return based;
  std::string out;
  std::string_view rest = text;
  if (rest.starts_with('-')) out = "-";
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  const std::size_t exponent = rest.find_first_of("eE");
  const std::string_view mantissa = rest.substr(0, exponent);
  const std::size_t point = mantissa.find('.');
  const std::string_view whole = mantissa.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? "" : mantissa.substr(point + 1);
  if ((!whole.empty() && !all_digits(whole)) || (!part.empty() && !all_digits(part)) || (whole.empty() && part.empty()))
    return std::nullopt;
  out += whole.empty() ? std::string_view("0") : whole;
  if (!part.empty()) out.append(".").append(part);
  if (exponent != std::string_view::npos) {
    std::string_view power = rest.substr(exponent + 1);
    const std::string_view digits = power.starts_with('-') || power.starts_with('+') ? power.substr(1) : power;
    if (!all_digits(digits)) return std::nullopt;
    out.append("e").append(power);
  }
  zeros = whole.size() > 1 && whole.front() == '0';
  return out;
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(Node& root, const SourceLimits& limits) : root_(root), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second document begins: one file is one policy");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "aliases are not taken"); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse(mark, "anchors are not taken"); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_anchor(mark, anchor);
    if (wants_name()) refuse(mark, "a name must be a text: put it in quotes");
    place(mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_anchor(mark, anchor);
    if (!is_utf8(value)) refuse(mark, "half of a surrogate pair");
    Node scalar;
    resolve(mark, tag, value, scalar);
    if (!wants_name()) {
      Node& node = place(mark);
      const std::size_t line = node.line;
      node = std::move(scalar);
      node.line = line;
      return;
    }
    if (!scalar.is(Kind::kString)) refuse(mark, "a name must be a text: put it in quotes");
    if (tag == "?" && value == "<<") refuse(mark, "merge keys are not taken");
    Open& open = open_.back();
    if (!open.seen.insert(scalar.text).second) refuse(mark, "the same name is there twice");
    open.node->names.push_back({std::move(scalar.text), line_of(mark)});
    open.named = true;
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Kind::kArray, "seq");
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Kind::kObject, "map");
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Open {
    Node* node;          // its parent's items do not move while it is open: only the innermost grows
    bool named = false;  // of an object: a name waits for its value
    std::unordered_set<std::string> seen;
  };

  static std::size_t line_of(const YAML::Mark& mark) { return static_cast<std::size_t>(std::max(mark.line, 0)) + 1; }
  static void check_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse(mark, "anchors are not taken");
  }
  bool wants_name() const { return !open_.empty() && open_.back().node->is(Kind::kObject) && !open_.back().named; }

  Node& place(const YAML::Mark& mark) {
    if (++nodes_ > limits_.max_nodes) refuse(mark, "too many values");
    Node* node = &root_;
    if (!open_.empty()) {
      open_.back().named = false;
      node = &open_.back().node->items.emplace_back();
    }
    node->line = line_of(mark);
    return *node;
  }

  void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind, std::string_view core) {
    check_anchor(mark, anchor);
    const bool fits = tag.empty() || tag == "?" || tag == "!" || tag == std::string(kCoreTag).append(core);
    if (!fits) refuse(mark, "this tag is not taken");
    if (wants_name()) refuse(mark, "a name must be a text");
    if (open_.size() >= limits_.max_depth) refuse(mark, fmt::format("nested deeper than {} levels", limits_.max_depth));
    Node& node = place(mark);
    node.kind = kind;
    open_.push_back({&node, false, {}});
  }

  static void resolve(const YAML::Mark& mark, const std::string& tag, const std::string& value, Node& out) {
    if (tag == "!" || tag == std::string(kCoreTag).append("str")) {
      out.kind = Kind::kString;
      out.text = value;
      return;
    }
    resolve_plain(mark, value, out);
    if (tag.empty() || tag == "?") return;
    const std::string_view named = std::string_view(tag).starts_with(kCoreTag)
                                       ? std::string_view(tag).substr(kCoreTag.size())
                                       : std::string_view();
    const bool whole = out.text.find_first_of(".eE") == std::string::npos;
    const bool fits = (named == "null" && out.is(Kind::kNull)) || (named == "bool" && out.is(Kind::kBoolean)) ||
                      (named == "int" && out.is(Kind::kNumber) && whole) || (named == "float" && out.is(Kind::kNumber));
    if (!fits) refuse(mark, "this tag is not taken, or not for this value");
  }

  static void resolve_plain(const YAML::Mark& mark, const std::string& value, Node& out) {
    constexpr std::array<std::string_view, 5> kNull{"", "~", "null", "Null", "NULL"};
    constexpr std::array<std::string_view, 3> kTrue{"true", "True", "TRUE"}, kFalse{"false", "False", "FALSE"};
    constexpr std::array<std::string_view, 3> kInfinite{".inf", ".Inf", ".INF"}, kNan{".nan", ".NaN", ".NAN"};
    std::string_view unsigned_text = value;
    if (unsigned_text.starts_with('-') || unsigned_text.starts_with('+')) unsigned_text.remove_prefix(1);
    bool zeros = false;
    if (one_of(value, kNull)) return;
    if (one_of(value, kTrue) || one_of(value, kFalse)) {
      out.kind = Kind::kBoolean;
      out.boolean = one_of(value, kTrue);
    } else if (one_of(unsigned_text, kInfinite) || one_of(value, kNan)) {
      refuse(mark, "no finite number");
    } else if (auto number = number_of(value, zeros)) {
      if (zeros) refuse(mark, "a number that begins with 0 is octal to some: write it without, or in quotes");
      out.kind = Kind::kNumber;
      out.text = *std::move(number);
    } else {
      out.kind = Kind::kString;
      out.text = value;
    }
  }

  Node& root_;
  const SourceLimits& limits_;
  std::vector<Open> open_;
  std::size_t nodes_ = 0, documents_ = 0;
};

// The library takes 0x04 as the end of the text, and guesses at UTF-16 where it sees zeros.
std::optional<std::size_t> line_of_control(std::string_view text) {
  std::size_t line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    const auto code = static_cast<unsigned char>(c);
    if ((code < 0x20 && c != '\n' && c != '\r' && c != '\t') || code == 0x7F) return line;
  }
  return std::nullopt;
}

}  // namespace

Result<Node> parse_yaml_source(std::string_view text, const SourceLimits& limits) {
  if (text.size() > limits.max_text) {
    return fail(Code::kTooLarge, fmt::format("larger than {} bytes", limits.max_text));
  }
  if (!is_utf8(text)) return fail(Code::kInvalid, "line 1: not UTF-8");
  if (text.starts_with("\xEF\xBB\xBF")) return fail(Code::kInvalid, "line 1: begins with a byte order mark");
  if (const auto line = line_of_control(text)) {
    return fail(Code::kInvalid, fmt::format("line {}: a control character", *line));
  }
  Node root;
  Builder builder(root, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    return fail(Code::kInvalid, refused.message);
  } catch (const YAML::Exception& problem) {
    return fail(Code::kInvalid, fmt::format("line {}, column {}: {}", std::max(problem.mark.line, 0) + 1,
                                            std::max(problem.mark.column, 0) + 1, problem.msg));
  }
  return root;
}

std::string yaml_quoted(std::string_view text) {
  const std::string json = dump_json(std::string(text));
  std::string out;
  for (std::size_t i = 0; i < json.size(); ++i) {
    // What JSON leaves as it is and a reader of YAML takes as a line's end, as nothing or as a mistake.
    const auto code = static_cast<unsigned char>(json[i]);
    const std::string_view rest = std::string_view(json).substr(i);
    const auto next = static_cast<unsigned char>(rest.size() > 1 ? rest[1] : 0);
    if (code == 0x7F) {
      out += "\\u007f";
    } else if (code == 0xC2 && next >= 0x80 && next <= 0x9F) {
      out += fmt::format("\\u{:04x}", next);
      i += 1;
    } else if (rest.starts_with("\xE2\x80\xA8") || rest.starts_with("\xE2\x80\xA9")) {
      out += rest[2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (rest.starts_with("\xEF\xBB\xBF")) {
      out += "\\ufeff";
      i += 2;
    } else {
      out += json[i];
    }
  }
  return out;
}

}  // namespace sluice::policy
