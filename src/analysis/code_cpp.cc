// Programs in C++ with libcurl.
#include <fmt/format.h>

#include "analysis/code_plan.h"

namespace sluice::analysis {
namespace {

std::string cpp_part(const CodePart& part) {
  if (part.kind == CodePart::kLiteral) return cpp_literal(part.text);
  const std::string value = part.kind == CodePart::kEnvironment ? "environment(\"" + part.text + "\")" : part.text;
  if (part.encode == CodePart::kUrl) return "escaped(" + value + ")";
  if (part.encode == CodePart::kJson) return "in_json(" + value + ")";
  return value;
}

std::string cpp_value(const CodeValue& value, std::size_t number) {
  const Place& place = value.place;
  if (place.kind == PlaceKind::kCookie) return fmt::format("cookie(answer_{}, {})", number, cpp_literal(place.name));
  if (place.kind == PlaceKind::kHeader) return fmt::format("field(answer_{}, {})", number, cpp_literal(place.name));
  if (place.kind == PlaceKind::kHtml) {
    return fmt::format("attribute(answer_{}.body, {}, {}, {}, {})", number, cpp_literal(place.element),
                       cpp_literal(place.key), cpp_literal(place.key_value), cpp_literal(place.name));
  }
  std::string steps;
  for (const std::string& step : place.pointer) steps += (steps.empty() ? "" : ", ") + cpp_literal(step);
  return fmt::format("pick(answer_{}.body, {{{}}})", number, steps);
}

constexpr std::string_view kCppHelpers = R"cpp(
  static std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
  }

