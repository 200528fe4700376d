// Several servers behind one set of clients: a relay and a server each, and a switchboard in front of all. One that
// cannot be started, or ends, takes its tools with it; the others go on. Control thread only. Held by shared_ptr.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <vector>

#include "gateway/backend.h"
#include "gateway/switchboard.h"

namespace sluice::gateway {

class ManyBackend final : public Backend, public std::enable_shared_from_this<ManyBackend> {
 public:
  // One that is sent more than this without reading it is let go, where nobody can hold its client back instead.
  static constexpr ByteCount kMaxUnread = 8 * kMiB;

  struct Server {  // in the order in which their lists are shown
    std::string name;
    RelayFactory factory;
    std::function<bool(const Caller&)> admits;  // whose grant is for it
  };
  struct Options {
    boost::asio::any_io_executor control;
    const Clock& clock;
    std::string version;  // of the gateway, for clients
    // Of one client that can be held back: a server does not read what it is sent, and has read all of it.
    std::function<void()> full = {}, drained = {};
  };
  // kRefused: no server is for this caller.
  static Result<std::shared_ptr<ManyBackend>> create(Options options, const std::vector<Server>& servers,
                                                     const Caller& caller, ClientEra era, Events events);

  void take(mcp::Message message, std::optional<mcp::RequestId> as) override {
    board_->take(std::move(message), std::move(as));
  }
  void withdraw(const mcp::RequestId& id) override { board_->withdraw(id); }
  std::shared_ptr<const UpstreamTool> tool(std::string_view name) const override;
  const Caller& caller() const override { return caller_; }
  void set_caller(Caller caller) override;
  ByteCount unread() const override;  // of the one that has read the least
  bool is_worn() const override { return worn_; }
  void tick() override;
  void look_again() override;
  void stop() override { board_->close(); }
  void close(std::function<void()> gone) override;

  // For one client on two pipes.
  std::shared_ptr<LineSession> session() const { return board_; }
  void hold_reading(bool hold);

 private:
  struct Lane {
    std::string name;
    std::function<void(std::string_view)> notice;
    std::shared_ptr<Relay> relay;
    std::shared_ptr<Upstream> upstream;  // null: it never was
    bool leaving = false;
  };
  using Number = Switchboard::Lane;

  ManyBackend(Options options, Caller caller, Events events)
      : options_(std::move(options)), caller_(std::move(caller)), events_(std::move(events)) {}
  Status open(const std::vector<Server>& servers, ClientEra era);
  Status connect(Number number, const RelayFactory& factory, ClientEra era);
  void send(Number number, std::string text);
  void ended(Number number, std::string_view why);
  void let_go(Number number);
  // Not from within: who calls is still at work.
  void later(Number number, void (ManyBackend::*then)(Number));
  void reset(Number number) { board_->lane_reset(number); }
  void choke(Number number) { ended(number, "does not read what it is sent; its tools are gone"); }

  const Options options_;
  Caller caller_;
  const Events events_;
  std::vector<Lane> lanes_;
  std::shared_ptr<Switchboard> board_;
  std::size_t leaving_ = 0;  // servers that were told to end
  std::function<void()> gone_;
  bool worn_ = false, closed_ = false;
};

}  // namespace sluice::gateway
