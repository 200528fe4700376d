// `sluice traffic` and `sluice call`: the command line's way into a running `serve`, over run/<pid>.sock as `owner`.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "app/commands.h"
#include "app/export_command.h"
#include "app/serve_calls.h"
#include "base/text.h"
#include "tools/tool.h"

namespace sluice::app {
namespace {

std::string text_of(const Json& object, std::string_view key) {
  const Json* value = find_member(object, key);
  if (!value) return "-";
  return value->is_string() ? value->get<std::string>() : dump_json(*value);
}

// What a terminal must not be made to do by a peer's octets.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

void print_line(const Json& exchange) {
  fmt::print("{:>4}  {:<7} {:>6} ms {:>9}  {}  {}\n", text_of(exchange, "status"),
             printable(text_of(exchange, "method")), text_of(exchange, "duration"), text_of(exchange, "responseSize"),
             text_of(exchange, "id"), printable(text_of(exchange, "url")));
}

int list_traffic(const Config& config, const ControlEndpoint& serve) {
  const auto page = call_tool(
      serve, "proxy_list_traffic",
      Json{{"limit", config.limit}, {"offset", -static_cast<std::int64_t>(config.limit)}, {"filter", config.filter}});
  if (!page) return report(page.error());
  if (config.json) {
    fmt::print("{}\n", dump_json(*page, JsonStyle::kIndented));
    return 0;
  }
  if (const Json* exchanges = find_member(*page, "exchanges")) {
    for (const Json& exchange : *exchanges) print_line(exchange);
  }
  return 0;
}

int tail_traffic(const Config& config, const ControlEndpoint& serve) {
  Json arguments{{"limit", 200},
                 {"offset", 0},
                 {"state", Json::array({"done", "failed", "aborted", "dropped"})},
                 {"filter", config.filter}};
  const auto start = call_tool(serve, "proxy_list_traffic", Json{{"limit", 1}, {"offset", -1}});
  if (!start) return report(start.error());
  std::uint64_t rev = 0;
  const auto newest = [&](const Json& page) {
    if (const Json* last = find_member(page, "lastRev"); last && last->is_number())
      rev = std::max(rev, last->get<std::uint64_t>());
  };
  newest(*start);
  for (;;) {
    arguments["after_rev"] = rev;
    const auto page = call_tool(serve, "proxy_list_traffic", arguments);
    if (!page) return report(page.error());
    const Json* exchanges = find_member(*page, "exchanges");
    // All that changed was looked at: what the filter left out is not looked at again.
    if (exchanges && text_of(*page, "total") == std::to_string(exchanges->size())) newest(*page);
    for (const Json& exchange : exchanges ? *exchanges : Json::array()) {
      if (config.json)
        fmt::print("{}\n", dump_json(exchange));
      else
        print_line(exchange);
      if (const Json* at = find_member(exchange, "rev"); at && at->is_number())
        rev = std::max(rev, at->get<std::uint64_t>());
    }
    std::fflush(stdout);
    pollfd closed{STDOUT_FILENO, 0, 0};  // ends when the reader of a pipe does
    if (::poll(&closed, 1, 250) > 0 && (closed.revents & (POLLERR | POLLHUP))) return 0;
  }
}

int print_body(const Config& config, const ControlEndpoint& serve) {
  const std::string key = config.response ? "response" : "request";
  std::uint64_t offset = 0;
  for (;;) {
    const auto answer = call_tool(serve, "proxy_get_exchange",
                                  Json{{"exchange_id", config.subject},
                                       {"include", Json::array({key + "_body"})},
                                       {"offset", offset},
                                       {"limit", kMiB / 2}});
    if (!answer) return report(answer.error());
    const Json* exchange = find_member(*answer, "exchange");
    const Json* message = exchange ? find_member(*exchange, key) : nullptr;
    const Json* body = message ? find_member(*message, "body") : nullptr;
    if (!body) return report({Code::kNotFound, "this exchange has no " + key + " body"});
    std::string octets;
    if (const Json* text = find_member(*body, "text")) octets = text->get<std::string>();
    if (const Json* base64 = find_member(*body, "base64"))
      octets = base64_decode(base64->get<std::string>()).value_or("");
    std::fwrite(octets.data(), 1, octets.size(), stdout);
    const Json* next = find_member(*body, "nextOffset");
    if (!next) return 0;
    offset = next->get<std::uint64_t>();
  }
}

// key=value by the field's type: what is no JSON of that type is a string.
Result<Json> parse_call_arguments(const tools::Tool* tool, const std::vector<std::string>& given) {
  if (given.size() == 1 && given.front().starts_with('{')) return parse_json(given.front());
  Json arguments = Json::object();
  for (const std::string& argument : given) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      return fail(Code::kInvalid, "arguments are key=value, or one JSON object; '" + argument + "' is neither");
    }
    const std::string key = argument.substr(0, equals), value = argument.substr(equals + 1);
    bool is_string = false;
    for (const auto& field : tool ? tool->fields : std::vector<tools::Field>{}) {
      if (field.name == key) is_string = field.type == tools::FieldType::kString;
    }
    const auto json = is_string ? fail(Code::kInvalid, "") : parse_json(value);
    arguments[key] = json ? *json : Json(value);
  }
  return arguments;
}

}  // namespace

int report(const Error& error) {
  fmt::print(stderr, "sluice: {}\n", error.message);
  return error.code == Code::kInvalid ? 2 : 1;
}

int run_traffic(const Config& config) {
  const auto serve = find_serve(config);
  if (!serve) return report(serve.error());
  if (config.action == "tail") return tail_traffic(config, *serve);
  if (config.action == "list") return list_traffic(config, *serve);
  if (config.action == "export") return export_traffic(config, *serve);
  if (config.subject.empty())
    return report({Code::kInvalid, "`sluice traffic " + config.action + "` needs an exchange's id"});
  if (config.action == "body") return print_body(config, *serve);
  const auto answer = call_tool(*serve, "proxy_get_exchange",
                                Json{{"exchange_id", config.subject},
                                     {"include", Json::array({"timings", "connection", "original", "messages"})}});
  if (!answer) return report(answer.error());
  const Json* exchange = find_member(*answer, "exchange");
  fmt::print("{}\n", dump_json(exchange ? *exchange : *answer, JsonStyle::kIndented));
  return 0;
}

int run_call(const Config& config) {
  const std::vector<tools::Tool> known = tools::all_tools();
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const auto& tool) { return tool.name == config.subject; });
  if (found == known.end()) {
    std::vector<std::string_view> names;
    for (const auto& tool : known) names.push_back(tool.name);
    const auto near = nearest(config.subject, names);
    return report({Code::kInvalid, "unknown tool '" + config.subject + "'" +
                                       (near ? "; did you mean " + *near + "?" : "; see `sluice tools`")});
  }
  const auto arguments = parse_call_arguments(&*found, config.arguments);
  if (!arguments) return report(arguments.error());
  const auto serve = find_serve(config);
  if (!serve) return report(serve.error());
  const auto answer = call_tool(*serve, config.subject, *arguments);
  if (!answer) return report({Code::kRefused, answer.error().message});
  fmt::print("{}\n", dump_json(*answer, config.json ? JsonStyle::kCompact : JsonStyle::kIndented));
  return 0;
}

}  // namespace sluice::app