  [[maybe_unused]] static std::string escaped(const std::string& text) {
    std::string out;
    for (unsigned char c : text) {
      if (std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
        out += static_cast<char>(c);
      } else {
        char code[4];
        std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(c));
        out += code;
      }
    }
    return out;
  }

  [[maybe_unused]] static std::string in_json(const std::string& text) {
    std::string out;
    for (unsigned char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += static_cast<char>(c);
      } else if (c < 0x20) {
        char code[7];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
        out += code;
      } else {
        out += static_cast<char>(c);
      }
    }
    return out;
  }

  static size_t keep(char* data, size_t size, size_t count, void* to) {
    static_cast<std::string*>(to)->append(data, size * count);
    return size * count;
  }

  struct Answer {
    long status = 0;
    std::string head, body;
  };

  [[maybe_unused]] static bool same(const std::string& a, const std::string& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i]))) return false;
    }
    return true;
  }

  [[noreturn, maybe_unused]] static void other_shape() { throw std::runtime_error("the answer has another shape"); }

  // The values of all fields of this name.
  [[maybe_unused]] static std::vector<std::string> fields(const Answer& answer, const std::string& name) {
    std::vector<std::string> values;
    for (std::size_t at = 0; at < answer.head.size();) {
      const std::size_t end = std::min(answer.head.find('\n', at), answer.head.size());
      const std::string line = answer.head.substr(at, end - at);
      at = end + 1;
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos || !same(line.substr(0, colon), name)) continue;
      const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
      const std::size_t last = line.find_last_not_of(" \t\r");
      values.push_back(begin == std::string::npos || last < begin ? "" : line.substr(begin, last + 1 - begin));
    }
    return values;
  }

  [[maybe_unused]] static std::string field(const Answer& answer, const std::string& name) {
    const std::vector<std::string> values = fields(answer, name);
    if (values.empty()) other_shape();
    return values[0];
  }

  [[maybe_unused]] static std::string cookie(const Answer& answer, const std::string& name) {
    for (const std::string& line : fields(answer, "Set-Cookie")) {
      const std::string pair = line.substr(0, line.find(';'));
      if (pair.substr(0, pair.find('=')) == name && pair.size() > name.size()) return pair.substr(name.size() + 1);
    }
    other_shape();
  }

  // A string at a place of a JSON text.
  class Json {
   public:
    explicit Json(const std::string& text) : text_(text) {}

    std::string pick(const std::vector<std::string>& steps) {
      for (const std::string& step : steps) enter(step);
      blanks();
      if (next() != '"') other_shape();
      return string();
    }

   private:
    char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    void blanks() {
      while (next() == ' ' || next() == '\t' || next() == '\r' || next() == '\n') ++at_;
    }
    bool take(char wanted) {
      blanks();
      if (next() != wanted) return false;
      ++at_;
      return true;
    }

    // To the member of this name, or the item of this number.
    void enter(const std::string& step) {
      if (take('{')) {
        do {
          blanks();
          if (next() != '"') other_shape();
          const std::string name = string();
          if (!take(':')) other_shape();
          if (name == step) return;
          skip();
        } while (take(','));
        other_shape();
      }
      if (!take('[') || step.empty() || step.find_first_not_of("0123456789") != std::string::npos) other_shape();
      for (unsigned long left = std::stoul(step); left > 0; --left) {
        skip();
        if (!take(',')) other_shape();
      }
    }

    // One value, whatever it is.
    void skip() {
      std::size_t depth = 0;
      do {
        blanks();
        const char c = next();
        if (c == '\0') other_shape();
        if (c == '"') {
          string();
        } else if (c == '{' || c == '[') {
          ++depth;
          ++at_;
        } else if (c == '}' || c == ']') {
          if (depth == 0) other_shape();
          --depth;
          ++at_;
        } else if (c == ',' || c == ':') {
          ++at_;
        } else {
          while (next() != '\0' && std::strchr(",:]}\"{[ \t\r\n", next()) == nullptr) ++at_;
        }
      } while (depth > 0);
    }

    static void append(std::string& out, unsigned long point) {
      if (point < 0x80) {
        out += static_cast<char>(point);
      } else if (point < 0x800) {
        out += static_cast<char>(0xc0 | (point >> 6));
        out += static_cast<char>(0x80 | (point & 0x3f));
      } else {
        if (point < 0x10000) {
          out += static_cast<char>(0xe0 | (point >> 12));
        } else {
          out += static_cast<char>(0xf0 | (point >> 18));
          out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
        }
        out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (point & 0x3f));
      }
    }

    unsigned long unit() {
      if (at_ + 4 > text_.size()) other_shape();
      const unsigned long read = std::stoul(text_.substr(at_, 4), nullptr, 16);
      at_ += 4;
      return read;
    }

    std::string string() {
      std::string out;
      for (++at_; next() != '"';) {
        if (next() == '\0') other_shape();
        if (next() != '\\') {
          out += text_[at_++];
          continue;
        }
        ++at_;
        const char c = next();
        ++at_;
        if (c == 'u') {
          unsigned long point = unit();
          if (point >= 0xd800 && point < 0xdc00 && text_.compare(at_, 2, "\\u") == 0) {
            at_ += 2;
            point = 0x10000 + ((point & 0x3ff) << 10) + (unit() & 0x3ff);
          }
          append(out, point);
        } else {
          out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
        }
      }
      ++at_;
      return out;
    }

    const std::string& text_;
    std::size_t at_ = 0;
  };

  [[maybe_unused]] static std::string pick(const std::string& body, const std::vector<std::string>& steps) {
    return Json(body).pick(steps);
  }

  [[maybe_unused]] static std::string plain(std::string text) {
    const char* const names[][2] = {{"&lt;", "<"},    {"&gt;", ">"},   {"&quot;", "\""}, {"&#34;", "\""},
                                    {"&#x22;", "\""}, {"&apos;", "'"}, {"&#39;", "'"},   {"&#x27;", "'"},
                                    {"&#43;", "+"},   {"&#x2B;", "+"}, {"&#61;", "="},   {"&#x3D;", "="},
                                    {"&#47;", "/"},   {"&#x2F;", "/"}, {"&amp;", "&"}};
    for (const auto& name : names) {
      const std::size_t size = std::strlen(name[0]);
      for (std::size_t at = text.find(name[0]); at != std::string::npos; at = text.find(name[0], at + 1))
        text.replace(at, size, name[1]);
    }
    return text;
  }

  // An attribute of the first element of this name whose attribute `key` is `key_value`.
  [[maybe_unused]] static std::string attribute(const std::string& page, const std::string& element,
                                                const std::string& key, const std::string& key_value,
                                                const std::string& name) {
    const auto ends_name = [](char c) { return std::strchr(" \t\r\n=/>\"'", c) != nullptr; };
    for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
      std::size_t end = ++at;
      while (end < page.size() && !ends_name(page[end])) ++end;
      const bool wanted = same(page.substr(at, end - at), element);
      bool right = false, there = false;
      std::string value;
      for (at = end; wanted && at < page.size() && page[at] != '>';) {
        if (ends_name(page[at])) {
          ++at;
          continue;
        }
        end = at;
        while (end < page.size() && !ends_name(page[end])) ++end;
        const std::string given = page.substr(at, end - at);
        at = page.find_first_not_of(" \t\r\n", end);
        std::string text;
        if (at != std::string::npos && page[at] == '=') {
          at = page.find_first_not_of(" \t\r\n", at + 1);
          if (at == std::string::npos) break;
          const bool quoted = page[at] == '"' || page[at] == '\'';
          const std::size_t begin = at + (quoted ? 1 : 0);
          end = quoted ? page.find(page[at], begin) : page.find_first_of(" \t\r\n>", begin);
          end = std::min(end, page.size());
          text = plain(page.substr(begin, end - begin));
          at = end + (quoted ? 1 : 0);
        }
        if (same(given, key)) right = text == key_value;
        if (same(given, name)) {
          there = true;
          value = text;
        }
      }
      if (wanted && right && there) return value;
      at = std::min(at, page.size());
    }
    other_shape();
  }

  static Answer send(CURL* curl, const std::string& method, const std::string& url,
                     const std::vector<std::string>& headers, const std::string* body) {
    curl_easy_reset(curl);
    Answer answer;
    curl_slist* list = nullptr;
    for (const std::string& field : headers) list = curl_slist_append(list, field.c_str());
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
    if (method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.head);
    if (body) {
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data());
    }
    const CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(list);
    if (code != CURLE_OK) throw std::runtime_error(curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    std::fprintf(stdout, "%ld\n", answer.status);
    return answer;
  }
)cpp";

