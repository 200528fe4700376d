// Files of HTTP clients: .http, which names answers and refers to their parts, and collections of Postman, whose
// scripts set variables.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/code_plan.h"
#include "analysis/flow_view.h"
#include "base/json.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

// --- .http ---

// {{step1.response.body.$.data.token}}: names are plain, see Chain::kByReference.
std::string reference(const CodePlan& plan, const CodePart& part) {
  if (part.kind == CodePart::kEnvironment) return "{{" + part.text + "}}";
  std::size_t step = 0;
  const CodeValue* const value = plan.value(part.text, step);
  if (!value) return "";
  const std::string answer = fmt::format("{{{{step{}.response.", step + 1);
  if (value->place.kind == PlaceKind::kHeader) return answer + "headers." + value->place.name + "}}";
  std::string path = "body.$";
  for (const std::string& name : value->place.pointer) {
    const bool index = name.find_first_not_of("0123456789") == std::string::npos;
    path += index ? "[" + name + "]" : "." + name;
  }
  return answer + path + "}}";
}

std::string http_text(const CodePlan& plan, const CodeText& text) {
  std::string all;
  for (const CodePart& part : text) all += part.kind == CodePart::kLiteral ? part.text : reference(plan, part);
  return all;
}

// In files whose only quoting is the end of the line: what could be read as something else is not written.
bool is_harmless(const CodeText& text, bool lines) {
  std::string before;  // what stands in front of a variable could open another
  for (const CodePart& part : text) {
    if (part.kind != CodePart::kLiteral) {
      if (before.ends_with('{')) return false;
      before.clear();
      continue;
    }
    before = part.text;
    if (!is_utf8(part.text) || part.text.find("{{") != std::string::npos) return false;
    for (const char c : part.text) {
      const bool line = c == '\n' || c == '\t';
      if (static_cast<unsigned char>(c) < 0x20 && !(lines && line)) return false;
    }
    if (!lines) continue;
    for (const std::string_view each : split(part.text, '\n')) {
      const std::string_view start = trim(each);
      if (start.starts_with("#") || start.starts_with("<") || start.starts_with(">") || start.starts_with("@") ||
          start.starts_with("//"))
        return false;
    }
  }
  return true;
}

// Braces of a URL, so that they are no variables.
CodeText without_braces(CodeText text) {
  for (CodePart& part : text) {
    if (part.kind != CodePart::kLiteral) continue;
    std::string plain;
    for (const char c : part.text) {
      if (c == '{')
        plain += "%7B";
      else if (c == '}')
        plain += "%7D";
      else if (c > ' ' && c < 0x7f)
        plain += c;
      else
        plain += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    part.text = std::move(plain);
  }
  return text;
}

// --- Postman ---

// A variable by its name; encoded forms have names of their own, which scripts set.
std::string variable(const CodePart& part) {
  const char* const form = part.encode == CodePart::kUrl ? "_url" : part.encode == CodePart::kJson ? "_json" : "";
  return "{{" + part.text + form + "}}";
}

std::string postman_text(const CodeText& text) {
  std::string all;
  for (const CodePart& part : text) all += part.kind == CodePart::kLiteral ? part.text : variable(part);
  return all;
}

bool may_hold_variable(const CodeText& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i].kind != CodePart::kLiteral) continue;
    if (text[i].text.find("{{") != std::string::npos || (i + 1 < text.size() && text[i].text.ends_with('{')))
      return true;
  }
  return false;
}

// What is read as variables is data here: in JSON an escape says the same, elsewhere it cannot be said.
CodeText without_variables(CodeText text) {
  for (CodePart& part : text) {
    if (part.kind != CodePart::kLiteral) continue;
    for (std::size_t at = part.text.find("{{"); at != std::string::npos; at = part.text.find("{{"))
      part.text.replace(at, 2, "\\u007b{");
  }
  return text;
}

bool is_json(const CodeStep& step) {
  for (const auto& [name, text] : step.headers) {
    if (!iequals(name, "content-type") || text.size() != 1 || text[0].kind != CodePart::kLiteral) continue;
    if (is_json_media(to_lower(trim(text[0].text.substr(0, text[0].text.find(';')))))) return true;
  }
  return false;
}

// Sets a variable in all its forms. What an answer hands out must not be read as another variable: its secrets would
// go back with the next request.
constexpr std::string_view kKeep =
    "const keep = (name, text) => { if (typeof text !== \"string\" || text.includes(\"{{\")) throw new Error(\"The "
    "answer has another shape.\"); pm.collectionVariables.set(name, text); pm.collectionVariables.set(name + \"_url\", "
    "encodeURIComponent(text)); pm.collectionVariables.set(name + \"_json\", JSON.stringify(text).slice(1, -1)); };";
constexpr std::string_view kCookie =
    "const cookie = (name) => pm.response.headers.filter((each) => each.key.toLowerCase() === \"set-cookie\")"
    ".map((each) => each.value.split(\";\")[0]).filter((each) => each.split(\"=\")[0].trim() === name)"
    ".map((each) => each.slice(each.indexOf(\"=\") + 1).trim())[0];";

