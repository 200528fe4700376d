// One client on our standard input and output, one server behind it.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/commands.h"
#include "app/gateway_core.h"
#include "gateway/stdio_transport.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

class StdioGateway {
 public:
  explicit StdioGateway(GatewayCore& core) : core_(core) {}

  Status build();
  int run();

 private:
  Result<gateway::Caller> identify();
  Status connect();
  void wait_for_signals();
  void on_signal(int number);
  void child_ended(int code, bool killed);
  void output_ended();
  void client_left();
  void end_server();
  void finish(int code);
  void finish_after(int code);
  void client_drained();

  GatewayCore& core_;
  gateway::Caller caller_;
  std::shared_ptr<gateway::Relay> relay_;
  std::unique_ptr<gateway::StdioTransport> client_;
  std::shared_ptr<gateway::ChildUpstream> child_;  // null: the server is reached over HTTP
  std::shared_ptr<gateway::Upstream> server_;
  asio::signal_set signals_{core_.control(), SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{core_.control()};
  bool client_left_ = false, server_gone_ = false, finished_ = false, grant_ended_ = false;
  int code_ = 0;
};

Result<gateway::Caller> StdioGateway::identify() {
  const Config& config = core_.config();
  if (config.grant.empty()) return gateway::Caller{"default", "stdio"};
  SLUICE_TRY(gateway::Identity who,
             core_.grants().identify_stdio(config.grant, config.grant_token ? config.grant_token->view() : ""));
  who.caller.session = "stdio";
  return who.caller;
}

Status StdioGateway::build() {
  SLUICE_CHECK(core_.build({[this] {
                              if (relay_) relay_->look_again();
                            },
                            [this] {
                              if (relay_) relay_->tick();
                              if (core_.grants().is_valid(caller_)) return;
                              grant_ended_ = true;
                              core_.control().stop();
                            }}));
  SLUICE_TRY(caller_, identify());  // behind the start, which reads grants and their policies
  return connect();
}

Status StdioGateway::connect() {
  // Whoever is too slow to read has the other wait.
  constexpr ByteCount kMost = gateway::StdioTransport::kMaxPending;
  GatewayCore::Wires wires;
  wires.to_client = [this](gateway::ToClient out) {
    if (!client_) return;
    client_->send(std::move(out.text));
    if (server_ && client_->pending() > kMost) server_->hold_reading(true);
  };
  wires.to_server = [this](std::string text) {
    if (!server_) return;
    server_->send(std::move(text));
    if (client_ && server_->pending() > kMost) client_->hold_reading(true);
  };
  relay_ = core_.make_relay(caller_, std::move(wires));
  gateway::UpstreamEvents events = gateway::events_of(relay_, core_.notices());
  events.drained = [this] {
    if (client_) client_->hold_reading(false);
  };
  events.ended = [this] { output_ended(); };
  if (core_.has_child()) {
    SLUICE_TRY(child_,
               core_.start_child(std::move(events), [this](int code, bool killed) { child_ended(code, killed); }));
    server_ = child_;
  } else {
    SLUICE_TRY(server_, core_.connect(std::move(events)));
  }
  SLUICE_TRY(client_, gateway::StdioTransport::create(
                          core_.control().get_executor(),
                          {STDIN_FILENO, STDOUT_FILENO, core_.limits().max_message, [this] { client_drained(); }},
                          relay_, [this] { client_left(); }));
  return {};
}

void StdioGateway::child_ended(int code, bool killed) {
  if (killed && client_left_) return finish(0);
  code_ = code;
  if (client_left_ || server_gone_) return finish(code);
  // What it wrote before its end is still to be read, unless somebody else holds its output.
  finish_after(code);
}

void StdioGateway::output_ended() {
  server_gone_ = true;
  relay_->server_ended();
  if (child_->has_ended()) {
    finish(code_);
  } else {
    end_server();
  }
}

void StdioGateway::client_left() {
  client_left_ = true;
  end_server();
}

void StdioGateway::end_server() {
  server_->close([this] {
    if (!child_) finish(code_);
  });
}

void StdioGateway::finish_after(int code) {
  grace_.expires_after(gateway::ChildUpstream::kGrace);
  grace_.async_wait([this, code](const boost::system::error_code& error) {
    if (!error) finish(code);
  });
}

void StdioGateway::client_drained() {
  if (server_) server_->hold_reading(false);
  if (finished_) core_.control().stop();
}

// Called once the server is gone, or is to be gone now. What the client was sent is still written.
void StdioGateway::finish(int code) {
  code_ = client_left_ && code == 128 + SIGTERM ? 0 : code;
  if (finished_ || client_left_ || !client_ || client_->pending() == 0) return core_.control().stop();
  finished_ = true;
  finish_after(code);
}

// A program gets the signal, and one that does not end when it is told to is ended. A server over HTTP is left.
void StdioGateway::on_signal(int number) {
  if (!child_) {
    code_ = 128 + number;
    relay_->close();
    end_server();
  } else {
    child_->signal(number);
    if (number == SIGTERM) finish_after(128 + SIGTERM);
  }
  wait_for_signals();
}

void StdioGateway::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (!error) on_signal(number);
  });
}

int StdioGateway::run() {
  wait_for_signals();
  core_.control().run();
  relay_->close();
  if (client_) client_->stop();
  child_.reset();
  server_.reset();
  core_.stop();
  if (grant_ended_) return report({Code::kRefused, "the grant " + caller_.grant + " has ended"});
  return code_;
}

}  // namespace

int run_gateway_on_stdio(GatewayCore& core) {
  StdioGateway gateway(core);
  if (const Status built = gateway.build(); !built) return report(built.error());
  return gateway.run();
}

}  // namespace sluice::app
