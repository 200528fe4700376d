// Scripts for bash and curl.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/code_plan.h"
#include "analysis/shell_quote.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::string_view kEncodeHelpers = R"sh(
escaped() {
  local LC_ALL=C text=$1 out= c n i
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in
      [A-Za-z0-9._~-]) out+=$c ;;
      *) printf -v n '%d' "'$c"; printf -v c '%%%02X' $((n & 255)); out+=$c ;;
    esac
  done
  printf %s "$out"
}

in_json() {
  local LC_ALL=C text=$1 out= c n i
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in
      [\"\\]) out+="\\$c" ;;
      [[:cntrl:]]) printf -v n '%d' "'$c"; printf -v c '\\u%04x' "$n"; out+=$c ;;
      *) out+=$c ;;
    esac
  done
  printf %s "$out"
}
)sh";

// What an answer was: FILE has its body, FILE.head its head.
constexpr std::string_view kAnswerHelpers = R"sh(
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT

status() {
  local version code rest last=
  while IFS=' ' read -r version code rest; do
    case $version in HTTP/*) last=${code%$'\r'} ;; esac
  done < "$1.head"
  printf %s "$last"
}

field() {
  local line
  while IFS= read -r line; do
    line=${line%$'\r'}
    [ "${line%%:*}" != "$line" ] || continue
    local name=${line%%:*}
    [ "${name,,}" = "${2,,}" ] || continue
    line=${line#*:}
    printf %s "${line#"${line%%[! ]*}"}"
    return
  done < "$1.head"
  echo "The answer has another shape." >&2
  return 1
}

cookie() {
  local line
  while IFS= read -r line; do
    line=${line%$'\r'}
    case ${line,,} in set-cookie:*) ;; *) continue ;; esac
    line=${line#*:}
    line=${line# }
    line=${line%%;*}
    [ "${line%%=*}" = "$2" ] || continue
    printf %s "${line#*=}"
    return
  done < "$1.head"
  echo "The answer has another shape." >&2
  return 1
}
)sh";

constexpr std::string_view kJsonHelper = R"sh(
pick() {
  python3 -c '
import json, sys
value = json.load(open(sys.argv[1], "rb"))
for step in sys.argv[2:]:
    value = value[int(step)] if isinstance(value, list) else value[step]
sys.stdout.write(value)
' "$@"
}
)sh";

constexpr std::string_view kPageHelper = R"sh(
attribute() {
  python3 -c '
import html.parser, sys
path, element, key, key_value, name = sys.argv[1:]
found = []
class Finder(html.parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == element and given.get(key) == key_value and name in given:
            found.append(given[name] or "")
Finder().feed(open(path, encoding="utf-8", errors="replace").read())
sys.stdout.write(found[0])
' "$@"
}
)sh";

std::string shell_part(const CodePart& part) {
  if (part.kind == CodePart::kLiteral) return shell_quote(part.text);
  const std::string value = "\"$" + part.text + "\"";
  if (part.encode == CodePart::kUrl) return "\"$(escaped " + value + ")\"";
  if (part.encode == CodePart::kJson) return "\"$(in_json " + value + ")\"";
  return value;
}

std::string shell_text(const CodeText& text) {
  std::string all;
  for (const CodePart& part : text) all += shell_part(part);
  return all.empty() ? "''" : all;
}

bool holds_nul(const CodeText& text) {
  return std::any_of(text.begin(), text.end(),
                     [](const CodePart& part) { return part.text.find('\0') != std::string::npos; });
}

// No word holds a NUL.
std::string shell_octets(const CodeText& text) {
  std::string all;
  for (const CodePart& part : text) {
    all += part.kind == CodePart::kLiteral ? "echo " + shell_quote(base64_encode(part.text)) + " | base64 -d; "
                                           : "printf %s " + shell_part(part) + "; ";
  }
  return "@<(" + all + ")";
}

std::string value_command(const CodeValue& value, std::size_t number) {
  const Place& place = value.place;
  const std::string file = fmt::format("\"$answers/{}\"", number);
  if (place.kind == PlaceKind::kCookie) return "cookie " + file + " " + shell_quote(place.name);
  if (place.kind == PlaceKind::kHeader) return "field " + file + " " + shell_quote(place.name);
  if (place.kind == PlaceKind::kHtml) {
    return "attribute " + file + " " + shell_quote(place.element) + " " + shell_quote(place.key) + " " +
           shell_quote(place.key_value) + " " + shell_quote(place.name);
  }
  std::string command = "pick " + file;
  for (const std::string& step : place.pointer) command += " " + shell_quote(step);
  return command;
}

void write_check(std::string& out, const CodeStep& step, std::size_t number) {
  std::string right;
  if (step.expected_status != 0)
    right = fmt::format("[ \"$(status \"$answers/{}\")\" = {} ]", number, step.expected_status);
  if (!step.expected_text.empty()) {
    right += right.empty() ? "" : " && ";
    right += fmt::format("[[ $(<\"$answers/{}\") == *{}* ]]", number, shell_quote(step.expected_text));
  }
  out += fmt::format("{{ {}; }} || {{ echo \"{}\" >&2; exit 1; }}\n", right, kSessionIsOver);
}

void write_step(std::string& out, const CodeStep& step, std::size_t number) {
  const bool kept = !step.values.empty() || step.is_check();
  out += fmt::format("# Step {}\ncurl --silent --show-error --globoff --compressed --max-time 30", number);
  out += step.method == "HEAD" ? " --head" : " --request " + shell_quote(step.method);
  if (kept) out += fmt::format(" \\\n  --output \"$answers/{}\" --dump-header \"$answers/{}.head\"", number, number);
  for (const auto& [name, text] : step.headers) {
    const bool empty = text.empty();
    out += " \\\n  --header " + (empty ? shell_quote(name + ";") : shell_quote(name + ": ") + shell_text(text));
  }
  if (step.body && holds_nul(*step.body))
    out += " \\\n  --data-binary " + shell_octets(*step.body);
  else if (step.body)
    out += " \\\n  --data-raw " + shell_text(*step.body);
  out += " \\\n  --url " + shell_text(step.url) + "\n";
  if (!kept) return;
  out += fmt::format("cat \"$answers/{}\"\n", number);
  if (step.is_check()) write_check(out, step, number);
  for (const CodeValue& value : step.values) out += value.variable + "=$(" + value_command(value, number) + ")\n";
}

}  // namespace

std::string write_curl(const CodePlan& plan) {
  const bool python = plan.has(PlaceKind::kJson) || plan.has(PlaceKind::kHtml);
  std::string out = "#!/bin/bash\n# curl keeps the order of these fields.\n";
  if (python) out += "# Needs: python3, which takes values out of answers.\n";
  out += "set -eu\n";
  for (const std::string& name : plan.environment)
    out += "# Set the environment variable " + name + ".\n: \"${" + name + ":?}\"\n";
  const auto keeps = [](const CodeStep& step) { return !step.values.empty() || step.is_check(); };
  if (plan.has(CodePart::kUrl) || plan.has(CodePart::kJson)) out += kEncodeHelpers;
  if (std::any_of(plan.steps.begin(), plan.steps.end(), keeps)) out += kAnswerHelpers;
  if (plan.has(PlaceKind::kJson)) out += kJsonHelper;
  if (plan.has(PlaceKind::kHtml)) out += kPageHelper;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) write_step(out, plan.steps[i], i + 1);
  return out;
}

}  // namespace sluice::analysis
