#include "gateway/era_link.h"

#include <utility>

namespace sluice::gateway {
namespace {

bool is_error_object(const Json& error) {
  const Json* code = find_member(error, "code");
  const Json* message = find_member(error, "message");
  return code && code->is_number_integer() && message && message->is_string();
}

}  // namespace

mcp::SentKey key_of(const Json& id) {
  return id.is_number_integer() && id > 0 ? mcp::SentKey{id.get<std::uint64_t>()} : mcp::SentKey{};
}

mcp::SentKey key_of(const mcp::RequestId& id) { return key_of(id.to_json()); }

mcp::RequestId id_of(mcp::SentKey key) { return mcp::RequestId(static_cast<std::int64_t>(key.value)); }

mcp::SentKey EraLink::ask(std::string_view method, Json params, Done done) {
  const mcp::SentKey key{++last_};
  if (const auto meta = params.find("_meta"); meta != params.end() && find_member(*meta, "progressToken")) {
    (*meta)["progressToken"] = key.value;
  }
  asked_[key] = {std::move(done), method == "subscriptions/listen"};
  to_server(mcp::write_request(id_of(key), method, std::move(params)));
  return key;
}

void EraLink::drop(mcp::SentKey key, Json params) {
  if (asked_.erase(key) == 0) return;
  params["requestId"] = key.value;
  notify_server("notifications/cancelled", std::move(params));
}

bool EraLink::take(mcp::Response response) {
  const mcp::SentKey key = response.id ? key_of(*response.id) : mcp::SentKey{};
  const auto found = asked_.find(key);
  if (found == asked_.end()) return false;
  const Done done = std::move(found->second.done);
  asked_.erase(found);
  Answered answered{key, response.is_error, std::move(response.body)};
  const bool good = answered.is_error ? is_error_object(answered.body) : answered.body.is_object();
  if (!good) {
    answered.is_error = true;
    answered.body = Json{{"code", mcp::rpc::kInternalError}, {"message", "the server's answer is malformed"}};
  }
  done(std::move(answered));
  return true;
}

void EraLink::lose(mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
  const auto found = asked_.find(key);
  if (found == asked_.end()) return;
  const Done done = std::move(found->second.done);
  asked_.erase(found);
  Json body{{"code", error.code}, {"message", error.message}};
  if (!error.data.is_null()) body["data"] = error.data;
  done({key, true, std::move(body), unsent});
}

void EraLink::lose_all(const mcp::RpcError& error, Which which) {
  std::vector<mcp::SentKey> keys;
  for (const auto& [key, one] : asked_) {
    if (which == Which::kAll || !one.stays) keys.push_back(key);
  }
  for (const mcp::SentKey key : keys) lose(key, error, false);
}

void EraLink::notify_server(std::string_view method, Json params) const {
  to_server(mcp::write_notification(method, std::move(params)));
}

void EraLink::refuse_server(const mcp::RequestId& id, const mcp::RpcError& error) const {
  to_server(mcp::write_error(id, error));
}

void EraLink::answer(mcp::SentKey key, Json result) const {
  wires_.to_relay(mcp::write_result(id_of(key), std::move(result)), {});
}

void EraLink::refuse(mcp::SentKey key, const mcp::RpcError& error) const {
  wires_.to_relay(mcp::write_error(id_of(key), error), {});
}

void EraLink::refuse_raw(mcp::SentKey key, Json error) const {
  wires_.to_relay(mcp::write_raw_error(id_of(key), std::move(error)), {});
}

void EraLink::pass_error(mcp::SentKey key, Answered answered) const {
  if (!answered.unsent) return refuse_raw(key, std::move(answered.body));
  wires_.lost(key, {answered.body["code"].get<int>(), answered.body["message"].get<std::string>(), nullptr}, true);
}

void EraLink::notify(std::string_view method, Json params, mcp::SentKey on) const {
  wires_.to_relay(mcp::write_notification(method, std::move(params)), on);
}

void EraLink::ask_relay(const mcp::RequestId& id, std::string_view method, Json params, mcp::SentKey on) const {
  wires_.to_relay(mcp::write_request(id, method, std::move(params)), on);
}

}  // namespace sluice::gateway
