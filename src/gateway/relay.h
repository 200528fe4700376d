// One client in front of one upstream server: what either says is parsed once, judged, and written anew to the other.
// Calls go through the Dispatcher like those of our own tools; what is only protocol passes as it is, whatever its era,
// with its unknown members and the spelling of its numbers. Ids and progress tokens are each side's own. What neither
// the policy nor this relay knows is refused under `"default": "deny"`. gate.md 3, 6, 9; docs/gateway.md.
//
// Knows no descriptors: lines come in by take() and from_server(), and leave by the functions given. Control thread
// only. Held by shared_ptr, since answers come later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "gateway/dispatcher.h"
#include "gateway/relay_tasks.h"
#include "gateway/stdio_transport.h"
#include "gateway/upstream_tools.h"
#include "mcp/client_session.h"

namespace sluice::gateway {

// What leaves for the client.
struct ToClient {
  std::string text;  // one message; empty: only that `about` gets no answer
  // The client's request that it belongs to, as take() knows it; nullopt: none, or nobody can know.
  std::optional<mcp::RequestId> about = {};
  bool last = false;  // `about` is over
  int error = 0;      // the code of a last one that is an error
};

class Relay final : public LineSession, public std::enable_shared_from_this<Relay> {
 public:
  static constexpr std::size_t kMaxInFlight = 256;       // requests of the client without an answer
  static constexpr ByteCount kMaxAnswer = 64 * kMiB;     // gate.md 7: a longer line of the server is skipped
  static constexpr std::chrono::hours kCallDeadline{1};  // of a call without an answer; progress does not move it
  static constexpr std::size_t kMaxNotices = 100;        // lines about odd messages of the server, for the person

  // All outlive the relay.
  struct Deps {
    Dispatcher& dispatcher;
    Policy& policy;
    PinStore& pins;
    const Clock& clock;
    const Presenter& presenter;
    Entropy& entropy;
    UpstreamName name;
    PinStore::First first = PinStore::First::kAccept;
    Caller caller;
    std::optional<Policy::Pins> pin_mode = {};  // in place of the policy's
    bool over_http = false;  // the server is reached so: a tool whose schema no HTTP client may follow is left out
    // A whole list of the server's tools is there: theirs and whose policy it falls under.
    std::function<void(const Caller&, const std::set<std::string, std::less<>>&)> listed = {};
    bool can_be_asked = true;  // false: the clients are of an era in which servers ask nothing
    std::function<void(ToClient)> to_client;
    std::function<void(std::string)> to_server;
    std::function<void(std::string_view)> notice;  // for the person who runs the gateway
    StateLane* lane = nullptr;                     // where pins are asked for; null: here and now
  };
  static std::shared_ptr<Relay> create(Deps deps);

  // The client's side.
  void take(std::string_view line) override;
  // `as`: the id under which a request is kept, where several clients share a relay and may use the same ones.
  void take(mcp::Message message, std::optional<mcp::RequestId> as);
  // Its client went away, and nobody waits for it any more.
  void withdraw(const mcp::RequestId& id, Json params = Json::object());
  bool is_pending(const mcp::RequestId& id) const { return requests_.contains(id); }
  bool has_task(std::string_view id) const override { return tasks_.find(id) != nullptr; }
  // The same grant, with the credential that was shown last.
  void set_caller(Caller caller) { deps_.caller = std::move(caller); }
  const Caller& caller() const { return deps_.caller; }
  void too_long() override;
  // The client sent what is no request, batches and calls without an id among it.
  void count_malformed() { deps_.dispatcher.count_malformed(deps_.caller); }
  // A name that nothing has.
  void count_unknown() { deps_.dispatcher.count_unknown(deps_.caller); }
  std::size_t calls() const override { return requests_.size(); }
  void close() override;

  // What stands between it and its server, where something does (upstream.h).
  void set_bridge(std::shared_ptr<class EraBridge> bridge) { bridge_ = std::move(bridge); }
  const std::shared_ptr<class EraBridge>& bridge() const { return bridge_; }
  // What the client's names of tools have before the server's own.
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  // Now and then.
  void tick();

  // The server's.
  // `on`: the request on whose stream it came; 0: nobody knows.
  void from_server(std::string_view line, mcp::SentKey on = {});
  // Whether an answer to this request is still to come, and that there will be none; `unsent`: nothing of it left.
  bool waits(mcp::SentKey key) const { return waiting_.contains(key); }
  void lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent);
  // The server has forgotten its client, who may initialize again.
  void session_lost();
  // Over HTTP: whether the server's own stream is open.
  void set_hearing(bool hears);
  std::shared_ptr<const UpstreamTool> tool(std::string_view name) const { return tools_.find(name); }
  void too_long_from_server();
  void server_ended();

