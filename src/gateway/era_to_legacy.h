// Modern clients of one grant (2026-07-28) in front of a server of 2025-11-25 or before, in a session that the bridge
// has opened. What the server asks within a call becomes `input_required`, while its call stays open; the client's
// retry, which must be the same request with the state that it was given, brings the answers. Each state is a random
// text that counts once, here alone. Bounded: states, questions, held answers, subscriptions; who does not come back
// within kWait has its call cancelled. Pure; the clock comes with the link. gate.md 9; docs/gateway.md.
#pragma once

#include <map>
#include <set>

#include "gateway/era_link.h"

namespace sluice::gateway {

class EraToLegacy final : public EraTranslator {
 public:
  static constexpr std::chrono::minutes kWait{10};    // for the client's answers to a server's questions
  static constexpr std::size_t kMaxWaiting = 64;      // calls that wait for them
  static constexpr std::size_t kMaxQuestions = 16;    // of one call
  static constexpr std::size_t kMaxHeld = 64 << 20;   // octets of answers that came before their client did
  static constexpr std::size_t kMaxSubscribed = 256;  // resources of all listeners

  // `initialized`: the server's answer to `initialize`.
  EraToLegacy(EraLink& link, Json initialized);

  void on_request(mcp::Request request) override;
  void on_response(mcp::Response response) override;
  void on_notification(mcp::Notification notification) override;
  void on_server_request(mcp::Request request, mcp::SentKey on) override;
  void on_server_notification(mcp::Notification notification, mcp::SentKey on) override;
  void tick() override;
  void end() override;

 private:
  struct Question {
    mcp::RequestId id;  // the server's
    std::string name;   // among the inputs
    std::string method;
    Json params;
    bool shown = false;
  };
  struct Call {
    std::string method;
    std::string digest;  // of what was asked
    mcp::SentKey shown;  // the relay's request that waits; 0: its client is to come back
    Json capabilities;   // of that request's client
    std::optional<int> level;
    bool wants_progress = false;
    std::vector<Question> questions;
    std::size_t last_question = 0;
    std::string state;  // the hash under which its state is known
    std::optional<EraLink::Answered> held;
    std::size_t held_size = 0;
    MonoTime until{};
  };
  struct Listener {
    bool tools = false, prompts = false, resources = false;
    std::set<std::string> uris;  // agreed to
    std::size_t pending = 0;     // answers to come
    bool acknowledged = false;
  };
  using Calls = std::map<mcp::SentKey, Call>;  // by the request to the server

  void forward(mcp::SentKey key, std::string method, Json params);
  void send(mcp::SentKey key, Call call, Json params);
  void resume(mcp::SentKey key, const std::string& method, Json params);
  void on_answer(EraLink::Answered answered);
  void finish(mcp::SentKey key, const Call& call, EraLink::Answered answered);
  void ask_client(Calls::iterator call);
  void let_go(Calls::iterator call, std::string_view why);
  Calls::iterator call_of(mcp::SentKey on);
  Calls::iterator shown_as(mcp::SentKey key);
  void on_message(Json params, mcp::SentKey on);
  // Before a request that wants log messages; `then` from within, or later.
  void set_level(std::optional<int> level, const Json& name, std::function<void()> then);
  void listen(mcp::SentKey key, const Json& params);
  void acknowledge(mcp::SentKey key);
  void leave(mcp::SentKey key);
  void release(const std::string& uri, bool subscribed);
  void tell_listeners(std::string_view method, const Json& params, const std::function<bool(const Listener&)>& wants);
  bool offers(std::string_view capability, std::string_view part = "") const;

  EraLink& link_;
  const Json initialized_;
  Calls calls_;
  std::map<std::string, mcp::SentKey> states_;  // by hash
  std::set<mcp::SentKey> starting_;             // requests of the relay that wait for their log level
  std::optional<int> level_;                    // of the server's session
  std::map<mcp::SentKey, Listener> listeners_;  // by the relay's request
  std::map<std::string, std::size_t> subscribed_;
  std::size_t held_ = 0;
};

}  // namespace sluice::gateway
