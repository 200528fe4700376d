// One client in front of several servers, each behind a session of its own that judges what passes (a relay). To the
// client it is one server: lists are put together, tools and prompts are called `<server>__<name>`, resources by their
// URI; whatever is for one server goes to it alone. Ids, and the progress tokens of servers, are the switchboard's own
// on either side, so that no server answers, cancels or reports for another. Legacy era (docs/gateway.md): what a
// 2026-07-28 client asks first is refused as a legacy server does, and it falls back.
//
// Knows no descriptors and no policies. Control thread only. Held by shared_ptr, since answers come later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "gateway/relay.h"
#include "mcp/client_session.h"

namespace sluice::gateway {

class Switchboard final : public LineSession, public std::enable_shared_from_this<Switchboard> {
 public:
  static constexpr std::size_t kMaxInFlight = 256;        // requests of the client without an answer
  static constexpr std::size_t kMaxAsked = 1'024;         // requests of servers without an answer
  static constexpr std::size_t kMaxNotices = 100;         // lines about servers, for the person
  static constexpr std::size_t kMaxToolName = 128;        // MCP 2025-11-25 "Tool Names"; with the server's before it
  static constexpr std::size_t kMaxReopened = 16;         // times that one server may forget its session
  static constexpr std::chrono::seconds kMaxOpening{20};  // that `initialize` waits for slow servers

  using Lane = std::size_t;

  // All outlive the switchboard.
  struct Deps {
    const Clock& clock;
    std::string version;  // of the gateway, for clients
    std::function<void(ToClient)> to_client;
    std::function<void(std::string_view server, std::string_view)> notice;  // for the person who runs the gateway
    std::function<void(Lane)> let_go;                                       // the server is of no use: it may end
    std::function<void()> malformed = [] {};                                // the client sent what is no request,
    std::function<void()> unknown = [] {};                                  // or named what there is not
  };
  static std::shared_ptr<Switchboard> create(Deps deps);

  // Before anything is taken, in the order in which their lists are shown. `name`: [a-z0-9-]+.
  Lane add(std::string name);
  // What judges for this server and leads to it; what it says comes by from_lane(). Without one the server is gone.
  void connect(Lane lane, std::shared_ptr<LineSession> session);

  void take(std::string_view line) override;
  // `as`: the id under which a request is kept, where several clients share this and may use the same ones.
  void take(mcp::Message message, std::optional<mcp::RequestId> as);
  // Its client went away, and nobody waits for it any more.
  void withdraw(const mcp::RequestId& id);
  void too_long() override;
  std::size_t calls() const override { return requests_.size(); }
  void close() override;

  // What stands in front of a server says; `about`: the request's id there.
  void from_lane(Lane lane, ToClient out);
  // There is no such server any more: what waits for it is over, and its tools leave the list.
  void lane_ended(Lane lane);
  // It has forgotten its client, and is opened once more.
  void lane_reset(Lane lane);
  // Now and then: who is too slow is waited for no longer.
  void tick();

 private:
  enum class State { kNew, kOpening, kReady, kGone };
  struct Server {
    std::string name;
    std::shared_ptr<LineSession> session;
    State state = State::kNew;
    Json offers = Json::object();  // its capabilities
    std::size_t reopened = 0;
  };
  struct Answer {
    bool is_error = false;
    Json body;
  };
  using Done = std::function<void(Answer)>;
  struct Sent {
    Lane lane = 0;
    std::uint64_t serial = 0;  // of the client's request it is for; 0: none
    Done done;
  };
  struct Asked {
    Lane lane = 0;
    mcp::RequestId id;     // the lane's own
    Json token = nullptr;  // its progress token
    std::optional<mcp::RequestId> about = {};
  };
  struct ClientRequest {
    mcp::RequestId id, shown;  // as it is kept, and as its client gave it
    bool modern = false;
  };
  struct Listener {  // a client's `subscriptions/listen`, and what of it its servers agreed on
    Json params;
    std::set<std::int64_t> silent;  // requests to servers that are not acknowledged yet
    std::set<std::string> lists;    // members of the filter that any server agreed on
    std::set<std::string> uris, tasks;
    MonoTime until{};  // then it is acknowledged, whoever is silent
    bool acknowledged = false;
  };
  struct Listing;
  struct Opening;

  explicit Switchboard(Deps deps) : deps_(std::move(deps)) {}