  // The policy changed, or pins were accepted: the client is told that it sees other tools.
  void look_again();

 private:
  friend class UpstreamCall;
  using Answered = mcp::ClientSession::Answered;
  struct Waiting {  // a request to the server
    std::function<void(Answered)> done;
    std::function<void(Json params)> progressed;  // empty: nobody asked
    std::optional<mcp::RequestId> client_id;      // whose request it is; nullopt: the relay's own
    bool listens = false;                         // it is a `subscriptions/listen`,
    bool hears_of_tools = false;                  // that asked for changes of the list of tools
  };
  struct ClientRequest {
    std::uint64_t serial = 0;
    mcp::RequestId shown;  // the id that the client gave it
    bool modern = false;
    mcp::SentKey sent;                       // of one that is passed on as it is
    std::shared_ptr<RunningCall> call;       // of one that the dispatcher runs,
    std::shared_ptr<class UpstreamCall> at;  // and what it reaches
  };

  struct Asking {  // a request of the server's that the client has
    mcp::AskedKey key;
    bool lists_tasks = false;
  };

  explicit Relay(Deps deps);

  void on_request(mcp::Request request, const mcp::RequestId& as);
  void on_response(mcp::Response response);
  void on_notification(mcp::Notification notification);
  void list_tools(mcp::Request request);
  void call_tool(mcp::Request request, bool refreshed);
  void call_task(mcp::Request request);
  void begin_call(const mcp::RequestId& id, std::shared_ptr<class UpstreamCall> call, const Json& params);
  void pass_on(mcp::Request request);
  void cancel(Json params);

  void on_answer(Answered answered);
  void on_asked(mcp::ClientSession::Asked asked, mcp::SentKey on);
  void on_withdrawn(mcp::ClientSession::Withdrawn withdrawn);
  void on_notice(mcp::ClientSession::Notified notified, mcp::SentKey on);
  std::optional<mcp::RequestId> client_of(mcp::SentKey on) const;

  // To the server; false: too much is in flight.
  bool send(std::string_view method, Json params, Waiting waiting, mcp::SentKey* key = nullptr);
  // Asks the client's user on the stream of that request.
  AskUser asker(const mcp::RequestId& about);
  bool take_answer(const mcp::Response& response);
  std::function<void(Json)> progress_to_client(const mcp::RequestId& id, const Json& params,
                                               std::function<bool(Json&)> look) const;
  // What the policy says of what is no tool's answer; false: it is withheld.
  bool pass_results(std::string_view method, Json& value) const;
  bool is_open(std::string_view method) const;
  bool shows(const UpstreamTool& tool) const;
  // Why a task may not be spoken of: its tool is this client's no longer; nullopt: it may.
  std::optional<Decision> barred(const RelayTask& task) const;
  bool is_pending(const mcp::RequestId& id, std::uint64_t serial) const;
  void answer(const mcp::RequestId& id, Json result);
  void refuse(const mcp::RequestId& id, const mcp::RpcError& error);
  void refuse(const mcp::RequestId& id, const Error& error);
  void refuse_raw(const mcp::RequestId& id, Json error);
  void shape_answer(std::string_view method, const mcp::RequestId& id, Json& result);
  void note(std::string_view text);
  void tell_of_list() const;
  void compare_with_shown();
  void tell_of_tools();
  void end_request(const mcp::RequestId& id, const std::function<std::string(const mcp::RequestId&)>& write, int error);

  Deps deps_;
  std::shared_ptr<class EraBridge> bridge_;
  mcp::ClientSession server_;
  UpstreamTools tools_;
  RelayTasks tasks_;
  std::string prefix_;
  std::map<mcp::SentKey, Waiting> waiting_;
  std::map<mcp::RequestId, ClientRequest> requests_;
  std::map<mcp::RequestId, Asking> asked_;                         // the server's, by the id that the client was given
  std::map<mcp::RequestId, std::function<void(Json)>> questions_;  // the gate's own
  std::optional<std::vector<std::string>> shown_;                  // the names that the client was given last
  std::uint64_t last_serial_ = 0;
  std::int64_t last_asked_ = 0;
  std::size_t notices_ = 0;
  bool initialized_ = false, ready_ = false;  // `initialize` was answered; the client said so
  bool offers_form_ = false;                  // the client said in `initialize` that it shows its user forms,
  bool shows_form_ = false;                   // and agreed on a revision that has them
  bool offers_tasks_ = false;                 // the server said so
  bool tells_of_tools_ = false;               // the server said that it tells of changes,
  bool hears_ = true;                         // and is heard
  bool closed_ = false, server_gone_ = false;
};

}  // namespace sluice::gateway
