// Clients over HTTP in front of one backend: a legacy session, which has it for itself, or all modern requests of one
// grant, which share it (gate.md 9, isolation). Control thread only. Held by shared_ptr, since
// answers come later.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "gateway/backend.h"
#include "gateway/http_reply.h"
#include "gateway/kept_streams.h"

namespace sluice::gateway {

class RelayClients : public std::enable_shared_from_this<RelayClients> {
 public:
  virtual ~RelayClients() = default;

  virtual bool is_busy() const = 0;  // somebody waits for something
  // The server went, or forgot us: nobody can go on here, and who waits is being told so.
  bool has_ended() const { return ended_; }
  // Whoever waits gets `why`, then the server is told; `gone` when nothing of it is left.
  void close(const HttpAnswer& why, std::function<void()> gone);

  const Caller& caller() const { return backend_->caller(); }
  Backend& backend() { return *backend_; }
  MonoTime used{}, made{};

 protected:
  // The server does not read what it is sent: nothing more is taken for it.
  static constexpr ByteCount kMaxUnread = 8 * kMiB;
  bool is_stuck() const;
  Status open(const BackendFactory& factory, const Caller& caller, ClientEra era);
  virtual void to_client(ToClient out) = 0;
  virtual void let_go(const HttpAnswer& why) = 0;

  std::shared_ptr<Backend> backend_;

 private:
  bool ended_ = false, closed_ = false;
};

// gate.md 9: a disconnection does not cancel; what is not heard is kept.
class LegacyClient final : public RelayClients {
 public:
  // kUnavailable: its server cannot be started.
  static Result<std::shared_ptr<LegacyClient>> create(const BackendFactory& factory, const Caller& caller);

  // A POST. `primed`: its client knows events that say an id alone.
  void post(mcp::Message message, const std::shared_ptr<HttpReply>& reply, bool primed);
  // A GET. False: nobody can go on behind that id.
  bool listen(const std::shared_ptr<HttpReply>& reply, const std::optional<std::string>& last_event_id);
  // The fields of the answer to `initialize`.
  void set_fields(std::vector<std::pair<std::string, std::string>> fields) { fields_ = std::move(fields); }
  bool failed() const { return failed_; }  // `initialize` was refused, or its client did not wait for the answer

  bool waits() const { return !waiting_.empty(); }
  bool is_busy() const override { return waits() || streams_.is_heard(KeptStreams::kOwn); }

 private:
  struct Waiting {
    KeptStreams::Number stream = 0;
    bool call = false;  // may be what the server speaks of when it does not say of what
    bool initialize = false;
  };
  void to_client(ToClient out) override;
  void let_go(const HttpAnswer& why) override { streams_.close(why); }
  KeptStreams::Number stream_of(const std::optional<mcp::RequestId>& about) const;

  KeptStreams streams_;
  std::map<mcp::RequestId, Waiting> waiting_;
  std::vector<std::pair<std::string, std::string>> fields_;
  bool failed_ = false;
};

// gate.md 9, 10: each POST is its own scope, and closing it cancels.
class ModernClients final : public RelayClients {
 public:
  static Result<std::shared_ptr<ModernClients>> create(const BackendFactory& factory, const Caller& caller);

  void post(mcp::Request request, const std::shared_ptr<HttpReply>& reply);
  bool is_busy() const override { return !waiting_.empty(); }

 private:
  void to_client(ToClient out) override;
  void let_go(const HttpAnswer& why) override;

  std::map<mcp::RequestId, std::weak_ptr<HttpReply>> waiting_;  // by ids of our own: clients may use the same ones
  std::int64_t last_ = 0;
};

}  // namespace sluice::gateway
