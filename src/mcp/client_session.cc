#include "mcp/client_session.h"

#include <utility>

#include "mcp/meta.h"

namespace sluice::mcp {
namespace {

constexpr std::string_view kProgressToken = "progressToken";

Json* object_member(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

Json take_member(Json& object, std::string_view key) {
  Json* found = object_member(object, key);
  if (!found) return nullptr;
  Json taken = std::move(*found);
  object.erase(std::string(key));
  return taken;
}

bool is_error_object(const Json& error) {
  const Json* code = find_member(error, "code");
  const Json* message = find_member(error, "message");
  return code && code->is_number_integer() && message && message->is_string();
}

}  // namespace

Result<ClientSession::Sent> ClientSession::request(std::string_view method, Json params) {
  if (sent_.size() >= limits_.max_in_flight) {
    return fail(Code::kUnavailable, "too many requests wait for this server's answers; try again");
  }
  const std::int64_t id = ++last_sent_;
  bool progress = false;
  if (Json* all = object_member(params, "_meta")) {
    if (Json* token = object_member(*all, kProgressToken)) {
      *token = id;
      progress = true;
    }
  }
  sent_.emplace(id, progress);
  return Sent{SentKey{static_cast<std::uint64_t>(id)}, write_request(RequestId(id), method, std::move(params))};
}

std::optional<std::string> ClientSession::cancel(SentKey key, Json params) {
  if (sent_.erase(static_cast<std::int64_t>(key.value)) == 0) return std::nullopt;
  params["requestId"] = key.value;
  return write_notification("notifications/cancelled", std::move(params));
}

std::optional<ClientSession::AskedRequest> ClientSession::take(AskedKey key) {
  const auto found = asked_.find(key);
  if (found == asked_.end()) return std::nullopt;
  AskedRequest asked = std::move(found->second);
  asked_by_id_.erase(asked.id);
  asked_.erase(found);
  return asked;
}

std::optional<std::string> ClientSession::answer(AskedKey key, Json result) {
  const auto asked = take(key);
  if (!asked) return std::nullopt;
  return write_result(asked->id, std::move(result));
}

std::optional<std::string> ClientSession::refuse(AskedKey key, const RpcError& error) {
  const auto asked = take(key);
  if (!asked) return std::nullopt;
  return write_error(asked->id, error);
}

std::optional<std::string> ClientSession::refuse(AskedKey key, Json error) {
  const auto asked = take(key);
  if (!asked) return std::nullopt;
  return write_raw_error(asked->id, std::move(error));
}

bool ClientSession::awaits_progress(const Json& token) const {
  if (token.is_null()) return false;
  for (const auto& [key, asked] : asked_) {
    if (asked.progress_token == token) return true;
  }
  return false;
}

std::optional<SentKey> ClientSession::sent_with(const Json& id) const {
  if (!id.is_number_integer()) return std::nullopt;
  const auto number = id.get<std::int64_t>();
  if (!sent_.contains(number)) return std::nullopt;
  return SentKey{static_cast<std::uint64_t>(number)};
}

ClientSession::Event ClientSession::feed(std::string_view line) {
  Message message = parse_spelled_message(line);
  if (auto* response = std::get_if<Response>(&message)) return on_response(std::move(*response));
  if (auto* notification = std::get_if<Notification>(&message)) return on_notification(std::move(*notification));
  if (auto* request = std::get_if<Request>(&message)) return on_request(std::move(*request));
  auto& malformed = std::get<Malformed>(message);
  Ignored ignored{"the server's line is no message: " + malformed.error.message, std::nullopt};
  if (malformed.id && !malformed.is_notification) ignored.answer = write_error(malformed.id, malformed.error);
  return ignored;
}

ClientSession::Event ClientSession::on_response(Response response) {
  const auto key = response.id ? sent_with(response.id->to_json()) : std::nullopt;
  if (!key) return Ignored{"the server answers a request that nobody waits for", std::nullopt};
  sent_.erase(static_cast<std::int64_t>(key->value));
  Answered answered{*key, response.is_error, std::move(response.body)};
  const bool good = answered.is_error ? is_error_object(answered.body) : answered.body.is_object();
  if (!good) {
    answered.is_error = true;
    answered.body = Json{{"code", rpc::kInternalError}, {"message", "the server's answer is malformed"}};
  }
  return answered;
}

ClientSession::Event ClientSession::on_request(Request request) {
  if (asked_by_id_.contains(request.id)) {
    return Ignored{"the server asks twice under one id", std::nullopt};  // an answer would be taken for the first's
  }
  if (asked_.size() >= limits_.max_asked) {
    return Ignored{"the server asks too much at once",
                   write_error(request.id, {rpc::kInternalError, "too many requests at once; try again", nullptr})};
  }
  const AskedKey key{++last_asked_};
  AskedRequest asked{request.id, nullptr};
  if (const Json* token = find_meta(request.params, kProgressToken)) asked.progress_token = *token;
  asked_by_id_.emplace(request.id, key);
  asked_.emplace(key, std::move(asked));
  return Asked{key, std::move(request.method), std::move(request.params)};
}

ClientSession::Event ClientSession::on_notification(Notification notification) {
  if (notification.method == "notifications/progress") {
    const Json token = take_member(notification.params, kProgressToken);
    const auto key = sent_with(token);
    if (!key || !sent_.at(token.get<std::int64_t>())) {
      return Ignored{"the server tells of progress that nobody asked for", std::nullopt};
    }
    return Progressed{*key, std::move(notification.params)};
  }
  if (notification.method == "notifications/cancelled") {
    const auto id = RequestId::from_json(take_member(notification.params, "requestId"));
    const auto found = id ? asked_by_id_.find(*id) : asked_by_id_.end();
    if (found == asked_by_id_.end()) return Ignored{"the server withdraws what it did not ask", std::nullopt};
    const AskedKey key = found->second;
    take(key);
    return Withdrawn{key, std::move(notification.params)};
  }
  if (!notification.method.starts_with("notifications/")) {
    return Ignored{"the server sends a request without an id", std::nullopt};
  }
  Notified notified{std::move(notification.method), std::move(notification.params), {}};
  if (const Json* id = find_meta(notified.params, kSubscriptionIdMember)) {
    const auto key = sent_with(*id);
    if (!key) return Ignored{"the server's notice belongs to no subscription", std::nullopt};
    notified.subscription = *key;
  }
  return notified;
}

Status PageReader::add(Json result) {
  Json* items = object_member(result, list_);
  if (!items || !items->is_array()) return fail(Code::kInvalid, "the server's answer has no list `" + list_ + "`");
  Json next = take_member(result, "nextCursor");
  if (whole_.is_null()) {
    whole_ = std::move(result);
  } else {
    auto& all = whole_[list_].get_ref<Json::array_t&>();
    for (Json& item : *object_member(result, list_)) all.push_back(std::move(item));
  }
  const bool again = cursor_ && *cursor_ == next;
  cursor_.reset();
  if (next.is_null()) return {};
  if (!next.is_string() || again) return fail(Code::kInvalid, "the server's list does not end");
  if (++pages_ >= kMaxPages || whole_[list_].size() > kMaxItems) {
    return fail(Code::kTooLarge, "the server's list is too long");
  }
  cursor_ = std::move(next);
  return {};
}

}  // namespace sluice::mcp
