// The relays' side of a shared server. The server's: shared_server_events.cc.
#include "gateway/shared_server.h"

#include <algorithm>
#include <utility>

#include "gateway/era_messages.h"
#include "mcp/error_map.h"

namespace sluice::gateway {
namespace {

// What any client may be asked; who cannot be is refused for in its place.
const char* const kCapabilities = R"({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}})";

Json token_of(const Json& params) {
  const Json* meta = find_member(params, "_meta");
  const Json* token = meta ? find_member(*meta, "progressToken") : nullptr;
  return token ? *token : Json(nullptr);
}

std::string uri_of(const Json& params) {
  const Json* uri = find_member(params, "uri");
  return uri && uri->is_string() ? uri->get<std::string>() : "";
}

}  // namespace

class SharedServer::Part final : public Upstream {
 public:
  Part(std::shared_ptr<SharedServer> server, Number number) : server_(std::move(server)), number_(number) {}
  ~Part() override {
    if (!closed_) server_->leave(number_, [] {});
  }
  void send(std::string message) override {
    if (!closed_) server_->take(number_, message);
  }
  ByteCount pending() const override { return closed_ ? 0 : server_->upstream_->pending(); }
  // The others are not slow.
  void hold_reading(bool) override {}
  void close(std::function<void()> gone) override {
    if (!std::exchange(closed_, true)) server_->leave(number_, std::move(gone));
  }

 private:
  const std::shared_ptr<SharedServer> server_;
  const Number number_;
  bool closed_ = false;
};

Result<std::shared_ptr<SharedServer>> SharedServer::create(Options options, const Connect& connect) {
  std::shared_ptr<SharedServer> made(new SharedServer(std::move(options)));
  SLUICE_TRY(made->upstream_, connect(made->events()));
  return made;
}

std::shared_ptr<Upstream> SharedServer::join(UpstreamEvents events) {
  Member& member = members_[++last_];
  member.events = std::move(events);
  if (hears_) member.events.hears(true);
  return std::make_shared<Part>(shared_from_this(), last_);
}

void SharedServer::each(const std::function<void(Number, Member&)>& tell) {
  std::vector<Number> numbers;
  for (const auto& [number, unused] : members_) numbers.push_back(number);
  for (const Number number : numbers) {
    if (const auto found = members_.find(number); found != members_.end()) tell(number, found->second);
  }
}

void SharedServer::to_server(std::optional<std::string> text) {
  if (text && !ended_) upstream_->send(*std::move(text));
}

void SharedServer::say(Number number, std::string_view text, mcp::SentKey on) {
  if (const auto found = members_.find(number); found != members_.end()) found->second.events.message(text, on);
}

void SharedServer::answer(Number number, const mcp::RequestId& id, Json result) {
  say(number, mcp::write_result(id, std::move(result)), key_of(id));
}

void SharedServer::refuse(Number number, const mcp::RequestId& id, const mcp::RpcError& error) {
  say(number, mcp::write_error(id, error), key_of(id));
}

void SharedServer::take(Number number, std::string_view text) {
  if (ended_) return;
  mcp::Message message = mcp::parse_spelled_message(text);
  if (auto* request = std::get_if<mcp::Request>(&message)) return on_request(number, std::move(*request));
  if (auto* response = std::get_if<mcp::Response>(&message)) return on_response(number, std::move(*response));
  if (auto* notice = std::get_if<mcp::Notification>(&message)) on_notification(number, std::move(*notice));
}

void SharedServer::on_request(Number number, mcp::Request request) {
  const std::string& method = request.method;
  if (is_task_method(method)) return refuse(number, request.id, mcp::method_not_found(method));
  if (meta_member(request.params, era::kVersion)) return forward(number, std::move(request));
  if (method == "initialize") return open(number, request);
  if (method == "ping") return answer(number, request.id, Json::object());
  if (method == "logging/setLevel") return set_level(number, std::move(request));
  if (method == "resources/subscribe") return subscribe(number, std::move(request));
  if (method == "resources/unsubscribe") return unsubscribe(number, std::move(request));
  forward(number, std::move(request));
}

void SharedServer::forward(Number number, mcp::Request request, std::string subscribes) {
  request.params.erase("task");
  Sent one{number, request.id, token_of(request.params), std::move(subscribes),
           request.method == "subscriptions/listen"};
  auto sent = session_.request(request.method, std::move(request.params));
  if (!sent) {
    return refuse(number, request.id,
                  {mcp::rpc::kInternalError, "too many requests wait for this server's answers", nullptr});
  }
  sent_.emplace(sent->key, std::move(one));
  to_server(std::move(sent->text));
}

// --- the session, which all of the legacy era have together ---

void SharedServer::open(Number number, const mcp::Request& request) {
  const Json* declared = find_member(request.params, "capabilities");
  members_.at(number).capabilities = declared ? *declared : Json::object();
  if (state_ == State::kOpen) return answer(number, request.id, hello_);
  waiting_.emplace_back(number, request.id);
  if (state_ == State::kOpening) return;
  state_ = State::kOpening;
  Json params = request.params;
  params["capabilities"] = parse_json(kCapabilities).value();
  params["clientInfo"] = {{"name", "sluice-gateway"}, {"version", options_.version}};
  params.erase("_meta");
  auto sent = session_.request("initialize", std::move(params));
  if (!sent) return lost({}, {mcp::rpc::kInternalError, "the server cannot be opened", nullptr}, true);
  opening_ = sent->key;
  to_server(std::move(sent->text));
}

void SharedServer::opened(mcp::ClientSession::Answered answered) {
  opening_ = {};
  state_ = answered.is_error ? State::kNew : State::kOpen;
  if (!answered.is_error) {
    hello_ = std::move(answered.body);
    if (Json* offers = member_of(hello_, "capabilities")) *offers = without_tasks(std::move(*offers));
    to_server(mcp::ClientSession::notify("notifications/initialized", Json::object()));
  }
  for (const auto& [number, id] : std::exchange(waiting_, {})) {
    if (!answered.is_error) {
      answer(number, id, hello_);
    } else {
      say(number, mcp::write_raw_error(id, answered.body), key_of(id));
    }
  }
}

// The server says what any of them wants to hear; each is told what it wants itself.
void SharedServer::set_level(Number number, mcp::Request request) {
  const Json* named = find_member(request.params, "level");
  const auto level = named ? rank_of_level(*named) : std::nullopt;
  if (!level) return forward(number, std::move(request));  // to be refused in the server's own words
  members_.at(number).level = level;
  if (level_ && *level_ <= *level) return answer(number, request.id, Json::object());
  level_ = level;
  forward(number, std::move(request));
}

bool SharedServer::is_subscribed(const std::string& uri) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const auto& member) { return member.second.uris.contains(uri); });
}