std::string cpp_check(const CodeStep& step, std::size_t n) {
  std::string wrong;
  if (step.expected_status != 0) wrong = fmt::format("answer_{}.status != {}", n, step.expected_status);
  if (!step.expected_text.empty()) {
    wrong += wrong.empty() ? "" : " || ";
    wrong += fmt::format("answer_{}.body.find({}) == std::string::npos", n, cpp_literal(step.expected_text));
  }
  return fmt::format("  if ({}) throw std::runtime_error(\"{}\");\n", wrong, kSessionIsOver);
}

}  // namespace

std::string write_cpp(const CodePlan& plan) {
  std::string out = "// Build: c++ -std=c++17 FILE.cc -lcurl\n// libcurl keeps the order of these fields.\n";
  out += environment_comments(plan);
  for (const char* name :
       {"curl/curl.h", "algorithm", "cctype", "cstdio", "cstdlib", "cstring", "stdexcept", "string", "vector"})
    out += fmt::format("#include <{}>\n", name);
  out += kCppHelpers;
  out += "int main() try {\n  CURL* curl = curl_easy_init();\n  (void)environment;\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const CodeStep& step = plan.steps[i];
    const std::size_t n = i + 1;
    out += fmt::format("  // Step {}\n  const std::vector<std::string> headers_{} = {{\n", n, n);
    for (const auto& [name, text] : step.headers) {
      // A field without a value ends in ";" for libcurl.
      const std::string value = joined(text, cpp_part, "");
      out += value.empty() ? fmt::format("      {},\n", cpp_literal(name + ";"))
                           : fmt::format("      {} + {},\n", cpp_literal(name + ": "), value);
    }
    // What libcurl would add by itself.
    out += "      std::string(\"Expect:\"),\n  };\n";
    if (step.body)
      out += fmt::format("  const std::string body_{} = {};\n", n, joined(*step.body, cpp_part, "std::string()"));
    const bool kept = !step.values.empty() || step.is_check();
    out +=
        fmt::format("  {}send(curl, {}, {}, headers_{}, {});\n",
                    kept ? fmt::format("const Answer answer_{} = ", n) : "", cpp_literal(step.method),
                    joined(step.url, cpp_part, "std::string()"), n, step.body ? fmt::format("&body_{}", n) : "nullptr");
    if (step.is_check()) out += cpp_check(step, n);
    for (const CodeValue& value : step.values)
      out += "  const std::string " + value.variable + " = " + cpp_value(value, n) + ";\n";
  }
  return out +
         "  curl_easy_cleanup(curl);\n} catch (const std::exception& error) {\n  std::fprintf(stderr, \"%s\\n\", "
         "error.what());\n  return 1;\n}\n";
}

}  // namespace sluice::analysis
