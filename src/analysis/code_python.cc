// Programs for requests, curl_cffi, aiohttp and playwright.
#include <fmt/format.h>

#include "analysis/code_plan.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

struct Dialect {
  std::string_view install, import, open;  // how a session begins; its block is indented
  std::string_view order;                  // what a comment says of header order
};

Dialect dialect_of(CodeTarget target) {
  switch (target) {
    case CodeTarget::kRequests:
      return {"requests", "import requests\n", "    with requests.Session() as session:\n",
              "requests sends its own User-Agent, Accept and Connection first where they are not given."};
    case CodeTarget::kAiohttp:
      return {"aiohttp", "import asyncio\n\nimport aiohttp\n",
              "    async with aiohttp.ClientSession(auto_decompress=True) as session:\n",
              "aiohttp sends Host first; the order of the rest is kept."};
    case CodeTarget::kPlaywright:
      return {"playwright", "from playwright.sync_api import sync_playwright\n",
              "    with sync_playwright() as playwright:\n        browser = playwright.chromium.launch()\n        "
              "context = "
              "browser.new_context()\n        page = context.new_page()\n",
              "the browser chooses the order of header fields."};
    default:
      return {"curl_cffi", "from curl_cffi import requests\n",
              "    with requests.Session(impersonate=\"chrome120\") as session:\n",
              "curl_cffi puts fields in the order of the browser that it impersonates; others keep theirs."};
  }
}

std::string part_expression(const CodePart& part) {
  if (part.kind == CodePart::kLiteral) return python_literal(part.text);
  std::string value = part.kind == CodePart::kEnvironment ? "os.environ[\"" + part.text + "\"]" : part.text;
  if (part.encode == CodePart::kUrl) return "quote(" + value + ", safe=\"\")";
  if (part.encode == CodePart::kJson) return "json.dumps(" + value + ")[1:-1]";
  return value;
}

std::string expression(const CodeText& text) { return joined(text, part_expression, "\"\""); }

// Octets that are no text are octets as a whole.
bool is_octets(const CodeText& text) {
  for (const CodePart& part : text) {
    if (part.kind == CodePart::kLiteral && !is_utf8(part.text)) return true;
  }
  return false;
}

std::string body_expression(const CodeText& text) {
  if (!is_octets(text)) return "(" + expression(text) + ").encode()";
  const auto octets = [](const CodePart& part) {
    const std::string each = part_expression(part);
    return part.kind == CodePart::kLiteral && !is_utf8(part.text) ? each : "(" + each + ").encode()";
  };
  return joined(text, octets, "");
}

std::string value_expression(const CodeValue& value, std::size_t number, CodeTarget target) {
  if (value.place.kind == PlaceKind::kHtml) {
    const std::string page = target == CodeTarget::kAiohttp      ? fmt::format("text_{}", number)
                             : target == CodeTarget::kPlaywright ? fmt::format("response_{}.text()", number)
                                                                 : fmt::format("response_{}.text", number);
    return fmt::format("attribute({}, {}, {}, {}, {})", page, python_literal(value.place.element),
                       python_literal(value.place.key), python_literal(value.place.key_value),
                       python_literal(value.place.name));
  }
  if (value.place.kind == PlaceKind::kHeader) {
    // Playwright has names in lower case.
    const bool lower = target == CodeTarget::kPlaywright;
    return fmt::format("response_{}.headers[{}]", number,
                       python_literal(lower ? to_lower(value.place.name) : value.place.name));
  }
  if (value.place.kind == PlaceKind::kCookie) {
    const std::string name = python_literal(value.place.name);
    if (target == CodeTarget::kAiohttp) return fmt::format("response_{}.cookies[{}].value", number, name);
    if (target == CodeTarget::kPlaywright)
      return fmt::format("next(each[\"value\"] for each in context.cookies() if each[\"name\"] == {})", name);
    return fmt::format("response_{}.cookies[{}]", number, name);
  }
  std::string json = target == CodeTarget::kAiohttp ? fmt::format("(json.loads(text_{}))", number)
                                                    : fmt::format("response_{}.json()", number);
  for (const std::string& step : value.place.pointer) {
    const bool index = !step.empty() && step.size() < 10 && step.find_first_not_of("0123456789") == std::string::npos;
    // What looks like an index may be a name: the value says which.
    json = index ? fmt::format("pick({}, {})", json, python_literal(step)) : json + "[" + python_literal(step) + "]";
  }
  return json;
}

constexpr std::string_view kPageHelper = R"py(def attribute(page, element, key, key_value, name):
    found = []

    class Finder(HTMLParser):
        def handle_starttag(self, tag, attributes):
            given = dict(attributes)
            if tag == element and given.get(key) == key_value and name in given:
                found.append(given[name] or "")

    Finder().feed(page)
    return found[0]


)py";

