// What a shared server says, and to whom it is told.
#include <algorithm>
#include <utility>

#include "gateway/era_messages.h"
#include "gateway/shared_server.h"
#include "mcp/error_map.h"

namespace sluice::gateway {
namespace {

bool is_list_change(std::string_view method) {
  return method == "notifications/tools/list_changed" || method == "notifications/prompts/list_changed" ||
         method == "notifications/resources/list_changed";
}

}  // namespace

UpstreamEvents SharedServer::events() {
  const std::weak_ptr<SharedServer> weak = weak_from_this();
  const auto to_all = [weak](const auto& event) {
    return [weak, event] {
      if (const auto self = weak.lock()) self->each([&](Number, Member& member) { event(member.events); });
    };
  };
  UpstreamEvents events;
  events.message = [weak](std::string_view text, mcp::SentKey on) {
    if (const auto self = weak.lock()) self->from_server(text, on);
  };
  events.too_long = to_all([](const UpstreamEvents& to) { to.too_long(); });
  events.waits = [weak](mcp::SentKey key) {
    const auto self = weak.lock();
    return self && (self->sent_.contains(key) || (self->opening_ && self->opening_ == key));
  };
  events.lost = [weak](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
    if (const auto self = weak.lock()) self->lost(key, error, unsent);
  };
  events.session_lost = [weak] {
    if (const auto self = weak.lock()) self->session_lost();
  };
  events.hears = [weak](bool hears) {
    const auto self = weak.lock();
    if (!self) return;
    self->hears_ = hears;
    self->each([hears](Number, Member& member) { member.events.hears(hears); });
  };
  events.ended = [weak] {
    const auto self = weak.lock();
    if (!self || std::exchange(self->ended_, true)) return;
    self->each([](Number, Member& member) { member.events.ended(); });
  };
  events.drained = to_all([](const UpstreamEvents& to) { to.drained(); });
  // Any of them that has its list knows what it says.
  events.tool = [weak](std::string_view name) -> std::shared_ptr<const UpstreamTool> {
    const auto self = weak.lock();
    if (!self) return nullptr;
    for (const auto& [number, member] : self->members_) {
      if (auto tool = member.events.tool(name)) return tool;
    }
    return nullptr;
  };
  events.notice = options_.notice;
  return events;
}

void SharedServer::from_server(std::string_view text, mcp::SentKey on) {
  if (ended_) return;
  mcp::ClientSession::Event event = session_.feed(text);
  if (auto* answered = std::get_if<mcp::ClientSession::Answered>(&event)) return on_answer(std::move(*answered));
  if (auto* progressed = std::get_if<mcp::ClientSession::Progressed>(&event)) {
    const auto found = sent_.find(progressed->key);
    if (found == sent_.end() || found->second.token.is_null()) return;
    const Sent& one = found->second;
    progressed->params["progressToken"] = one.token;
    say(one.member, mcp::write_notification("notifications/progress", std::move(progressed->params)), key_of(one.id));
  } else if (auto* asked = std::get_if<mcp::ClientSession::Asked>(&event)) {
    on_asked(std::move(*asked), on);
  } else if (auto* withdrawn = std::get_if<mcp::ClientSession::Withdrawn>(&event)) {
    const auto found = asked_.find(withdrawn->key);
    if (found == asked_.end()) return;
    const Number member = found->second.member;
    asked_.erase(found);
    withdrawn->params["requestId"] = withdrawn->key.value;
    say(member, mcp::write_notification("notifications/cancelled", std::move(withdrawn->params)));
  } else if (auto* notified = std::get_if<mcp::ClientSession::Notified>(&event)) {
    on_notice(std::move(*notified), on);
  } else if (auto& ignored = std::get<mcp::ClientSession::Ignored>(event); ignored.answer) {
    to_server(std::move(ignored.answer));
  }
}

void SharedServer::on_answer(mcp::ClientSession::Answered answered) {
  if (opening_ && answered.key == opening_) return opened(std::move(answered));
  const auto found = sent_.find(answered.key);
  if (found == sent_.end()) return;
  const Sent one = std::move(found->second);
  sent_.erase(found);
  if (!one.subscribes.empty() && !answered.is_error) {
    if (const auto member = members_.find(one.member); member != members_.end()) {
      member->second.uris.insert(one.subscribes);
    }
  }
  if (one.listens && !answered.is_error) {
    // Its `_meta` says which subscription is over.
    Json* meta = member_of(answered.body, "_meta");
    const std::string name(mcp::kSubscriptionIdMember);
    if (meta && meta->is_object() && meta->contains(name)) (*meta)[name] = one.id.to_json();
  }
  say(one.member,
      answered.is_error ? mcp::write_raw_error(one.id, std::move(answered.body))
                        : mcp::write_result(one.id, std::move(answered.body)),
      key_of(one.id));
}

SharedServer::Number SharedServer::whose(mcp::SentKey on) const {
  if (const auto found = sent_.find(on); found != sent_.end()) return found->second.member;
  if (options_.of == Of::kSeveralGrants) return 0;
  Number only = 0;
  for (const auto& [key, one] : sent_) {
    if (one.listens) continue;
    if (only != 0 && only != one.member) return 0;
    only = one.member;
  }
  return only;
}

void SharedServer::on_asked(mcp::ClientSession::Asked asked, mcp::SentKey on) {
  if (asked.method == "ping") return to_server(session_.answer(asked.key, Json::object()));
  const Number number = whose(on);
  const auto member = members_.find(number);
  if (member == members_.end() || missing_capability(member->second.capabilities, asked.method, asked.params)) {
    return to_server(session_.refuse(asked.key, mcp::method_not_found(asked.method)));
  }
  const Json* meta = find_member(asked.params, "_meta");
  const Json* token = meta ? find_member(*meta, "progressToken") : nullptr;
  asked_[asked.key] = {number, token ? *token : Json(nullptr)};
  const auto request = sent_.find(on);
  const mcp::SentKey about = request == sent_.end() ? mcp::SentKey{} : key_of(request->second.id);
  say(number, mcp::write_request(id_of(mcp::SentKey{asked.key.value}), asked.method, std::move(asked.params)), about);
}

void SharedServer::on_notice(mcp::ClientSession::Notified notified, mcp::SentKey on) {
  if (notified.subscription) {
    const auto found = sent_.find(notified.subscription);
    if (found == sent_.end() || !found->second.listens) return;
    const Sent& one = found->second;
    notified.params["_meta"][std::string(mcp::kSubscriptionIdMember)] = one.id.to_json();
    return say(one.member, mcp::write_notification(notified.method, std::move(notified.params)), key_of(one.id));
  }
  if (is_list_change(notified.method)) {
    const std::string text = mcp::write_notification(notified.method, Json::object());
    return each([&](Number number, Member&) { say(number, text); });
  }
  if (notified.method == "notifications/resources/updated") {
    const Json* uri = find_member(notified.params, "uri");
    if (!uri || !uri->is_string()) return;
    const std::string changed = uri->get<std::string>();
    const std::string text = mcp::write_notification(notified.method, std::move(notified.params));
    return each([&](Number number, Member& member) {
      const bool wants = std::any_of(member.uris.begin(), member.uris.end(),
                                     [&](const std::string& one) { return is_part_of_resource(changed, one); });
      if (wants) say(number, text);
    });
  }
  const Number number = whose(on);
  const auto member = members_.find(number);
  if (member == members_.end()) return;
  if (notified.method == "notifications/message") {
    const auto rank = rank_of_level(notified.params.value("level", Json(nullptr)));
    if (!rank || (member->second.level && *rank < *member->second.level)) return;
  }
  const auto request = sent_.find(on);
  const mcp::SentKey about = request == sent_.end() ? mcp::SentKey{} : key_of(request->second.id);
  say(number, mcp::write_notification(notified.method, std::move(notified.params)), about);
}

void SharedServer::lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
  if (key == opening_) {
    if (key) (void)session_.cancel(key);  // forgotten; there is nobody to be told
    opening_ = {};
    state_ = State::kNew;
    for (const auto& [number, id] : std::exchange(waiting_, {})) {
      const auto found = members_.find(number);
      if (found != members_.end()) found->second.events.lost(key_of(id), error, unsent);
    }
    return;
  }
  (void)session_.cancel(key);  // also where nobody waits any more: it would keep its place
  const auto found = sent_.find(key);
  if (found == sent_.end()) return;
  const Sent one = std::move(found->second);
  sent_.erase(found);
  const auto member = members_.find(one.member);
  if (member != members_.end()) member->second.events.lost(key_of(one.id), error, unsent);
}

void SharedServer::session_lost() {
  state_ = State::kNew;
  asked_.clear();
  level_.reset();
  each([](Number, Member& member) {
    member.uris.clear();
    member.events.session_lost();
  });
}

}  // namespace sluice::gateway