  void on_request(mcp::Request request, const mcp::RequestId& as);
  void on_response(mcp::Response response);
  void on_notification(mcp::Notification notification);
  void ask_client(Lane lane, mcp::Request request, std::optional<mcp::RequestId> about);
  void cancel(Json params);
  void withdraw(std::uint64_t serial, const Json& params);
  void route(mcp::Request request, std::uint64_t serial);
  void route_named(mcp::Request request, std::uint64_t serial, Json& name);
  void route_task(mcp::Request request, std::uint64_t serial);
  void complete(mcp::Request request, std::uint64_t serial);
  void set_level(const mcp::Request& request, std::uint64_t serial);

  void initialize(const mcp::Request& request, std::uint64_t serial);
  void begin_opening(std::uint64_t serial);
  void open(Lane lane);
  void opened(Lane lane, Answer answer);
  void end_opening();
  Json merged_offers() const;  // null: no server is ready
  Json merged_hello() const;   // the result of `initialize`
  static mcp::RpcError none_opened();

  // --- switchboard_modern.cc ---
  void on_modern(mcp::Request request, std::uint64_t serial);
  void route_modern(mcp::Request request, std::uint64_t serial);
  void discover(std::uint64_t serial);
  void listen(const Json& params, std::uint64_t serial);
  void listen_at(Lane lane, std::uint64_t serial);
  void listen_for_all(Lane lane);
  Json filter_for(Lane lane, const Json& filter) const;
  void heard(std::int64_t part, std::uint64_t serial);
  void acknowledge(std::uint64_t serial);
  void take_subscribed(mcp::Notification notification, std::int64_t part);
  void tick_listeners();

  // A list of all servers in one page; `done` has no error unless no server answers.
  void list(std::string_view method, const Json& params, std::uint64_t serial, Done done);
  void list_of(const std::shared_ptr<Listing>& listing, std::size_t part, Json params);
  void merge(Listing& listing);
  void merge_part(const Listing& listing, Lane lane, Json& items, Json& all);
  // By whom a URI is known; where nobody has listed it, whoever does not refuse it.
  void by_uri(mcp::Request request, std::uint64_t serial, bool listed);
  void try_uri(mcp::Request request, std::uint64_t serial, std::vector<Lane> lanes, Answer last);
  std::optional<Lane> owner_of(const std::string& uri) const;
  // Asks all servers for their resources and templates; `then`, if the client still waits. `params`: of these requests.
  void learn_owners(Json params, std::uint64_t serial, std::function<void()> then);

  // `done` is called once, unless the client cancels or the switchboard is closed.
  void send(Lane lane, std::string_view method, Json params, std::uint64_t serial, Done done);
  Done to_answer(std::uint64_t serial);
  void answer(std::uint64_t serial, Answer answer);
  void refuse(std::uint64_t serial, const mcp::RpcError& error);
  bool is_pending(std::uint64_t serial) const { return !closed_ && requests_.contains(serial); }
  std::vector<Lane> ready_with(std::string_view capability) const;
  std::optional<Lane> find(std::string_view name) const;
  void tell_of_lists(Lane lane);
  // Under the id that the client knows; nullopt: it is about none of its requests.
  std::optional<mcp::RequestId> about(std::uint64_t serial) const;
  void tell(std::string text, std::optional<mcp::RequestId> about = {}) {
    deps_.to_client({std::move(text), std::move(about)});
  }
  void note(Lane lane, std::string_view text);

  Deps deps_;
  std::vector<Server> servers_;
  std::map<std::int64_t, Sent> sent_;                           // by our id
  std::map<std::uint64_t, ClientRequest> requests_;             // the client's, by serial
  std::map<mcp::RequestId, std::uint64_t> serials_;             // and by their ids
  std::map<std::int64_t, Asked> asked_;                         // the servers', by our id
  std::map<std::string, Lane, std::less<>> owners_;             // resources, by URI
  std::map<std::string, Lane, std::less<>> templates_;          // and by template
  std::map<std::uint64_t, Listener> listeners_;                 // by serial
  std::shared_ptr<Opening> opening_;                            // while servers are waited for
  std::vector<std::pair<mcp::Request, std::uint64_t>> parked_;  // modern requests that wait for it
  Json hello_ = nullptr;                                        // the client's `initialize`, or `server/discover`
  bool modern_ = false;                                         // the client's era
  std::string version_;                                         // that the client was answered
  std::string instructions_;                                    // of all servers that opened in time
  std::int64_t last_sent_ = 0, last_asked_ = 0;
  std::uint64_t last_serial_ = 0;
  std::set<std::string> told_;  // URIs of which the person knows that two servers have them
  std::size_t notices_ = 0;
  bool ready_ = false, closed_ = false;  // the client said `initialized`
};

}  // namespace sluice::gateway
