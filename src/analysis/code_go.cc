// Programs in Go.
#include <fmt/format.h>

#include "analysis/code_plan.h"

namespace sluice::analysis {
namespace {

std::string go_part(const CodePart& part) {
  if (part.kind == CodePart::kLiteral) return go_literal(part.text);
  std::string value = part.kind == CodePart::kEnvironment ? "os.Getenv(\"" + part.text + "\")" : part.text;
  if (part.encode == CodePart::kUrl) return "escaped(" + value + ")";
  if (part.encode == CodePart::kJson) return "inJSON(" + value + ")";
  return value;
}

std::string go_value(const CodeValue& value, std::size_t number) {
  const Place& place = value.place;
  if (place.kind == PlaceKind::kCookie) return fmt::format("cookie(response{}, {})", number, go_literal(place.name));
  if (place.kind == PlaceKind::kHeader) return fmt::format("response{}.Header.Get({})", number, go_literal(place.name));
  if (place.kind == PlaceKind::kHtml) {
    return fmt::format("attribute(body{}, {}, {}, {}, {})", number, go_literal(place.element), go_literal(place.key),
                       go_literal(place.key_value), go_literal(place.name));
  }
  std::string steps;
  for (const std::string& step : place.pointer) steps += ", " + go_literal(step);
  return fmt::format("pick(body{}{})", number, steps);
}

constexpr std::string_view kGoHelpers = R"go(
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func inJSON(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted[1 : len(quoted)-1])
}

func pick(body []byte, steps ...string) string {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		log.Fatal(err)
	}
	for _, step := range steps {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[step]
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index >= len(inner) {
				log.Fatal("the answer has another shape")
			}
			value = inner[index]
		}
	}
	return fmt.Sprint(value)
}

func cookie(response *http.Response, name string) string {
	for _, each := range response.Cookies() {
		if each.Name == name {
			return each.Value
		}
	}
	return ""
}

var tags = regexp.MustCompile(`<([a-zA-Z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>`)
var attributes = regexp.MustCompile(`([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)

func attribute(page []byte, element, key, keyValue, name string) string {
	for _, tag := range tags.FindAllSubmatch(page, -1) {
		if strings.ToLower(string(tag[1])) != element {
			continue
		}
		given := map[string]string{}
		for _, each := range attributes.FindAllSubmatch(tag[2], -1) {
			lower := strings.ToLower(string(each[1]))
			if _, there := given[lower]; !there {
				given[lower] = html.UnescapeString(string(each[2]) + string(each[3]) + string(each[4]))
			}
		}
		if value, there := given[name]; there && given[key] == keyValue {
			return value
		}
	}
	log.Fatal("the page has another shape")
	return ""
}

func send(client *http.Client, method, target string, headers [][2]string, body string) (*http.Response, []byte) {
	request, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	for _, field := range headers {
		request.Header[field[0]] = append(request.Header[field[0]], field[1])
	}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode)
	return response, answer
}

// Imports that not every program needs.
var _, _, _, _ = os.Getenv, strconv.Atoi, escaped, inJSON
var _, _, _ = pick, cookie, attribute

)go";

std::string go_check(const CodeStep& step, std::size_t n) {
  std::string wrong;
  if (step.expected_status != 0) wrong = fmt::format("response{}.StatusCode != {}", n, step.expected_status);
  if (!step.expected_text.empty()) {
    wrong += wrong.empty() ? "" : " || ";
    wrong += fmt::format("!strings.Contains(string(body{}), {})", n, go_literal(step.expected_text));
  }
  return fmt::format("\tif {} {{\n\t\tlog.Fatal(\"{}\")\n\t}}\n", wrong, kSessionIsOver);
}

}  // namespace

std::string write_go(const CodePlan& plan) {
  std::string out = "// Run: go run FILE.go\n// Go chooses the order of header fields.\n";
  out += environment_comments(plan);
  out += "package main\n\nimport (\n";
  for (const char* name :
       {"encoding/json", "fmt", "html", "io", "log", "net/http", "net/url", "os", "regexp", "strconv", "strings"})
    out += fmt::format("\t\"{}\"\n", name);
  out += ")\n";
  out += kGoHelpers;
  out +=
      "func main() {\n\tclient := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return "
      "http.ErrUseLastResponse }}\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const CodeStep& step = plan.steps[i];
    const std::size_t n = i + 1;
    bool cookies = false, members = false;
    for (const CodeValue& value : step.values) {
      const bool head = value.place.kind == PlaceKind::kCookie || value.place.kind == PlaceKind::kHeader;
      (head ? cookies : members) = true;
    }
    cookies |= step.expected_status != 0;
    members |= !step.expected_text.empty();
    out += fmt::format("\t// Step {}\n\theaders{} := [][2]string{{\n", n, n);
    for (const auto& [name, text] : step.headers)
      out += fmt::format("\t\t{{{}, {}}},\n", go_literal(name), joined(text, go_part, "\"\""));
    out += "\t}\n";
    const std::string call =
        fmt::format("send(client, {}, {}, headers{}, {})", go_literal(step.method), joined(step.url, go_part, "\"\""),
                    n, step.body ? joined(*step.body, go_part, "\"\"") : "\"\"");
    if (cookies || members)
      out += fmt::format("\t{}, {} := {}\n", cookies ? fmt::format("response{}", n) : "_",
                         members ? fmt::format("body{}", n) : "_", call);
    else
      out += "\t" + call + "\n";
    if (step.is_check()) out += go_check(step, n);
    for (const CodeValue& value : step.values) out += "\t" + value.variable + " := " + go_value(value, n) + "\n";
  }
  return out + "}\n";
}

}  // namespace sluice::analysis
