// A client session with a few requests in flight is fed with arbitrary lines. Properties: nothing crashes; each request
// of ours is answered at most once; what is passed on or written is one line of JSON that parses again to the same; a
// message keeps its members, their order and the spelling of their numbers.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "base/json_spelling.h"
#include "base/text.h"
#include "mcp/client_session.h"

namespace sluice::mcp {
namespace {

void require(bool property) {
  if (!property) std::abort();
}

void check_line(const std::string& line) {
  require(line.find('\n') == std::string::npos);
  const auto value = parse_spelled_json(line);
  require(value.has_value() && dump_spelled_json(*value) == line);
}

void check_event(ClientSession& session, ClientSession::Event event, std::set<SentKey>& owed) {
  if (const auto* answered = std::get_if<ClientSession::Answered>(&event)) {
    require(owed.erase(answered->key) == 1);
    require(answered->body.is_object());
    check_line(answered->is_error ? write_raw_error(RequestId(1), answered->body)
                                  : write_result(RequestId(1), answered->body));
  } else if (auto* asked = std::get_if<ClientSession::Asked>(&event)) {
    check_line(write_request(RequestId(1), asked->method, asked->params));
    const auto answer = session.answer(asked->key, Json::object());
    require(answer.has_value());
    check_line(*answer);
  } else if (const auto* progressed = std::get_if<ClientSession::Progressed>(&event)) {
    require(owed.contains(progressed->key));
    check_line(ClientSession::notify("notifications/progress", progressed->params));
  } else if (const auto* notified = std::get_if<ClientSession::Notified>(&event)) {
    check_line(ClientSession::notify(notified->method, notified->params));
  } else if (const auto* ignored = std::get_if<ClientSession::Ignored>(&event)) {
    if (ignored->answer) check_line(*ignored->answer);
  }
}

}  // namespace
}  // namespace sluice::mcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::mcp;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ClientSession session;
  std::set<SentKey> owed;
  for (int i = 0; i < 3; ++i) {
    Json params = Json::object();
    if (i > 0) params["_meta"]["progressToken"] = "t";
    const auto sent = session.request(i == 2 ? "subscriptions/listen" : "tools/call", std::move(params));
    require(sent.has_value());
    owed.insert(sent->key);
  }
  for (const std::string_view line : split(text, '\n')) {
    check_event(session, session.feed(line), owed);
    require(session.in_flight() == owed.size());
  }
  return 0;
}
