#include "gateway/backend.h"

#include <utility>

#include "gateway/era_bridge.h"

namespace sluice::gateway {
namespace {

class OneBackend final : public Backend, public std::enable_shared_from_this<OneBackend> {
 public:
  explicit OneBackend(Events events) : events_(std::move(events)) {}
  Status open(const RelayFactory& factory, const Caller& caller, ClientEra era);

  void take(mcp::Message message, std::optional<mcp::RequestId> as) override {
    relay_->take(std::move(message), std::move(as));
  }
  void withdraw(const mcp::RequestId& id) override { relay_->withdraw(id); }
  std::shared_ptr<const UpstreamTool> tool(std::string_view name) const override { return relay_->tool(name); }
  const Caller& caller() const override { return relay_->caller(); }
  void set_caller(Caller caller) override { relay_->set_caller(std::move(caller)); }
  ByteCount unread() const override {
    return upstream_->pending() + (relay_->bridge() ? relay_->bridge()->queued() : 0);
  }
  bool is_worn() const override { return false; }
  void tick() override { relay_->tick(); }
  void look_again() override { relay_->look_again(); }
  void stop() override { relay_->close(); }
  void close(std::function<void()> gone) override { upstream_->close(std::move(gone)); }

 private:
  Events events_;
  std::shared_ptr<Relay> relay_;
  std::shared_ptr<Upstream> upstream_;
};

Status OneBackend::open(const RelayFactory& factory, const Caller& caller, ClientEra era) {
  const std::weak_ptr<OneBackend> weak = weak_from_this();
  relay_ = factory.make_relay(
      caller, era,
      [weak](ToClient out) {
        if (const auto self = weak.lock()) self->events_.to_client(std::move(out));
      },
      [weak](std::string text) {
        const auto self = weak.lock();
        if (self && self->upstream_) self->upstream_->send(std::move(text));
      });
  UpstreamEvents events = events_of(relay_, factory.notice);
  events.ended = [weak, relay = std::weak_ptr(relay_)] {
    if (const auto to = relay.lock()) to->server_ended();
    if (const auto self = weak.lock()) self->events_.ended();
  };
  events.session_lost = [weak, told = events.session_lost] {
    told();
    if (const auto self = weak.lock()) self->events_.ended();
  };
  SLUICE_TRY(upstream_, factory.connect(caller, era, std::move(events)));
  return {};
}

}  // namespace

Result<std::shared_ptr<Backend>> make_backend(const RelayFactory& factory, const Caller& caller, ClientEra era,
                                              Backend::Events events) {
  auto backend = std::make_shared<OneBackend>(std::move(events));
  SLUICE_CHECK(backend->open(factory, caller, era));
  return std::shared_ptr<Backend>(std::move(backend));
}

}  // namespace sluice::gateway
