// What passes between the client and one server each. Lists and the handshake: switchboard_lists.cc.
#include "gateway/switchboard.h"

#include <fmt/format.h>

#include "gateway/era_messages.h"
#include "gateway/relay_rules.h"
#include "mcp/error_map.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kSeparator = "__";
constexpr std::string_view kToken = "progressToken";

mcp::RpcError invalid_params(std::string message) { return {mcp::rpc::kInvalidParams, std::move(message), nullptr}; }

Json* meta_of(Json& params) {
  const auto meta = params.find("_meta");
  return meta != params.end() && meta->is_object() ? &*meta : nullptr;
}

Json error_json(int code, std::string message) { return {{"code", code}, {"message", std::move(message)}}; }

}  // namespace

std::shared_ptr<Switchboard> Switchboard::create(Deps deps) {
  return std::shared_ptr<Switchboard>(new Switchboard(std::move(deps)));
}

Switchboard::Lane Switchboard::add(std::string name) {
  servers_.emplace_back().name = std::move(name);
  return servers_.size() - 1;
}

void Switchboard::connect(Lane lane, std::shared_ptr<LineSession> session) {
  servers_[lane].session = std::move(session);
}

void Switchboard::note(Lane lane, std::string_view text) {
  if (notices_ > kMaxNotices) return;
  deps_.notice(servers_[lane].name, ++notices_ > kMaxNotices ? "and more of the like, which is not said" : text);
}

void Switchboard::too_long() {
  deps_.malformed();
  tell(mcp::write_error(std::nullopt, {mcp::rpc::kInvalidRequest, "the message is larger than the limit", nullptr}));
}

void Switchboard::take(std::string_view line) { take(mcp::parse_spelled_message(line), std::nullopt); }

void Switchboard::take(mcp::Message message, std::optional<mcp::RequestId> as) {
  if (closed_) return;
  if (auto* request = std::get_if<mcp::Request>(&message)) {
    const mcp::RequestId id = as ? *std::move(as) : request->id;
    return on_request(std::move(*request), id);
  }
  if (auto* response = std::get_if<mcp::Response>(&message)) return on_response(std::move(*response));
  if (auto* notification = std::get_if<mcp::Notification>(&message)) return on_notification(std::move(*notification));
  const auto& malformed = std::get<mcp::Malformed>(message);
  deps_.malformed();
  if (!malformed.is_notification) tell(mcp::write_error(malformed.id, malformed.error));
}

void Switchboard::on_request(mcp::Request request, const mcp::RequestId& as) {
  if (serials_.contains(as)) {
    // A10. The one in flight goes on under its id.
    deps_.malformed();
    return tell(mcp::write_error(request.id, {mcp::rpc::kInvalidRequest, "this id is already in flight", nullptr}));
  }
  const std::uint64_t serial = ++last_serial_;
  const bool modern = is_modern_request(request.params);
  requests_[serial] = {as, request.id, modern};
  serials_[as] = serial;
  if (requests_.size() > kMaxInFlight) {
    return refuse(serial, {mcp::rpc::kInternalError, "too many requests are in flight; try again", nullptr});
  }
  if (!hello_.is_null() && modern != modern_) {
    return refuse(serial, {mcp::rpc::kInvalidRequest,
                           modern_ ? "this connection has begun in 2026-07-28 already"
                                   : "this connection has begun with `initialize`: go on without a version",
                           nullptr});
  }
  if (modern) return on_modern(std::move(request), serial);
  if (request.method == "server/discover") return refuse(serial, mcp::method_not_found(request.method));
  if (request.method == "ping") return answer(serial, {false, Json::object()});
  if (request.method == "initialize") return initialize(request, serial);
  route(std::move(request), serial);
}

void Switchboard::route(mcp::Request request, std::uint64_t serial) {
  const std::string& method = request.method;
  if (method == "tools/list" || method == "prompts/list" || method == "resources/list" ||
      method == "resources/templates/list") {
    if (find_member(request.params, "cursor")) return refuse(serial, invalid_params("`cursor` is not valid"));
    return list(method, request.params, serial, to_answer(serial));
  }
  if (method == "tools/call" || method == "prompts/get") {
    const auto found = request.params.find("name");
    if (found == request.params.end() || !found->is_string()) {
      deps_.malformed();
      return refuse(serial, invalid_params("`name` must be a string"));
    }
    Json& name = *found;  // which moves with its request
    return route_named(std::move(request), serial, name);
  }
  if (method == "resources/read" || method == "resources/subscribe" || method == "resources/unsubscribe") {
    return by_uri(std::move(request), serial, false);
  }
  if (method == "completion/complete") return complete(std::move(request), serial);
  if (method == "logging/setLevel") return set_level(request, serial);
  if (is_task_method(method)) return route_task(std::move(request), serial);
  // What nobody knows: nothing says whose it is.
  deps_.unknown();
  refuse(serial, mcp::method_not_found(method));
}