class Writer {
 public:
  Writer(const CodePlan& plan, CodeTarget target) : plan_(plan), target_(target) {}

  std::string write() {
    const Dialect dialect = dialect_of(target_);
    const bool async = target_ == CodeTarget::kAiohttp;
    out_ = fmt::format("# Needs: pip install {}\n# Header fields: {}\n", dialect.install, dialect.order);
    for (const std::string& name : plan_.environment) out_ += "# Set the environment variable " + name + ".\n";
    const bool json = plan_.has(CodePart::kJson) || async;
    if (json) out_ += "import json\n";
    if (!plan_.environment.empty()) out_ += "import os\n";
    if (plan_.has(CodePart::kUrl)) out_ += "from urllib.parse import quote\n";
    const bool pages = plan_.has(PlaceKind::kHtml);
    if (pages) out_ += "from html.parser import HTMLParser\n";
    out_ += dialect.import;
    out_ += "\n\ndef pick(value, step):\n    return value[int(step)] if isinstance(value, list) else value[step]\n\n\n";
    if (pages) out_ += kPageHelper;
    out_ += async ? "async def main():\n" : "def main():\n";
    out_ += dialect.open;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) write_step(plan_.steps[i], i + 1);
    if (plan_.steps.empty()) out_ += "        pass\n";
    if (target_ == CodeTarget::kPlaywright) out_ += "        browser.close()\n";
    out_ += async ? "\n\nasyncio.run(main())\n" : "\n\nmain()\n";
    return std::move(out_);
  }

 private:
  void write_check(const CodeStep& step, const std::string& n) {
    if (!step.is_check()) return;
    const bool has_code = target_ == CodeTarget::kRequests || target_ == CodeTarget::kCurlCffi;
    std::string wrong;
    if (step.expected_status != 0)
      wrong = fmt::format("response_{}.{} != {}", n, has_code ? "status_code" : "status", step.expected_status);
    if (!step.expected_text.empty()) {
      const std::string page = target_ == CodeTarget::kAiohttp      ? "text_" + n
                               : target_ == CodeTarget::kPlaywright ? "response_" + n + ".text()"
                                                                    : "response_" + n + ".text";
      wrong += (wrong.empty() ? "" : " or ") + python_literal(step.expected_text) + " not in " + page;
    }
    line("if " + wrong + ":");
    line(fmt::format("    raise SystemExit(\"{}\")", kSessionIsOver));
  }

  void line(const std::string& text) { out_ += "        " + text + "\n"; }

  void write_step(const CodeStep& step, std::size_t number) {
    const std::string n = std::to_string(number);
    line("# Step " + n);
    line("url_" + n + " = " + expression(step.url));
    line("headers_" + n + " = {");
    for (const auto& [name, text] : step.headers) {
      // The browser and cookie jars know cookies themselves; what is given wins where libraries let it.
      line("    " + python_literal(name) + ": " + expression(text) + ",");
    }
    line("}");
    if (step.body) line("data_" + n + " = " + body_expression(*step.body));
    write_call(step, n);
    write_check(step, n);
    for (const CodeValue& value : step.values) line(value.variable + " = " + value_expression(value, number, target_));
  }

  void write_call(const CodeStep& step, const std::string& n) {
    const std::string method = python_literal(step.method);
    const std::string data = step.body ? ", data=data_" + n : "";
    if (target_ == CodeTarget::kAiohttp) {
      line("async with session.request(" + method + ", url_" + n + ", headers=headers_" + n + data +
           ", allow_redirects=False) as response_" + n + ":");
      line("    text_" + n + " = (await response_" + n + ".read()).decode(errors=\"replace\")");
      line("    print(response_" + n + ".status)");
      return;
    }
    if (target_ == CodeTarget::kPlaywright) {
      if (step.page) {
        line("context.set_extra_http_headers({name: value for name, value in headers_" + n +
             ".items() if name.lower() not in (\"accept\", \"cookie\", \"user-agent\")})");
        line("response_" + n + " = page.goto(url_" + n + ", timeout=30000)");
      } else {
        line("response_" + n + " = context.request.fetch(url_" + n + ", method=" + method + ", headers=headers_" + n +
             data + ", max_redirects=0, timeout=30000)");
      }
      line("print(response_" + n + ".status)");
      return;
    }
    line("response_" + n + " = session.request(" + method + ", url_" + n + ", headers=headers_" + n + data +
         ", allow_redirects=False, timeout=30)");
    line("print(response_" + n + ".status_code)");
  }

  const CodePlan& plan_;
  CodeTarget target_;
  std::string out_;
};

}  // namespace

std::string write_python(const CodePlan& plan, CodeTarget target) { return Writer(plan, target).write(); }

}  // namespace sluice::analysis
