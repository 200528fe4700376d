// What both directions of the bridge between eras have in common: requests of the bridge's own to the server, beside
// those that pass unchanged, and what is told to the relay. Pure: messages in, messages out. Private to the bridge.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/entropy.h"
#include "mcp/client_session.h"
#include "mcp/error_map.h"

namespace sluice::gateway {

class EraLink {
 public:
  // Above all ids that a relay gives its requests, below 2^53.
  static constexpr std::uint64_t kFirstOwn = std::uint64_t{1} << 52;

  // All outlive the link.
  struct Wires {
    const Clock& clock;
    Entropy& entropy;
    std::string version;        // of the gateway, where a client does not say who it is
    bool many_clients = false;  // of one grant: nobody knows yet what the next one can do
    std::function<void(std::string)> to_server;
    // `on`: the relay's request on whose stream it came; 0: nobody knows.
    std::function<void(std::string_view, mcp::SentKey on)> to_relay;
    std::function<void(mcp::SentKey, const mcp::RpcError&, bool unsent)> lost;
    std::function<void(bool)> hears;  // whether the server is heard when it tells of changes
    std::function<void(std::string_view)> notice;
  };
  explicit EraLink(Wires wires) : wires_(std::move(wires)) {}

  using Answered = mcp::ClientSession::Answered;
  using Done = std::function<void(Answered)>;
  // `done` once, unless it is dropped. A progress token among `params` becomes the request's id.
  mcp::SentKey ask(std::string_view method, Json params, Done done);
  // What the next one will be known by: it may be lost from within.
  mcp::SentKey next() const { return mcp::SentKey{last_ + 1}; }
  // Nobody waits for it any more; the server is told.
  void drop(mcp::SentKey key, Json params = Json::object());
  static bool is_own(mcp::SentKey key) { return key.value >= kFirstOwn; }
  bool waits(mcp::SentKey key) const { return asked_.contains(key); }

  // What came for a request of the link's; false: it is none, or nobody waits for it.
  bool take(mcp::Response response);
  void lose(mcp::SentKey key, const mcp::RpcError& error, bool unsent);
  // There is no answer to any of them; kAnswered: to those that do not stay open (`subscriptions/listen`).
  enum class Which { kAll, kAnswered };
  void lose_all(const mcp::RpcError& error, Which which);

  void to_server(std::string text) const { wires_.to_server(std::move(text)); }
  void notify_server(std::string_view method, Json params = Json::object()) const;
  void refuse_server(const mcp::RequestId& id, const mcp::RpcError& error) const;
  // To the relay: the answer to its request `key`, and notices.
  void answer(mcp::SentKey key, Json result) const;
  void refuse(mcp::SentKey key, const mcp::RpcError& error) const;
  void refuse_raw(mcp::SentKey key, Json error) const;
  void pass_error(mcp::SentKey key, Answered answered) const;  // with what is known of whether it was sent
  void notify(std::string_view method, Json params, mcp::SentKey on = {}) const;
  void ask_relay(const mcp::RequestId& id, std::string_view method, Json params, mcp::SentKey on) const;

  const Wires& wires() const { return wires_; }
  MonoTime now() const { return wires_.clock.mono(); }

 private:
  struct Asked {
    Done done;
    bool stays = false;
  };
  Wires wires_;
  std::map<mcp::SentKey, Asked> asked_;
  std::uint64_t last_ = kFirstOwn - 1;
};

// A request of the relay's is known by the number that it gave it.
mcp::SentKey key_of(const mcp::RequestId& id);
mcp::SentKey key_of(const Json& id);
mcp::RequestId id_of(mcp::SentKey key);

// One direction: everything that passes once the eras of both sides are known to differ.
class EraTranslator {
 public:
  virtual ~EraTranslator() = default;
  virtual void on_request(mcp::Request request) = 0;  // the client's; its id is the relay's
  virtual void on_response(mcp::Response response) = 0;
  virtual void on_notification(mcp::Notification notification) = 0;
  virtual void on_server_request(mcp::Request request, mcp::SentKey on) = 0;
  virtual void on_server_notification(mcp::Notification notification, mcp::SentKey on) = 0;
  virtual void tick() = 0;
  virtual void end() = 0;  // the server has forgotten us
};

}  // namespace sluice::gateway