std::optional<Switchboard::Lane> Switchboard::find(std::string_view name) const {
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    if (servers_[lane].name == name) return lane;
  }
  return std::nullopt;
}

// No server's name has the separator in it, so the first one is it. `name` is the request's.
void Switchboard::route_named(mcp::Request request, std::uint64_t serial, Json& name) {
  const std::string whole = name.get<std::string>();
  const std::size_t at = whole.find(kSeparator);
  const auto lane = at == std::string::npos ? std::nullopt : find(std::string_view(whole).substr(0, at));
  if (!lane) {
    deps_.unknown();
    return refuse(serial, invalid_params("no server here has this name before `__`"));
  }
  name = whole.substr(at + kSeparator.size());
  send(*lane, request.method, std::move(request.params), serial, to_answer(serial));
}

// A task is with the server whose session has made its id, and no two have made the same.
void Switchboard::route_task(mcp::Request request, std::uint64_t serial) {
  const bool is_list = request.method == "tasks/list";
  if (!offers_tasks(merged_offers()) || (is_list && modern_)) {
    return refuse(serial, mcp::method_not_found(request.method));
  }
  if (is_list) {
    if (find_member(request.params, "cursor")) return refuse(serial, invalid_params("`cursor` is not valid"));
    return list(request.method, request.params, serial, to_answer(serial));
  }
  const Json* id = find_member(request.params, "taskId");
  for (Lane lane = 0; id && id->is_string() && lane < servers_.size(); ++lane) {
    const auto& session = servers_[lane].session;
    if (!session || !session->has_task(id->get_ref<const std::string&>())) continue;
    return send(lane, request.method, std::move(request.params), serial, to_answer(serial));
  }
  deps_.unknown();
  refuse(serial, invalid_params("Task not found"));
}

void Switchboard::complete(mcp::Request request, std::uint64_t serial) {
  const auto ref = request.params.find("ref");
  if (ref == request.params.end() || !ref->is_object())
    return refuse(serial, invalid_params("`ref` must be an object"));
  if (const auto found = ref->find("name"); found != ref->end() && found->is_string()) {
    Json& name = *found;
    return route_named(std::move(request), serial, name);
  }
  const auto uri = ref->find("uri");
  if (uri == ref->end() || !uri->is_string()) return refuse(serial, invalid_params("`ref` names nothing"));
  const auto owner = owner_of(uri->get_ref<const std::string&>());
  if (!owner) return refuse(serial, invalid_params("no server here has listed this template"));
  send(*owner, request.method, std::move(request.params), serial, to_answer(serial));
}

// Done where one server takes it.
void Switchboard::set_level(const mcp::Request& request, std::uint64_t serial) {
  const std::vector<Lane> lanes = ready_with("logging");
  if (lanes.empty()) return refuse(serial, mcp::method_not_found(request.method));
  struct Told {
    std::size_t left = 0;
    std::optional<Answer> good, bad;
  };
  const auto told = std::make_shared<Told>();
  told->left = lanes.size();
  for (const Lane lane : lanes) {
    send(lane, request.method, request.params, serial, [this, told, serial](Answer one) {
      (one.is_error ? told->bad : told->good) = std::move(one);
      if (--told->left == 0) answer(serial, told->good ? *std::move(told->good) : *std::move(told->bad));
    });
  }
}

void Switchboard::send(Lane lane, std::string_view method, Json params, std::uint64_t serial, Done done) {
  Server& server = servers_[lane];
  const bool handshake = method == "initialize" || method == "server/discover";
  const bool open = server.state == State::kReady || (server.state == State::kOpening && handshake);
  if (!open || !server.session) {
    const char* why = server.state == State::kGone ? "has ended" : "is not ready";
    return done({true, error_json(mcp::rpc::kInternalError, fmt::format("the server {} {}", server.name, why))});
  }
  const std::int64_t id = ++last_sent_;
  sent_[id] = {lane, serial, std::move(done)};
  const std::shared_ptr<LineSession> session = server.session;  // what it answers at once may end it
  session->take(mcp::write_request(mcp::RequestId(id), method, std::move(params)));
}

