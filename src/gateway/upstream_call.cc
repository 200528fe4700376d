#include "gateway/upstream_call.h"

#include "base/json_spelling.h"
#include "gateway/policy_gate.h"
#include "gateway/relay_rules.h"

namespace sluice::gateway {
namespace {

// gate.md 4: the server says that it did nothing.
bool did_nothing(const Json& error) {
  const int code = error["code"].get<int>();
  return code == mcp::rpc::kParseError || code == mcp::rpc::kInvalidRequest || code == mcp::rpc::kMethodNotFound ||
         code == mcp::rpc::kInvalidParams;
}

}  // namespace

UpstreamCall::UpstreamCall(const std::weak_ptr<Relay>& relay, mcp::RequestId id, std::string method, Json params,
                           std::shared_ptr<const UpstreamTool> tool)
    : relay_(relay),
      id_(std::move(id)),
      server_(relay.lock()->deps_.name.server),
      method_(std::move(method)),
      name_(subject_of(method_, params)),
      params_(std::move(params)),
      tool_(std::move(tool)) {}

std::string_view UpstreamCall::governing() const { return governing_method(method_); }

// What is passed on is what the client said.
Result<Json> UpstreamCall::parse(const Json& arguments) const {
  return with_defaults(tool_ ? tool_->schema : Json(), plain_json(arguments));
}

policy::Spellings UpstreamCall::spellings(const Json& arguments) const {
  const Json* given = find_member(params_, "arguments");
  return given ? spellings_of(*given, arguments) : policy::Spellings();
}

std::optional<Decision> UpstreamCall::barred() const {
  if (!tool_ || !tool_->quarantined) return std::nullopt;
  Decision decision;
  decision.allow = false;
  decision.rule = "(quarantined)";
  decision.message = "Tool \"" + name_ + "\" is new or has changed, and nobody has accepted it yet";
  return decision;
}

void UpstreamCall::drop_retry() {
  params_.erase("requestState");
  params_.erase("inputResponses");
}

void UpstreamCall::send(const Presenter& presenter, const Presenter::View& view, Done done) {
  const auto relay = relay_.lock();
  if (!relay || relay->server_gone_)
    return done(fail(Code::kUnavailable, "the server has ended"), {"error", "", false});
  presenter_ = &presenter;
  view_ = &view;
  done_ = std::move(done);
  if (begin(*relay)) return;
  auto tell = std::move(done_);
  done_ = nullptr;
  tell(fail(Code::kUnavailable, "too many requests wait for this server's answers; try again"), {"error", "", false});
}

bool UpstreamCall::begin(Relay& relay) {
  const auto look = [this](Json& params) {
    const Json* message = view_ ? find_member(params, "message") : nullptr;
    if (message && message->is_string() && view_->results) {
      params["message"] = presenter_->progress(message->get_ref<const std::string&>(), *view_);
    }
    return view_ != nullptr;
  };
  Relay::Waiting waiting{
      [self = shared_from_this()](mcp::ClientSession::Answered answered) { self->take(std::move(answered)); },
      relay.progress_to_client(id_, params_, look), id_, false};
  Json params = params_;
  return relay.send(method_, std::move(params), std::move(waiting), &sent_);
}

// The server's list says by now what stands beside a body: once, and only where the tool is otherwise what was decided
// on (MCP 2026-07-28 "Custom Headers: Client Behavior").
bool UpstreamCall::refresh(const std::shared_ptr<Relay>& relay, const mcp::ClientSession::Answered& answered) {
  if (refreshed_ || !tool_ || !answered.is_error || answered.unsent) return false;
  if (!relay->deps_.over_http || answered.body["code"] != mcp::rpc::kHeaderMismatch) return false;
  refreshed_ = true;
  relay->tools_.want(UpstreamTools::Freshness::kNew, connection_meta(params_),
                     [self = shared_from_this(), answered](const UpstreamTools::Failure& failure) {
                       const auto there = self->relay_.lock();
                       if (!self->done_ || !there) return;
                       const auto tool = failure ? nullptr : there->tools_.find(self->name_);
                       const bool same =
                           tool && !tool->quarantined &&
                           without_header_marks(tool->schema) == without_header_marks(self->tool_->schema);
                       if (!same || !self->begin(*there)) self->take(answered);
                     });
  return true;
}

void UpstreamCall::take(mcp::ClientSession::Answered answered) {
  if (!done_) return;
  const auto relay = relay_.lock();
  if (relay && refresh(relay, answered)) return;
  const Done done = std::move(done_);
  done_ = nullptr;
  if (!relay) return;
  answered_ = true;
  CallEnd end;
  if (answered.is_error) {
    end = {"error", "", !answered.unsent && !did_nothing(answered.body)};
    auto error = presenter_->foreign(*view_, std::move(answered.body), false);
    if (error) {
      error_ = *std::move(error);
      return done(fail(Code::kConflict, "the server answered with an error"), end);
    }
    return done(fail(std::move(error).error()), end);
  }
  const auto is_open = [&](std::string_view method) { return relay->is_open(method); };
  if (const auto closed = closed_input(answered.body, is_open)) {
    end.status = "withheld";
    answered_ = false;
    const std::string text = "[POLICY DENIED] The server asks for " +
                             (closed->empty() ? "something unknown" : *closed) + ", which the policy closes";
    if (is_tool()) return done(presenter_->plain_failure(text, nullptr), end);
    return done(fail(Code::kRefused, text), end);
  }
  const Json* failed = find_member(answered.body, "isError");
  if (failed && *failed == true) end.status = "error";
  auto shown = presenter_->foreign(*view_, std::move(answered.body), is_tool());
  done(std::move(shown), end);
}

void UpstreamCall::stop() {
  if (!done_) return;
  done_ = nullptr;
  view_ = nullptr;
  const auto relay = relay_.lock();
  if (!relay) return;
  relay->waiting_.erase(sent_);
  if (auto text = relay->server_.cancel(sent_, cancel_params_)) relay->deps_.to_server(*std::move(text));
}

}  // namespace sluice::gateway
