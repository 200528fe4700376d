// One legacy client (2025-11-25 and before) in front of a server of 2026-07-28 alone. The handshake, pings, the log
// level and subscriptions are the bridge's own; what the server needs (`input_required`) is asked of the client where
// it said that it can be asked, and the request is repeated with the answers and the server's state. Bounded: rounds,
// questions, states, subscriptions. Pure; the clock comes with the link. gate.md 9; docs/gateway.md.
#pragma once

#include <map>
#include <set>

#include "gateway/era_link.h"

namespace sluice::gateway {

class EraToModern final : public EraTranslator {
 public:
  static constexpr std::size_t kMaxRounds = 16;                          // of one request
  static constexpr std::size_t kMaxInputs = 16;                          // of one round
  static constexpr std::size_t kMaxState = 256 << 10;                    // octets of a server's state
  static constexpr std::size_t kMaxSubscribed = 64;                      // resources: each is a request that stays
  static constexpr std::chrono::seconds kFirstRetry{1}, kLastRetry{30};  // before the server is listened to again
  static constexpr int kMaxRetries = 8;                                  // in a row

  // `discovered`: the answer to `server/discover`; `hello`: the client's `initialize`, which is answered here.
  EraToModern(EraLink& link, Json discovered, const mcp::Request& hello);

  void on_request(mcp::Request request) override;
  void on_response(mcp::Response response) override;
  void on_notification(mcp::Notification notification) override;
  void on_server_request(mcp::Request request, mcp::SentKey on) override;
  void on_server_notification(mcp::Notification notification, mcp::SentKey on) override;
  void tick() override;
  void end() override {}  // it keeps nothing of us

 private:
  struct Call {
    std::string method;
    Json params;       // as the server is sent them, without answers
    mcp::SentKey own;  // the request to the server; 0: the client is being asked
    std::size_t rounds = 0;
    Json state = nullptr;
    Json answers = Json::object();
    std::map<mcp::RequestId, std::pair<std::string, std::string>> asked;  // name and method, by the bridge's id
  };
  struct Stream {      // a `subscriptions/listen` of the bridge's
    mcp::SentKey own;  // 0: it is not there
    bool acknowledged = false;
    int failures = 0;
    MonoTime again{};
  };
  using Calls = std::map<mcp::SentKey, Call>;  // by the relay's request

  void send(mcp::SentKey key);
  void on_answer(mcp::SentKey key, EraLink::Answered answered);
  void ask_client(mcp::SentKey key, const Json& result);
  void give_up(mcp::SentKey key, std::string why);
  void end_call(mcp::SentKey key, EraLink::Answered answered);
  void withdraw(const Call& call);
  void shape_tools(Json& result);
  void set_level(mcp::SentKey key, const Json& params);
  void listen();
  void on_listen_end();
  void subscribe(mcp::SentKey key, const std::string& uri);
  void unsubscribe(mcp::SentKey key, const std::string& uri);
  void on_acknowledged(mcp::SentKey own, const Json& params);
  bool offers(std::string_view capability, std::string_view part = "") const;
  Json with_meta(Json params) const;

  struct Subscription {
    mcp::SentKey own;
    std::vector<mcp::SentKey> waiting;  // requests of the relay to be answered
    bool agreed = false;
  };

  EraLink& link_;
  const Json discovered_;
  Json client_info_ = nullptr, capabilities_ = Json::object(), level_ = nullptr;
  Calls calls_;
  std::map<mcp::RequestId, mcp::SentKey> asked_;  // questions to the client, by the bridge's id: whose
  std::set<std::string> wrapped_;                 // tools whose outputs are
  Stream stream_;
  std::map<std::string, Subscription> subscribed_;
  std::int64_t last_asked_ = 0;
  bool ready_ = false;  // the client said so
};

}  // namespace sluice::gateway