Switchboard::Done Switchboard::to_answer(std::uint64_t serial) {
  return [this, serial](Answer one) { answer(serial, std::move(one)); };
}

void Switchboard::answer(std::uint64_t serial, Answer answer) {
  const auto found = requests_.find(serial);
  if (closed_ || found == requests_.end()) return;
  const ClientRequest request = found->second;
  requests_.erase(found);
  serials_.erase(request.id);
  listeners_.erase(serial);
  if (answer.is_error) {
    const Json* code = find_member(answer.body, "code");
    const int number = code && code->is_number_integer() ? code->get<int>() : mcp::rpc::kInternalError;
    return deps_.to_client({mcp::write_raw_error(request.shown, std::move(answer.body)), request.id, true, number});
  }
  deps_.to_client({mcp::write_result(request.shown, std::move(answer.body)), request.id, true});
}

std::optional<mcp::RequestId> Switchboard::about(std::uint64_t serial) const {
  const auto found = requests_.find(serial);
  return found == requests_.end() ? std::nullopt : std::optional(found->second.id);
}

void Switchboard::refuse(std::uint64_t serial, const mcp::RpcError& error) {
  Json body = error_json(error.code, error.message);
  if (!error.data.is_null()) body["data"] = error.data;
  answer(serial, {true, std::move(body)});
}

std::vector<Switchboard::Lane> Switchboard::ready_with(std::string_view capability) const {
  std::vector<Lane> lanes;
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    const Server& server = servers_[lane];
    if (server.state == State::kReady && find_member(server.offers, capability)) lanes.push_back(lane);
  }
  return lanes;
}

// --- what the client says besides ---

void Switchboard::on_response(mcp::Response response) {
  const Json id = response.id ? response.id->to_json() : Json(nullptr);
  const auto found = id.is_number_integer() ? asked_.find(id.get<std::int64_t>()) : asked_.end();
  if (found == asked_.end()) return;  // nobody asked
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  const std::shared_ptr<LineSession> session = servers_[asked.lane].session;
  if (!session) return;
  session->take(response.is_error ? mcp::write_raw_error(asked.id, std::move(response.body))
                                  : mcp::write_result(asked.id, std::move(response.body)));
}

void Switchboard::on_notification(mcp::Notification notification) {
  Json& params = notification.params;
  if (notification.method == "notifications/cancelled") return cancel(std::move(params));
  if (notification.method == "notifications/progress") {
    const Json* token = find_member(params, kToken);
    const auto found = token && token->is_number_integer() ? asked_.find(token->get<std::int64_t>()) : asked_.end();
    if (found == asked_.end() || found->second.token.is_null()) return;
    params[std::string(kToken)] = found->second.token;
    if (const auto session = servers_[found->second.lane].session) {
      session->take(mcp::write_notification(notification.method, std::move(params)));
    }
    return;
  }
  ready_ = ready_ || notification.method == "notifications/initialized";
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    const std::shared_ptr<LineSession> session = servers_[lane].session;
    if (servers_[lane].state != State::kReady || !session) continue;
    session->take(mcp::write_notification(notification.method, params));
  }
}

void Switchboard::cancel(Json params) {
  const auto id = mcp::RequestId::from_json(params.contains("requestId") ? params["requestId"] : Json(nullptr));
  const auto found = id ? serials_.find(*id) : serials_.end();
  if (found == serials_.end()) return;
  const std::uint64_t serial = found->second;
  requests_.erase(serial);  // it gets no answer
  serials_.erase(found);
  withdraw(serial, params);
  if (!closed_) deps_.to_client({"", *id, true});
}

void Switchboard::withdraw(const mcp::RequestId& id) {
  const auto found = serials_.find(id);
  if (found == serials_.end()) return;
  const std::uint64_t serial = found->second;
  requests_.erase(serial);
  serials_.erase(found);
  withdraw(serial, Json::object());
}

void Switchboard::withdraw(std::uint64_t serial, const Json& params) {
  listeners_.erase(serial);
  std::erase_if(parked_, [&](const auto& one) { return one.second == serial; });
  std::vector<std::pair<std::int64_t, Lane>> sent;
  for (const auto& [id, one] : sent_) {
    if (one.serial == serial) sent.emplace_back(id, one.lane);
  }
  for (const auto& [id, lane] : sent) {
    sent_.erase(id);
    Json told = params;
    told["requestId"] = id;
    if (const auto session = servers_[lane].session) {
      session->take(mcp::write_notification("notifications/cancelled", std::move(told)));
    }
  }
}

