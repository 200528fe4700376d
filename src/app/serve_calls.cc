#include "app/serve_calls.h"

#include <fmt/format.h>

#include "app/home.h"

namespace sluice::app {

Result<ControlEndpoint> find_serve(const Config& config) {
  SystemFileSystem files;
  SLUICE_TRY(const Home home, Home::open(files, config.home));
  std::vector<RunningServe> running = find_running(files, home);
  if (config.pid != 0) std::erase_if(running, [&](const RunningServe& serve) { return serve.pid != config.pid; });
  if (running.empty()) {
    return fail(Code::kNotFound,
                config.pid != 0
                    ? fmt::format("no `sluice serve` with pid {} runs on {}", config.pid, home.path())
                    : "no `sluice serve` runs on " + home.path() + "; start one, or name its home with --home");
  }
  if (running.size() > 1) {
    fmt::print(stderr, "sluice: {} `serve` run on this home; using the newest, pid {} (--pid chooses)\n",
               running.size(), running.front().pid);
  }
  return ControlEndpoint{running.front().socket, "", 0, "/mcp"};
}

// The tool's result object; a failure's text as an error.
Result<Json> call_tool(const ControlEndpoint& serve, const std::string& tool, Json arguments) {
  SLUICE_TRY(const Json answer,
             call_method(serve, "tools/call", tool, Json{{"name", tool}, {"arguments", std::move(arguments)}}));
  if (const Json* error = find_member(answer, "error")) {
    const Json* message = find_member(*error, "message");
    return fail(Code::kRefused, message && message->is_string() ? message->get<std::string>() : dump_json(*error));
  }
  const Json* result = find_member(answer, "result");
  if (!result) return fail(Code::kInternal, "`sluice serve` gave no result");
  const Json* content = find_member(*result, "content");
  std::string text;
  if (content && content->is_array() && !content->empty()) {
    const Json* first = find_member(content->front(), "text");
    if (first && first->is_string()) text = first->get<std::string>();
  }
  const Json* failed = find_member(*result, "isError");
  if (failed && *failed == true) {
    const auto json = parse_json(text);
    const Json* sentence = json ? find_member(*json, "error") : nullptr;
    return fail(Code::kRefused, sentence && sentence->is_string() ? sentence->get<std::string>() : text);
  }
  if (const Json* structured = find_member(*result, "structuredContent")) return *structured;
  return parse_json(text);
}

}  // namespace sluice::app
