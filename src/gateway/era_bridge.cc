#include "gateway/era_bridge.h"

#include <algorithm>
#include <utility>

#include "gateway/era_messages.h"
#include "gateway/era_to_legacy.h"
#include "gateway/era_to_modern.h"
#include "gateway/relay_rules.h"

namespace sluice::gateway {
namespace {

// Errors that only a server of the modern era gives (MCP 2026-07-28 "stdio: Backward Compatibility").
bool is_modern_error(const Json& error) {
  const Json& code = error["code"];
  return code == mcp::rpc::kHeaderMismatch || code == mcp::rpc::kMissingClientCapability ||
         code == mcp::rpc::kUnsupportedVersion;
}

bool speaks_modern(const Json& discovered) {
  const Json* versions = find_member(discovered, "supportedVersions");
  return versions && versions->is_array() &&
         std::find(versions->begin(), versions->end(), Json(era::kModern)) != versions->end();
}

}  // namespace

std::shared_ptr<EraBridge> EraBridge::create(EraLink::Wires wires) {
  return std::shared_ptr<EraBridge>(new EraBridge(std::move(wires)));
}

void EraBridge::note(std::string_view text) {
  if (notices_++ < kMaxNotices) link_.wires().notice(text);
}

void EraBridge::from_relay(std::string text) {
  if (mode_ == Mode::kSame) return link_.to_server(std::move(text));
  if (mode_ == Mode::kLearning) return queue(std::move(text));
  mcp::Message message = mcp::parse_spelled_message(text);
  auto* request = std::get_if<mcp::Request>(&message);
  if (mode_ == Mode::kNew) {
    const bool opens = request && (is_modern_request(request->params) || request->method == "initialize");
    return opens ? begin(std::move(*request), std::move(text)) : link_.to_server(std::move(text));
  }
  if (request) return translator_->on_request(std::move(*request));
  if (auto* response = std::get_if<mcp::Response>(&message)) return translator_->on_response(std::move(*response));
  if (auto* notification = std::get_if<mcp::Notification>(&message)) {
    translator_->on_notification(std::move(*notification));
  }
}

// --- learning ---

void EraBridge::begin(mcp::Request request, std::string text) {
  mode_ = Mode::kLearning;
  opening_ = std::make_unique<Opening>();
  opening_->modern = is_modern_request(request.params);
  opening_->first = std::move(request);
  opening_->until = link_.now() + kProbe;
  const bool handshake = !opening_->modern || opening_->first.method == "server/discover";
  if (handshake) {
    opening_->key = key_of(opening_->first.id);
    return link_.to_server(std::move(text));
  }
  // A legacy server might take any other request for one of its own era.
  Json params = Json::object();
  params["_meta"] = connection_meta(opening_->first.params);
  queue(std::move(text));
  opening_->discover = link_.next();
  link_.ask("server/discover", std::move(params),
            [this](EraLink::Answered answered) { on_first_answer(std::move(answered), ""); });
}

// The server's word on the client's own era; `text`: as it came, if the client is to have it.
void EraBridge::on_first_answer(EraLink::Answered answered, std::string_view text) {
  if (!opening_) return;
  if (!answered.is_error || (opening_->modern && is_modern_error(answered.body))) {
    return pass_unchanged(std::move(answered), text);
  }
  if (opening_->probing) return;  // too late
  opening_->why = std::move(answered);
  if (opening_->why.unsent) return fail_opening();
  if (opening_->modern) return open_session();
  // A server without this era says so. Whatever else goes wrong is the answer.
  if (text.empty() && opening_->why.body["code"] == mcp::rpc::kInternalError) return fail_opening();
  try_modern();
}

void EraBridge::open_session() {
  opening_->probing = true;
  const EraLink::Wires& wires = link_.wires();
  Json params = Json::object();
  params["protocolVersion"] = era::kLegacy;
  const Json* capabilities = meta_member(opening_->first.params, era::kCapabilities);
  params["capabilities"] = capabilities ? without_tasks(*capabilities) : Json::object();
  Json* roots = member_of(params["capabilities"], "roots");
  if (roots && roots->is_object()) roots->erase("listChanged");  // nothing would tell of it
  if (wires.many_clients) {
    const Json modes{{"form", Json::object()}, {"url", Json::object()}};
    params["capabilities"] = {{"sampling", Json::object()}, {"elicitation", modes}, {"roots", Json::object()}};
  }
  const Json* info = meta_member(opening_->first.params, era::kClientInfo);
  params["clientInfo"] = info && !wires.many_clients ? *info : Json{{"name", "sluice"}, {"version", wires.version}};
  link_.ask("initialize", std::move(params), [this](EraLink::Answered answered) {
    if (!opening_) return;  // it turned out to be modern
    if (answered.is_error) return fail_opening();
    link_.notify_server("notifications/initialized");
    translate(std::make_unique<EraToLegacy>(link_, std::move(answered.body)));
  });
}

void EraBridge::try_modern() {
  opening_->probing = true;
  opening_->until = link_.now() + kProbe;
  Json params = Json::object();
  Json& meta = params["_meta"];
  meta[std::string(era::kVersion)] = era::kModern;
  const Json* info = find_member(opening_->first.params, "clientInfo");
  if (info) meta[std::string(era::kClientInfo)] = *info;
  meta[std::string(era::kCapabilities)] = Json::object();
  opening_->discover = link_.next();  // first: a server that is full answers from within, and ends the opening
  link_.ask("server/discover", std::move(params),
            [this](EraLink::Answered answered) { on_discovered(std::move(answered)); });
}

void EraBridge::on_discovered(EraLink::Answered answered) {
  if (!opening_) return;
  if (answered.is_error || !speaks_modern(answered.body)) return fail_opening();
  const mcp::Request hello = std::move(opening_->first);
  translate(std::make_unique<EraToModern>(link_, std::move(answered.body), hello));
}

void EraBridge::pass_unchanged(EraLink::Answered answered, std::string_view text) {
  const auto opening = std::exchange(opening_, nullptr);
  if (!text.empty()) {
    link_.wires().to_relay(text, {});
  } else if (opening->key) {
    link_.pass_error(opening->key, std::move(answered));
  }
  mode_ = Mode::kSame;  // what is said from within comes behind what was said before
  flush();
}

void EraBridge::translate(std::unique_ptr<EraTranslator> translator) {
  const auto opening = std::exchange(opening_, nullptr);
  translator_ = std::move(translator);
  mode_ = Mode::kTranslating;
  note(opening->modern ? "the server speaks 2025-11-25 or before, its client 2026-07-28: the gateway translates"
                       : "the server speaks 2026-07-28, its client what was before: the gateway translates");
  if (opening->modern && opening->key) {
    mcp::Request discover = opening->first;
    translator_->on_request(std::move(discover));
  }
  flush();
}

// The server has neither era: its refusal of the client's own is the answer.
void EraBridge::fail_opening() {
  const Opening opening = std::move(*std::exchange(opening_, nullptr));
  mode_ = Mode::kNew;
  const auto waiting = std::exchange(queue_, {});
  queued_ = 0;
  if (opening.discover) link_.drop(opening.discover);
  EraLink::Answered why = opening.why;
  if (why.body.is_null()) why.body = Json{{"code", mcp::rpc::kInternalError}, {"message", "the server is silent"}};
  if (opening.key) link_.pass_error(opening.key, why);
  for (const std::string& text : waiting) {
    const mcp::Message message = mcp::parse_spelled_message(text);
    const auto* request = std::get_if<mcp::Request>(&message);
    if (request && opening.modern) {
      link_.pass_error(key_of(request->id), why);
    } else if (!opening.modern) {
      from_relay(text);
    }
  }
}

void EraBridge::queue(std::string text) {
  if (queued_ + text.size() <= kMaxQueue) {
    queued_ += text.size();
    queue_.push_back(std::move(text));
    return;
  }
  const mcp::Message message = mcp::parse_message(text);
  const auto* request = std::get_if<mcp::Request>(&message);
  if (!request) return;
  link_.refuse(key_of(request->id), {mcp::rpc::kInternalError, "the server is not ready; try again", nullptr});
}

void EraBridge::flush() {
  queued_ = 0;
  for (std::string& text : std::exchange(queue_, {})) from_relay(std::move(text));
}

// --- the server's side ---

void EraBridge::from_server(std::string_view text, mcp::SentKey on) {
  if (mode_ == Mode::kSame || mode_ == Mode::kNew) return link_.wires().to_relay(text, on);
  mcp::Message message = mcp::parse_spelled_message(text);
  if (auto* response = std::get_if<mcp::Response>(&message)) {
    const mcp::SentKey key = response->id ? key_of(*response->id) : mcp::SentKey{};
    if (EraLink::is_own(key) || mode_ == Mode::kTranslating) {
      link_.take(std::move(*response));  // what nobody waits for is dropped
      return;
    }
    const bool first = opening_ && opening_->key && key == opening_->key;
    const bool sound = response->body.is_object() &&
                       (!response->is_error || (response->body.contains("code") && response->body.contains("message")));
    if (!first || !sound) return link_.wires().to_relay(text, on);
    return on_first_answer({key, response->is_error, std::move(response->body)}, text);
  }
  if (mode_ == Mode::kLearning) return link_.wires().to_relay(text, on);
  if (auto* request = std::get_if<mcp::Request>(&message))
    return translator_->on_server_request(std::move(*request), on);
  if (auto* notification = std::get_if<mcp::Notification>(&message)) {
    return translator_->on_server_notification(std::move(*notification), on);
  }
  const auto& malformed = std::get<mcp::Malformed>(message);
  note("the server's line is no message: " + malformed.error.message);
  if (malformed.id && !malformed.is_notification) link_.refuse_server(*malformed.id, malformed.error);
}

void EraBridge::lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
  if (EraLink::is_own(key)) return link_.lose(key, error, unsent);
  if (!opening_ || !opening_->key || key != opening_->key) return link_.wires().lost(key, error, unsent);
  on_first_answer({key, true, {{"code", error.code}, {"message", error.message}}, unsent}, "");
}

// Whose answer it was nobody knows.
void EraBridge::too_long() {
  link_.lose_all({mcp::rpc::kInternalError, "an answer of the server is longer than 64 MiB", nullptr},
                 EraLink::Which::kAnswered);
}

void EraBridge::session_lost() {
  if (!translator_) return;
  link_.lose_all({mcp::rpc::kInternalError, "the server has ended the session", nullptr}, EraLink::Which::kAll);
  translator_->end();
  translator_.reset();
  mode_ = Mode::kNew;
}

void EraBridge::tick() {
  if (translator_) return translator_->tick();
  if (!opening_ || opening_->until > link_.now()) return;
  if (opening_->modern && !opening_->probing) return open_session();
  if (!opening_->modern && opening_->probing) fail_opening();
}

}  // namespace sluice::gateway