void Switchboard::close() {
  closed_ = true;
  requests_.clear();
  serials_.clear();
  sent_.clear();
  asked_.clear();
  listeners_.clear();
  parked_.clear();
  opening_.reset();
  for (Server& server : servers_) {
    if (server.session) server.session->close();
  }
}

// --- what servers say ---

void Switchboard::from_lane(Lane lane, ToClient out) {
  if (closed_ || out.text.empty()) return;
  mcp::Message message = mcp::parse_spelled_message(out.text);
  if (auto* response = std::get_if<mcp::Response>(&message)) {
    const Json id = response->id ? response->id->to_json() : Json(nullptr);
    const auto found = id.is_number_integer() ? sent_.find(id.get<std::int64_t>()) : sent_.end();
    if (found == sent_.end() || found->second.lane != lane) return;
    const Done done = std::move(found->second.done);
    sent_.erase(found);
    return done({response->is_error, std::move(response->body)});
  }
  const Json given = out.about ? out.about->to_json() : Json(nullptr);
  const auto sent = given.is_number_integer() ? sent_.find(given.get<std::int64_t>()) : sent_.end();
  const bool known = sent != sent_.end() && sent->second.lane == lane;
  const auto of = known ? about(sent->second.serial) : std::nullopt;
  if (auto* request = std::get_if<mcp::Request>(&message)) return ask_client(lane, std::move(*request), of);
  auto* notification = std::get_if<mcp::Notification>(&message);
  if (!notification) return;
  if (known && listeners_.contains(sent->second.serial)) return take_subscribed(std::move(*notification), sent->first);
  if (notification->method == "notifications/cancelled") {
    const Json* taken_back = find_member(notification->params, "requestId");
    const auto id = taken_back ? mcp::RequestId::from_json(*taken_back) : std::nullopt;
    for (auto one = asked_.begin(); id && one != asked_.end(); ++one) {
      if (one->second.lane != lane || one->second.id != *id) continue;
      notification->params["requestId"] = one->first;
      const auto its = one->second.about;
      asked_.erase(one);
      return tell(mcp::write_notification(notification->method, std::move(notification->params)), its);
    }
    return;
  }
  tell(mcp::write_notification(notification->method, std::move(notification->params)), of);
}

void Switchboard::ask_client(Lane lane, mcp::Request request, std::optional<mcp::RequestId> about) {
  const std::shared_ptr<LineSession> session = servers_[lane].session;
  if (asked_.size() >= kMaxAsked) {
    const mcp::RpcError busy{mcp::rpc::kInternalError, "too many requests wait for the client", nullptr};
    if (session) session->take(mcp::write_error(request.id, busy));
    return;
  }
  Asked asked{lane, request.id, nullptr, about};
  const std::int64_t id = ++last_asked_;
  if (Json* meta = meta_of(request.params); meta && find_member(*meta, kToken)) {
    asked.token = (*meta)[std::string(kToken)];
    (*meta)[std::string(kToken)] = id;
  }
  asked_[id] = std::move(asked);
  tell(mcp::write_request(mcp::RequestId(id), request.method, std::move(request.params)), std::move(about));
}

void Switchboard::lane_ended(Lane lane) {
  Server& server = servers_[lane];
  if (closed_ || server.state == State::kGone) return;
  const bool was_ready = server.state == State::kReady;
  server.state = State::kGone;
  const std::shared_ptr<LineSession> session = std::move(server.session);  // it may be what calls
  std::vector<Done> over;
  for (auto one = sent_.begin(); one != sent_.end();) {
    if (one->second.lane == lane) over.push_back(std::move(one->second.done));
    one = one->second.lane == lane ? sent_.erase(one) : std::next(one);
  }
  for (auto one = asked_.begin(); one != asked_.end();) {
    const bool its = one->second.lane == lane;
    if (its) tell(mcp::write_notification("notifications/cancelled", {{"requestId", one->first}}), one->second.about);
    one = its ? asked_.erase(one) : std::next(one);
  }
  std::erase_if(owners_, [lane](const auto& one) { return one.second == lane; });
  std::erase_if(templates_, [lane](const auto& one) { return one.second == lane; });
  for (const Done& done : over) {
    done({true, error_json(mcp::rpc::kInternalError, fmt::format("the server {} has ended", server.name))});
  }
  if (was_ready) tell_of_lists(lane);
}

}  // namespace sluice::gateway
