// One client on our standard input and output, several servers behind it.
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/commands.h"
#include "app/gateway_many.h"
#include "gateway/stdio_transport.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kLeave{12};  // for servers to end: somewhat more than twice ChildUpstream::kGrace
// Whoever is too slow to read has the other wait.
constexpr ByteCount kMostPending = gateway::StdioTransport::kMaxPending;

class ManyGateway {
 public:
  Status build(const Config& config, const Home& home);
  int run();

 private:
  void tick();
  void resume_client();
  void leave(int code);
  void wait_for_signals();

  asio::io_context control_{1};
  ManyServers servers_{control_};
  gateway::Caller caller_;
  std::shared_ptr<gateway::ManyBackend> backend_;
  std::unique_ptr<gateway::StdioTransport> client_;
  asio::signal_set signals_{control_, SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{control_};
  bool left_ = false, grant_ended_ = false;
  int code_ = 0;
};

Status ManyGateway::build(const Config& config, const Home& home) {
  GatewayCore::Hooks hooks;
  hooks.look_again = [this] {
    if (backend_) backend_->look_again();
  };
  hooks.tick = [this] { tick(); };
  SLUICE_CHECK(servers_.build(config, home, std::move(hooks)));
  SLUICE_TRY(caller_, servers_.identify());
  gateway::Backend::Events events;
  events.to_client = [this](gateway::ToClient out) {
    if (!client_ || out.text.empty()) return;
    client_->send(std::move(out.text));
    if (client_->pending() > kMostPending) backend_->hold_reading(true);
  };
  events.ended = [] {};
  const auto full = [this] {
    if (client_) client_->hold_reading(true);
  };
  SLUICE_TRY(backend_, servers_.connect(caller_, gateway::ClientEra::kLegacy, std::move(events), full,
                                        [this] { resume_client(); }));
  SLUICE_TRY(client_, gateway::StdioTransport::create(control_.get_executor(),
                                                      {STDIN_FILENO, STDOUT_FILENO, McpLimits{}.max_message,
                                                       [this] { backend_->hold_reading(false); }},
                                                      backend_->session(), [this] { leave(0); }));
  return {};
}

void ManyGateway::tick() {
  if (!backend_) return;
  backend_->tick();
  if (servers_.grants().is_valid(caller_)) return;
  grant_ended_ = true;
  control_.stop();
}

void ManyGateway::resume_client() {
  if (client_ && backend_->unread() <= kMostPending) client_->hold_reading(false);
}

// Its client went, or somebody ends it.
void ManyGateway::leave(int code) {
  if (left_) return;
  left_ = true;
  code_ = code;
  grace_.expires_after(kLeave);
  grace_.async_wait([this](const boost::system::error_code& error) {
    if (!error) control_.stop();
  });
  backend_->stop();
  backend_->close([this] { control_.stop(); });
}

// Programs get the signal, and have as long to end as if their client had gone.
void ManyGateway::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    servers_.signal(number);
    leave(128 + number);
    wait_for_signals();
  });
}

int ManyGateway::run() {
  wait_for_signals();
  control_.run();
  backend_->stop();
  client_->stop();
  backend_.reset();
  if (grant_ended_) return report({Code::kRefused, "the grant " + caller_.grant + " has ended"});
  return code_;
}

}  // namespace

int run_gateway_on_stdio(const Config& config, const Home& home) {
  ManyGateway gateway;
  if (const Status built = gateway.build(config, home); !built) return report(built.error());
  return gateway.run();
}

}  // namespace sluice::app
