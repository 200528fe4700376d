// A session is fed with arbitrary lines, and its operations end in every way. Properties: nothing crashes; every
// request with a readable id gets exactly one answer under that id, unless it was cancelled, and then none; what is
// written is one line of well-formed JSON.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/text.h"
#include "mcp/http_rules.h"
#include "mcp/server_session.h"

namespace sluice::mcp {
namespace {

void require(bool property) {
  if (!property) std::abort();
}

// One session with what is owed to its client.
class Conversation {
 public:
  Conversation(const ServerProfile& profile, Scope scope) : session_(profile, scope) {}

  void feed(std::string_view line) {
    const Message message = parse_message(line);
    const auto* request = std::get_if<Request>(&message);
    Step step = session_.feed(message);
    require(!(step.answer && step.operation));
    if (request) {
      require(step.answer.has_value() != step.operation.has_value());
      if (step.answer) expect_answer(step.answer->text, request->id);
    } else {
      require(!step.operation);
      if (step.answer) check_line(step.answer->text);
    }
    for (const OperationKey key : step.cancelled) require(owed_.erase(key) == 1);
    if (step.operation) begin(*step.operation, line.size());
    for (const Change::What what : {Change::What::kToolList, Change::What::kResource}) {
      for (const Notice& notice : session_.notify(Change{what, "a:b"})) check_line(notice.text);
    }
    require(session_.in_flight() == owed_.size());
  }

  void finish() {
    while (!owed_.empty()) end(owed_.begin()->first, owed_.size());
    require(session_.close().empty());
  }

 private:
  void begin(const Operation& operation, std::size_t choice) {
    owed_.emplace(operation.key, operation.id);
    if (const auto* listen = std::get_if<Listen>(&operation.body)) {
      const auto acknowledged = session_.accept_listen(operation.key, listen->filter);
      require(acknowledged.has_value());
      check_line(*acknowledged);
    }
    const auto progress = session_.progress(operation.key, static_cast<double>(choice), 7.5, "working");
    require(progress.has_value() == operation.context.wants_progress);
    if (progress) check_line(*progress);
    require(!session_.progress(operation.key, static_cast<double>(choice)));
    if (choice % 3 == 0) end(owed_.begin()->first, choice);
  }

  void end(OperationKey key, std::size_t choice) {
    const RequestId id = owed_.at(key);
    owed_.erase(key);
    std::optional<Answer> answer;
    if (choice % 2 == 0) {
      answer = session_.complete(key, fail(Code::kNotFound, "no"));
    } else {
      Json result = Json::object();
      for (const char* list : {"tools", "resources", "resourceTemplates", "prompts", "contents"}) {
        result[list] = Json::array({Json::object(), Json::object()});
      }
      answer = session_.complete(key, std::move(result));
    }
    require(answer.has_value());
    expect_answer(answer->text, id);
    require(!session_.complete(key, Json::object()));
  }

  static void check_line(std::string_view text) {
    require(text.find('\n') == std::string_view::npos);
    require(is_utf8(text));
    require(!std::holds_alternative<Malformed>(parse_message(text, JsonLimits{.max_depth = 80})));
  }
  static void expect_answer(std::string_view text, const RequestId& id) {
    check_line(text);
    const Message message = parse_message(text, JsonLimits{.max_depth = 80});
    const auto* response = std::get_if<Response>(&message);
    require(response && response->id == id);
  }

  ServerSession session_;
  std::map<OperationKey, RequestId> owed_;
};

void check_http(std::string_view line, std::string_view version) {
  const HeaderField fields[] = {{"Content-Type", "application/json"},
                                {"Accept", "*/*"},
                                {"MCP-Protocol-Version", version},
                                {"Mcp-Method", "tools/call"},
                                {"Mcp-Name", line.substr(0, 64)}};
  const auto head = read_http_head("POST", fields);
  if (!head) return;
  const auto route = route_post(*head, parse_message(line));
  require(route || (route.error().status >= 400 && parse_json(route.error().body)));
}

}  // namespace
}  // namespace sluice::mcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::mcp;
  ServerProfile profile;
  profile.server_info["name"] = "sluice";
  profile.capabilities.tools_list_changed = true;
  profile.capabilities.prompts = true;
  profile.capabilities.logging = size % 2 == 0;
  profile.cursor_key.octets = {1, 2};
  profile.page_size = 1;
  profile.max_in_flight = 8;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The length chooses, so that the seeds stay plain text.
  const Scope scope = size % 5 == 0 ? Scope::kLegacyHttp : size % 5 == 1 ? Scope::kModernHttp : Scope::kStdio;
  Conversation conversation(profile, scope);
  for (const std::string_view line : sluice::split(text, '\n')) {
    conversation.feed(line);
    if (scope == Scope::kModernHttp) check_http(line, size % 3 == 0 ? "2026-07-28" : "2025-11-25");
  }
  conversation.finish();
  return 0;
}