void SharedServer::subscribe(Number number, mcp::Request request) {
  const std::string uri = uri_of(request.params);
  if (!is_subscribed(uri)) return forward(number, std::move(request), uri);
  members_.at(number).uris.insert(uri);
  answer(number, request.id, Json::object());
}

void SharedServer::unsubscribe(Number number, mcp::Request request) {
  const std::string uri = uri_of(request.params);
  members_.at(number).uris.erase(uri);
  if (!is_subscribed(uri)) return forward(number, std::move(request));
  answer(number, request.id, Json::object());
}

void SharedServer::on_response(Number number, mcp::Response response) {
  const Json id = response.id ? response.id->to_json() : Json(nullptr);
  const mcp::AskedKey key{id.is_number_unsigned() || id.is_number_integer() ? id.get<std::uint64_t>() : 0};
  const auto found = asked_.find(key);
  if (found == asked_.end() || found->second.member != number) return;  // it was not asked
  asked_.erase(found);
  to_server(response.is_error ? session_.refuse(key, std::move(response.body))
                              : session_.answer(key, std::move(response.body)));
}

void SharedServer::on_notification(Number number, mcp::Notification notification) {
  Json& params = notification.params;
  if (notification.method == "notifications/cancelled") {
    const auto id = mcp::RequestId::from_json(params.value("requestId", Json(nullptr)));
    for (const auto& [key, one] : sent_) {
      if (!id || one.member != number || one.id != *id) continue;
      const mcp::SentKey own = key;
      sent_.erase(own);
      params.erase("requestId");
      return to_server(session_.cancel(own, std::move(params)));
    }
    return;
  }
  if (notification.method != "notifications/progress") return;  // the others are about its client, who is one of many
  const Json* token = find_member(params, "progressToken");
  for (const auto& [key, one] : asked_) {
    if (!token || one.member != number || one.token.is_null() || one.token != *token) continue;
    return to_server(mcp::ClientSession::notify(notification.method, std::move(params)));
  }
}

void SharedServer::leave(Number number, std::function<void()> gone) {
  const auto found = members_.find(number);
  if (found == members_.end()) return gone();
  const Member member = std::move(found->second);
  members_.erase(found);
  std::erase_if(waiting_, [&](const auto& one) { return one.first == number; });
  std::vector<mcp::SentKey> sent;
  for (const auto& [key, one] : sent_) {
    if (one.member == number) sent.push_back(key);
  }
  for (const mcp::SentKey key : sent) {
    sent_.erase(key);
    to_server(session_.cancel(key));
  }
  std::vector<mcp::AskedKey> asked;
  for (const auto& [key, one] : asked_) {
    if (one.member == number) asked.push_back(key);
  }
  for (const mcp::AskedKey key : asked) {
    asked_.erase(key);
    to_server(session_.refuse(key, mcp::RpcError{mcp::rpc::kInternalError, "the client has left", nullptr}));
  }
  if (members_.empty()) {
    ended_ = true;
    return upstream_->close([self = shared_from_this(), gone = std::move(gone)] { gone(); });
  }
  for (const std::string& uri : member.uris) {
    if (is_subscribed(uri)) continue;
    // Nobody waits for the answer.
    if (auto over = session_.request("resources/unsubscribe", {{"uri", uri}})) to_server(std::move(over->text));
  }
  gone();
}

Result<std::shared_ptr<Upstream>> SharedServers::join(const std::string& name, SharedServer::Options options,
                                                      const SharedServer::Connect& connect, UpstreamEvents events) {
  std::erase_if(servers_, [](const auto& one) { return one.second.expired(); });
  if (const auto found = servers_.find(name); found != servers_.end()) {
    const auto server = found->second.lock();
    if (server && !server->has_ended()) return server->join(std::move(events));
  }
  if (servers_.size() >= kMax) return fail(Code::kUnavailable, "There are too many servers.");
  SLUICE_TRY(const auto server, SharedServer::create(std::move(options), connect));
  servers_[name] = server;
  return server->join(std::move(events));
}

}  // namespace sluice::gateway
