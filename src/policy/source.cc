#include "policy/source.h"

#include <fmt/format.h>

#include <charconv>
#include <unordered_set>

#include "base/text.h"
#include "policy/number.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Reader {
 public:
  Reader(std::string_view text, const SourceLimits& limits) : text_(text), limits_(limits) {}

  Result<Node> read() {
    Node root;
    SLUICE_CHECK(value(root, 0));
    skip_blanks();
    if (at_ < text_.size()) return wrong("something follows the document");
    return root;
  }

 private:
  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::kInvalid, fmt::format("line {}, column {}: {}", line_, at_ - line_start_ + 1, what));
  }

  void skip_blanks() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }

  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  Status value(Node& node, std::size_t depth) {
    skip_blanks();
    if (++nodes_ > limits_.max_nodes) return wrong("too many values");
    node.line = line_;
    if (at_ >= text_.size()) return wrong("the text ends where a value should stand");
    const char c = text_[at_];
    if (c == '{') return object(node, depth + 1);
    if (c == '[') return array(node, depth + 1);
    if (c == '"') {
      node.kind = Kind::kString;
      return string(node.text);
    }
    if (c == '-' || is_digit(c)) return number(node);
    if (take_word("true")) {
      node.kind = Kind::kBoolean;
      node.boolean = true;
      return {};
    }
    if (take_word("false")) {
      node.kind = Kind::kBoolean;
      return {};
    }
    if (take_word("null")) return {};
    return wrong("no JSON value begins like this");
  }

  Status object(Node& node, std::size_t depth) {
    if (depth > limits_.max_depth) return wrong(fmt::format("nested deeper than {} levels", limits_.max_depth));
    node.kind = Kind::kObject;
    ++at_;
    std::unordered_set<std::string> seen;
    skip_blanks();
    if (take('}')) return {};
    for (;;) {
      skip_blanks();
      Node::Name name{{}, line_};
      if (at_ >= text_.size() || text_[at_] != '"') return wrong("expected a name in quotes");
      SLUICE_CHECK(string(name.text));
      if (!seen.insert(name.text).second) return wrong("an object has two members of the same name");
      skip_blanks();
      if (!take(':')) return wrong("expected a colon behind the name");
      node.names.push_back(std::move(name));
      node.items.emplace_back();
      SLUICE_CHECK(value(node.items.back(), depth));
      skip_blanks();
      if (take('}')) return {};
      if (!take(',')) return wrong("expected a comma or the end of the object");
    }
  }

  Status array(Node& node, std::size_t depth) {
    if (depth > limits_.max_depth) return wrong(fmt::format("nested deeper than {} levels", limits_.max_depth));
    node.kind = Kind::kArray;
    ++at_;
    skip_blanks();
    if (take(']')) return {};
    for (;;) {
      node.items.emplace_back();
      SLUICE_CHECK(value(node.items.back(), depth));
      skip_blanks();
      if (take(']')) return {};
      if (!take(',')) return wrong("expected a comma or the end of the array");
    }
  }

  // RFC 8259 §6.
  Status number(Node& node) {
    node.kind = Kind::kNumber;
    const std::size_t begin = at_;
    const auto digits = [&] {
      const std::size_t from = at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      return at_ > from;
    };
    take('-');
    if (!take('0') && !digits()) return wrong("not a number");
    if (at_ < text_.size() && is_digit(text_[at_])) return wrong("a number has no leading zero");
    if (take('.') && !digits()) return wrong("digits must follow the decimal point");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return wrong("digits must follow the exponent");
    }
    node.text = text_.substr(begin, at_ - begin);
    return {};
  }

  Status string(std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return {};
      }
      if (static_cast<unsigned char>(c) < 0x20) return wrong("a control character in a string");
      if (c == '\\') {
        SLUICE_CHECK(escape(out));
      } else {
        out += c;
      }
    }
    return wrong("a string is not closed");
  }

  Status escape(std::string& out) {
    static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    ++at_;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (const auto known = kFrom.find(c); known != std::string_view::npos && c != '\0') {
      out += kTo[known];
      return {};
    }
    if (c != 'u') return wrong("an unknown escape");
    SLUICE_TRY(unsigned code, hex4());
    if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_ + 1).starts_with("\\u")) {
      at_ += 2;
      SLUICE_TRY(const unsigned low, hex4());
      if (low < 0xDC00 || low > 0xDFFF) return wrong("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xD800 && code <= 0xDFFF) {
      return wrong("half of a surrogate pair");
    }
    append_utf8(out, code);
    return {};
  }

  // The four digits behind a `u`; leaves at_ on the last.
  Result<unsigned> hex4() {
    unsigned code = 0;
    const std::string_view four = text_.substr(std::min(at_ + 1, text_.size()), 4);
    const auto end = std::from_chars(four.data(), four.data() + four.size(), code, 16);
    if (four.size() != 4 || end.ec != std::errc() || end.ptr != four.data() + 4) return wrong("an unknown escape");
    at_ += 4;
    return code;
  }

  std::string_view text_;
  const SourceLimits& limits_;
  std::size_t at_ = 0, line_ = 1, line_start_ = 0, nodes_ = 0;
};

