// One ServerSession with the dispatcher behind it: feeds messages, runs the operations they ask for, and hands out what
// is to be written, told by the operation that it belongs to. Shared by the stdio and HTTP transports.
// Control thread only. Held by shared_ptr, since completions come later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "gateway/dispatcher.h"
#include "mcp/mcp.h"

namespace sluice::gateway {

struct Outgoing {
  mcp::OperationKey stream;  // 0: the session's own channel
  std::string text;          // one message; empty: only the end of an operation that gets no answer
  bool last = false;         // ends its operation
  int http_status = 200;     // of a last one
};

class SessionDriver : public std::enable_shared_from_this<SessionDriver> {
 public:
  using Send = std::function<void(Outgoing)>;

  // `profile` and `dispatcher` outlive the driver.
  static std::shared_ptr<SessionDriver> create(const mcp::ServerProfile& profile, mcp::Scope scope,
                                               Dispatcher& dispatcher, Caller caller, Send send);

  // Stops what the message cancelled. An operation in the step is the caller's to begin().
  mcp::Step feed(mcp::Message message);
  // What came was longer than a message may be.
  void count_malformed() { dispatcher_.count_malformed(caller_); }
  void begin(mcp::Operation operation);

  // Its client went away (modern HTTP).
  void cancel(mcp::OperationKey key);
  // Everything ends; nothing is sent any more.
  void close();

  std::size_t in_flight() const { return session_.in_flight(); }
  std::size_t calls() const { return calls_.size(); }  // of them, those that will have an outcome
  bool initialized() const { return session_.revision().has_value(); }
  const Caller& caller() const { return caller_; }
  // By which the grant is known from now on: its token was rotated.
  void set_credential(std::string credential) { caller_.credential = std::move(credential); }

 private:
  SessionDriver(const mcp::ServerProfile& profile, mcp::Scope scope, Dispatcher& dispatcher, Caller caller, Send send)
      : session_(profile, scope), dispatcher_(dispatcher), caller_(std::move(caller)), send_(std::move(send)) {}

  void call(mcp::OperationKey key, const mcp::RequestContext& context, mcp::OperationBody body);
  void listen(mcp::OperationKey key, mcp::SubscriptionFilter filter);
  void complete(mcp::OperationKey key, Result<Json> outcome);
  void watch_again();
  void watch_tools();
  void stop(mcp::OperationKey key);
  // Asks the client's user on the stream of that operation.
  AskUser asker(mcp::OperationKey key);
  void take_response(const mcp::Response& response);

  struct Question {  // of ours, without an answer
    mcp::OperationKey about;
    std::function<void(Json)> answered;
  };
  mcp::ServerSession session_;
  Dispatcher& dispatcher_;
  Caller caller_;
  Send send_;
  std::map<mcp::OperationKey, std::shared_ptr<RunningCall>> calls_;
  std::map<mcp::RequestId, Question> questions_;
  std::int64_t last_question_ = 0;
  Dispatcher::Subscription subscription_, tools_watch_;
  bool closed_ = false;
};

}  // namespace sluice::gateway
