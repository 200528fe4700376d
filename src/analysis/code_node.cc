// Programs for Node's fetch.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/code_plan.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

std::string js_part(const CodePart& part) {
  if (part.kind == CodePart::kLiteral) return js_literal(part.text);
  std::string value = part.kind == CodePart::kEnvironment ? "process.env[\"" + part.text + "\"]" : part.text;
  if (part.encode == CodePart::kUrl) return "encodeURIComponent(" + value + ")";
  if (part.encode == CodePart::kJson) return "JSON.stringify(" + value + ").slice(1, -1)";
  return value;
}

std::string js_text(const CodeText& text) { return joined(text, js_part, "\"\""); }

std::string js_body(const CodeText& text) {
  const bool octets = std::any_of(text.begin(), text.end(), [](const CodePart& part) {
    return part.kind == CodePart::kLiteral && !is_utf8(part.text);
  });
  if (!octets) return js_text(text);
  const auto buffer = [](const CodePart& part) { return "Buffer.from(" + js_part(part) + ")"; };
  return "Buffer.concat([" + joined(text, buffer, "", ", ") + "])";
}

std::string js_value(const CodeValue& value, std::size_t number) {
  const Place& place = value.place;
  if (place.kind == PlaceKind::kCookie) return fmt::format("cookie(response{}, {})", number, js_literal(place.name));
  if (place.kind == PlaceKind::kHeader)
    return fmt::format("response{}.headers.get({})", number, js_literal(place.name));
  if (place.kind == PlaceKind::kHtml) {
    return fmt::format("attribute(text{}, {}, {}, {}, {})", number, js_literal(place.element), js_literal(place.key),
                       js_literal(place.key_value), js_literal(place.name));
  }
  std::string expression = fmt::format("JSON.parse(text{})", number);
  for (const std::string& step : place.pointer) expression += "[" + js_literal(step) + "]";
  return expression;
}

constexpr std::string_view kCookieHelper = R"js(
function cookie(response, name) {
  for (const each of response.headers.getSetCookie()) {
    const [pair] = each.split(";");
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return "";
}
)js";

constexpr std::string_view kPageHelper = R"js(
function attribute(page, element, key, keyValue, name) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  const plain = (text) => text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(amp|lt|gt|quot|apos));/gi,
    (_, ten, hex, word) => (word ? named[word.toLowerCase()] : String.fromCodePoint(ten ? Number(ten) : parseInt(hex, 16))));
  for (const [, tag, inner] of page.matchAll(/<([a-z][^\s\/>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi)) {
    if (tag.toLowerCase() !== element) continue;
    const given = Object.create(null);
    for (const [, each, a, b, c] of inner.matchAll(/([^\s=\/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g))
      given[each.toLowerCase()] ??= plain(a ?? b ?? c ?? "");
    if (given[key] === keyValue && name in given) return given[name];
  }
  throw new Error("The page has another shape.");
}
)js";

std::string wrong_answer(const CodeStep& step, std::size_t n) {
  std::string wrong;
  if (step.expected_status != 0) wrong = fmt::format("response{}.status !== {}", n, step.expected_status);
  if (step.expected_text.empty()) return wrong;
  if (!wrong.empty()) wrong += " || ";
  return wrong + fmt::format("!text{}.includes({})", n, js_literal(step.expected_text));
}

}  // namespace

std::string write_node(const CodePlan& plan) {
  std::string out = "// Run: node FILE.mjs (Node 20 and later). fetch may change the order of header fields.\n";
  out += environment_comments(plan);
  out += kCookieHelper;
  if (plan.has(PlaceKind::kHtml)) out += kPageHelper;
  out += "\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const CodeStep& step = plan.steps[i];
    const std::size_t n = i + 1;
    out += fmt::format(
        "// Step {}\nconst response{} = await fetch({}, {{\n  method: {},\n  redirect: \"manual\",\n  headers: "
        "[\n",
        n, n, js_text(step.url), js_literal(step.method));
    for (const auto& [name, text] : step.headers)
      out += fmt::format("    [{}, {}],\n", js_literal(name), js_text(text));
    out += "  ],\n";
    // fetch refuses a body there.
    if (step.body && step.method != "GET" && step.method != "HEAD") out += "  body: " + js_body(*step.body) + ",\n";
    out += fmt::format("}});\nconst text{} = await response{}.text();\nconsole.log(response{}.status);\n", n, n, n);
    if (step.is_check())
      out += fmt::format("if ({}) throw new Error(\"{}\");\n", wrong_answer(step, n), kSessionIsOver);
    for (const CodeValue& value : step.values) out += "const " + value.variable + " = " + js_value(value, n) + ";\n";
  }
  return out;
}

}  // namespace sluice::analysis