void indent(std::string& out, std::size_t level) { out.append(1, '\n').append(2 * level, ' '); }

void dump(const Node& node, JsonStyle style, std::size_t level, std::string& out) {
  const bool wide = style == JsonStyle::kIndented;
  switch (node.kind) {
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBoolean:
      out += node.boolean ? "true" : "false";
      return;
    case Kind::kNumber:
      out += node.text;
      return;
    case Kind::kString:
      out += dump_json(node.text);
      return;
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  const bool object = node.is(Kind::kObject);
  out += object ? '{' : '[';
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (i > 0) out += ',';
    if (wide) indent(out, level + 1);
    if (object) out.append(dump_json(node.names[i].text)).append(wide ? ": " : ":");
    dump(node.items[i], style, level + 1, out);
  }
  if (wide && !node.items.empty()) indent(out, level);
  out += object ? '}' : ']';
}

void collect(const Node& node, const Json& json, Spellings& out) {
  if (node.is(Kind::kNumber)) {
    if (!Number::from_json(json).equals_spelling(node.text)) out.emplace(&json, node.text);
    return;
  }
  if (node.is(Kind::kArray)) {
    for (std::size_t i = 0; i < node.items.size(); ++i) collect(node.items[i], json[i], out);
  } else if (node.is(Kind::kObject)) {
    std::size_t i = 0;
    for (const auto& member : json.get_ref<const Json::object_t&>()) collect(node.items[i++], member.second, out);
  }
}

Json number_json(const std::string& spelling) {
  std::int64_t integer = 0;
  const char* end = spelling.data() + spelling.size();
  if (const auto whole = std::from_chars(spelling.data(), end, integer); whole.ec == std::errc() && whole.ptr == end) {
    return integer;
  }
  double value = 0;
  const auto parsed = std::from_chars(spelling.data(), end, value);
  if (parsed.ec == std::errc::result_out_of_range) {
    // Too large or too small; which of both, the exact number tells.
    const auto exact = Number::from_spelling(spelling);
    return exact.is_finite() ? Json(0.0) : Json(std::numeric_limits<double>::infinity());
  }
  return value;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].text == name) return &items[i];
  }
  return nullptr;
}

Result<Node> parse_source(std::string_view text, const SourceLimits& limits) {
  if (text.size() > limits.max_text) {
    return fail(Code::kTooLarge, fmt::format("larger than {} bytes", limits.max_text));
  }
  if (!is_utf8(text)) return fail(Code::kInvalid, "line 1: not UTF-8");
  return Reader(text, limits).read();
}

std::string dump_source(const Node& node, JsonStyle style) {
  std::string out;
  dump(node, style, 0, out);
  return out;
}

Json to_json(const Node& node) {
  switch (node.kind) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBoolean:
      return node.boolean;
    case Kind::kNumber:
      return number_json(node.text);
    case Kind::kString:
      return node.text;
    case Kind::kArray: {
      Json array = Json::array();
      for (const Node& item : node.items) array.push_back(to_json(item));
      return array;
    }
    case Kind::kObject: {
      Json object = Json::object();
      for (std::size_t i = 0; i < node.items.size(); ++i) object[node.names[i].text] = to_json(node.items[i]);
      return object;
    }
  }
  return nullptr;
}

Spellings spellings_of(const Node& node, const Json& json) {
  Spellings out;
  collect(node, json, out);
  return out;
}

std::string_view kind_name(Node::Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBoolean:
      return "true or false";
    case Kind::kNumber:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "an array";
    case Kind::kObject:
      return "an object";
  }
  return "";
}

}  // namespace sluice::policy
