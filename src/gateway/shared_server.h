// One server that several relays reach at once, each as if it had it for itself (gate.md 9, isolation): ids, progress
// tokens and subscriptions are mapped for each of them. What a server says within a request goes to whose it is; that a
// list has changed, to all; that a resource has, to who subscribed to it. What belongs to nobody for certain goes to
// nobody where the relays are of several grants, and to the one that waits for something where they are of one. Tasks
// are not offered: their ids would be anybody's.
//
// Control thread only. Held by shared_ptr, since answers come later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/upstream.h"
#include "mcp/client_session.h"

namespace sluice::gateway {

class SharedServer final : public std::enable_shared_from_this<SharedServer> {
 public:
  enum class Of { kOneGrant, kSeveralGrants };
  using Connect = std::function<Result<std::shared_ptr<Upstream>>(UpstreamEvents)>;
  struct Options {
    Of of = Of::kSeveralGrants;
    std::string version;                           // of the gateway, which opens the session in its own name
    std::function<void(std::string_view)> notice;  // for the person who runs the gateway
  };
  // kUnavailable: as `connect`.
  static Result<std::shared_ptr<SharedServer>> create(Options options, const Connect& connect);

  // The server as one relay reaches it; its close() ends its part, and the server with the last one.
  std::shared_ptr<Upstream> join(UpstreamEvents events);
  bool has_ended() const { return ended_; }

 private:
  class Part;
  using Number = std::uint64_t;
  struct Member {
    UpstreamEvents events;
    Json capabilities = Json::object();  // that its client declared
    std::set<std::string> uris;          // subscribed to
    std::optional<int> level;            // of log messages; nullopt: it has set none
  };
  struct Sent {  // a request to the server
    Number member = 0;
    mcp::RequestId id;     // the member's
    Json token = nullptr;  // its progress token
    std::string subscribes = {};
    bool listens = false;
  };
  struct Asked {
    Number member = 0;
    Json token = nullptr;
  };
  enum class State { kNew, kOpening, kOpen };

  explicit SharedServer(Options options) : options_(std::move(options)) {}
  UpstreamEvents events();

  // A member's side.
  void take(Number number, std::string_view text);
  void on_request(Number number, mcp::Request request);
  void on_response(Number number, mcp::Response response);
  void on_notification(Number number, mcp::Notification notification);
  void forward(Number number, mcp::Request request, std::string subscribes = "");
  void open(Number number, const mcp::Request& request);
  void opened(mcp::ClientSession::Answered answered);
  void set_level(Number number, mcp::Request request);
  void subscribe(Number number, mcp::Request request);
  void unsubscribe(Number number, mcp::Request request);
  bool is_subscribed(const std::string& uri) const;
  void leave(Number number, std::function<void()> gone);

  // The server's.
  void from_server(std::string_view text, mcp::SentKey on);
  void on_answer(mcp::ClientSession::Answered answered);
  void on_asked(mcp::ClientSession::Asked asked, mcp::SentKey on);
  void on_notice(mcp::ClientSession::Notified notified, mcp::SentKey on);
  void lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent);
  void session_lost();
  // Whose request that is; without one, who may be meant; 0: nobody.
  Number whose(mcp::SentKey on) const;

  void say(Number number, std::string_view text, mcp::SentKey on = {});
  void answer(Number number, const mcp::RequestId& id, Json result);
  void refuse(Number number, const mcp::RequestId& id, const mcp::RpcError& error);
  void to_server(std::optional<std::string> text);
  // To each of them as they are now: one may leave from within.
  void each(const std::function<void(Number, Member&)>& tell);

  Options options_;
  std::shared_ptr<Upstream> upstream_;
  mcp::ClientSession session_{{4'096, 256}};
  std::map<Number, Member> members_;
  std::map<mcp::SentKey, Sent> sent_;
  std::map<mcp::AskedKey, Asked> asked_;
  State state_ = State::kNew;
  mcp::SentKey opening_;
  std::vector<std::pair<Number, mcp::RequestId>> waiting_;  // for the session to be open
  Json hello_ = nullptr;                                    // the server's answer to `initialize`
  std::optional<int> level_;                                // that the server was told
  Number last_ = 0;
  bool hears_ = false, ended_ = false;
};

// Those of one kind of server, each under a name.
class SharedServers {
 public:
  static constexpr std::size_t kMax = 64;

  // kUnavailable: it cannot be reached or started, or there are too many.
  Result<std::shared_ptr<Upstream>> join(const std::string& name, SharedServer::Options options,
                                         const SharedServer::Connect& connect, UpstreamEvents events);

 private:
  std::map<std::string, std::weak_ptr<SharedServer>> servers_;  // their parts hold them
};

}  // namespace sluice::gateway
