// One request of a client that goes to an upstream server through the dispatcher: private to the relay.
#pragma once

#include <memory>
#include <string>

#include "gateway/callee.h"
#include "gateway/relay.h"

namespace sluice::gateway {

class UpstreamCall final : public Callee, public std::enable_shared_from_this<UpstreamCall> {
 public:
  // `id` as the relay knows it; `params` as the client gave them; `tool` of a tools/call; `task` of what is asked of
  // one.
  UpstreamCall(const std::weak_ptr<Relay>& relay, mcp::RequestId id, std::string method, Json params,
               std::shared_ptr<const UpstreamTool> tool, std::shared_ptr<const RelayTask> task = nullptr);

  std::string_view server() const override { return server_; }
  std::string_view method() const override { return method_; }
  std::string_view governing() const override;
  std::string_view name() const override { return name_; }
  std::optional<tools::Risk> risk() const override { return std::nullopt; }
  Result<Json> parse(const Json& arguments) const override;
  policy::Spellings spellings(const Json& arguments) const override;
  const Json* input_schema() const override { return tool_ && !tool_->schema.is_null() ? &tool_->schema : nullptr; }
  std::optional<Decision> barred() const override;
  void drop_retry() override;
  Place place() const override { return Place::kElsewhere; }
  std::optional<std::chrono::seconds> deadline() const override { return Relay::kCallDeadline; }
  void send(const Presenter& presenter, const Presenter::View& view, Done done) override;
  void stop() override;

  // The server's own error, where it answered with one.
  const Json& error() const { return error_; }
  bool was_answered() const { return answered_; }
  // What the client said of why it cancels.
  void set_cancel_params(Json params) { cancel_params_ = std::move(params); }

 private:
  bool begin(Relay& relay);  // false: too much is in flight
  void take(mcp::ClientSession::Answered answered);
  void take_error(Json error, bool unsent, const Done& done);
  // Of tasks/list: this client's own of them; false: a page without any, and another one was asked for.
  bool keep_own_tasks(Relay& relay, Json& list);
  Status name_task(Relay& relay, Json& result) const;
  std::optional<std::string> asks_for_closed(const Relay& relay, const Json& result) const;
  bool refresh(const std::shared_ptr<Relay>& relay, const mcp::ClientSession::Answered& answered);

  const std::weak_ptr<Relay> relay_;
  const mcp::RequestId id_;
  const std::string server_, method_, name_;
  Json params_;
  const std::shared_ptr<const UpstreamTool> tool_;
  const std::shared_ptr<const RelayTask> task_;
  std::size_t pages_ = 0;  // of tasks/list
  mcp::SentKey sent_;
  const Presenter* presenter_ = nullptr;
  const Presenter::View* view_ = nullptr;  // until it is done or stopped
  Done done_;
  Json error_ = nullptr, cancel_params_ = Json::object();
  bool answered_ = false, refreshed_ = false;
};

}  // namespace sluice::gateway