std::string postman_value(const Place& place) {
  if (place.kind == PlaceKind::kCookie) return "cookie(" + js_literal(place.name) + ")";
  if (place.kind == PlaceKind::kHeader) return "pm.response.headers.get(" + js_literal(place.name) + ")";
  if (place.kind == PlaceKind::kHtml) {
    return fmt::format(
        "((page) => page({}).filter((_, each) => page(each).attr({}) === {}).attr({}))(require(\"cheerio\").load("
        "pm.response.text()))",
        js_literal(place.element), js_literal(place.key), js_literal(place.key_value), js_literal(place.name));
  }
  std::string expression = "pm.response.json()";
  for (const std::string& step : place.pointer) expression += "[" + js_literal(step) + "]";
  return expression;
}

Json script(std::string_view when, Json lines) {
  return {{"listen", when}, {"script", {{"type", "text/javascript"}, {"exec", std::move(lines)}}}};
}

Json answer_script(const CodeStep& step) {
  Json lines = Json::array();
  if (step.is_check()) {
    std::string body = fmt::format("pm.test(\"the session lives\", () => {{");
    if (step.expected_status != 0) body += fmt::format(" pm.response.to.have.status({});", step.expected_status);
    if (!step.expected_text.empty())
      body += " pm.expect(pm.response.text()).to.include(" + js_literal(step.expected_text) + ");";
    lines.push_back(body + " });");
  }
  if (step.values.empty()) return lines;
  lines.push_back(kKeep);
  lines.push_back(kCookie);
  for (const CodeValue& value : step.values)
    lines.push_back("keep(\"" + value.variable + "\", " + postman_value(value.place) + ");");
  return lines;
}

// The forms of what comes from the environment.
Json encode_script(const CodePlan& plan) {
  Json names = Json::array();
  for (const std::string& name : plan.environment) names.push_back(name);
  return Json::array({"for (const name of " + dump_json(names) + ") {",
                      "  const text = pm.variables.get(name) ?? \"\";",
                      "  pm.variables.set(name + \"_url\", encodeURIComponent(text));",
                      "  pm.variables.set(name + \"_json\", JSON.stringify(text).slice(1, -1));", "}"});
}

Json postman_request(const CodeStep& step) {
  Json headers = Json::array();
  std::string left_out;
  for (const auto& [name, text] : step.headers) {
    if (may_hold_variable(text))
      left_out = "Header fields that would be read as variables were left out. ";
    else
      headers.push_back({{"key", name}, {"value", postman_text(text)}});
  }
  Json request = {{"method", http::is_token(step.method) ? step.method : "GET"},
                  {"header", std::move(headers)},
                  {"url", postman_text(without_braces(step.url))}};
  if (step.body) {
    const CodeText body = is_json(step) ? without_variables(*step.body) : *step.body;
    const std::string text = postman_text(body);
    if (is_utf8(text) && !may_hold_variable(body))
      request["body"] = {{"mode", "raw"}, {"raw", text}};
    else
      left_out += "A body that is no text, or would be read as variables, was left out.";
  }
  if (!left_out.empty()) request["description"] = left_out;
  return request;
}

}  // namespace

std::string write_http_file(const CodePlan& plan) {
  std::string out =
      "# What stands in double braces is a variable of the client's environment, or taken from the answer of a step "
      "before:\n# send the steps in their order. Values are put in as they are.\n";
  for (const std::string& name : plan.environment) out += "# Set the variable " + name + ".\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const CodeStep& step = plan.steps[i];
    out += fmt::format("\n### Step {}\n", i + 1);
    for (const std::string& name : step.jar_cookies) out += "# The client's cookie jar sends " + name + ".\n";
    if (step.expected_status != 0)
      out += fmt::format("# Expect status {}; else the session does not live.\n", step.expected_status);
    if (!step.values.empty()) out += fmt::format("# @name step{}\n", i + 1);
    out += (http::is_token(step.method) ? step.method : "GET") + " " + http_text(plan, without_braces(step.url)) + "\n";
    for (const auto& [name, text] : step.headers) {
      if (is_harmless(text, false)) out += name + ": " + http_text(plan, text) + "\n";
    }
    if (!step.body) continue;
    out += is_harmless(*step.body, true) ? "\n" + http_text(plan, *step.body) + "\n"
                                         : "# A body that this format cannot hold was left out.\n";
  }
  return out;
}

std::string write_postman(const CodePlan& plan) {
  Json items = Json::array(), variables = Json::array();
  for (const std::string& name : plan.environment) variables.push_back({{"key", name}, {"value", ""}});
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const CodeStep& step = plan.steps[i];
    Json item = {{"name", fmt::format("Step {}", i + 1)},
                 {"protocolProfileBehavior",
                  {{"followRedirects", false}, {"disableCookies", true}, {"disableBodyPruning", true}}},
                 {"request", postman_request(step)}};
    if (Json lines = answer_script(step); !lines.empty())
      item["event"] = Json::array({script("test", std::move(lines))});
    items.push_back(std::move(item));
  }
  Json collection = {{"info",
                      {{"name", "Captured requests"},
                       {"schema", "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}}},
                     {"item", std::move(items)},
                     {"variable", std::move(variables)}};
  if (!plan.environment.empty()) collection["event"] = Json::array({script("prerequest", encode_script(plan))});
  return dump_json(collection, JsonStyle::kIndented) + "\n";
}

}  // namespace sluice::analysis
