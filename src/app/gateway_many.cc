// One client on our standard input and output, several servers behind it: `sluice gateway --config FILE`. Each has a
// core of its own (its gate, pins and audit lines), and a switchboard in front of all.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/commands.h"
#include "app/gateway_core.h"
#include "app/gateway_servers.h"
#include "gateway/switchboard.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kEnded = "has ended; its tools are gone";
constexpr std::chrono::seconds kLeave{12};  // for servers to end: somewhat more than twice ChildUpstream::kGrace

class ManyGateway {
 public:
  explicit ManyGateway(asio::io_context& control) : control_(control) {}
  ~ManyGateway();

  Status build(const Config& config, const Home& home);
  int run();

 private:
  struct Server {
    Config config;
    std::unique_ptr<GatewayCore> core;
    std::shared_ptr<gateway::Relay> relay;
    std::shared_ptr<gateway::ChildUpstream> child;  // null: it is reached over HTTP
    std::shared_ptr<gateway::Upstream> upstream;    // null: it is gone
    std::unique_ptr<asio::steady_timer> grace;      // from its program's end to that of its output
    bool leaving = false;
  };
  using Lane = gateway::Switchboard::Lane;

  Status build_server(const Config& config, const Home& home, GatewayServer server);
  void connect(Lane lane);
  Status open(Lane lane);
  void child_ended(Lane lane);
  void ended(Lane lane, std::string_view why);
  void let_go(Lane lane);
  void leave(int code);
  void resume_client();
  void hold_servers(bool hold);
  void wait_for_signals();

  asio::io_context& control_;
  SystemClock clock_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::shared_ptr<gateway::Switchboard> board_;
  std::unique_ptr<gateway::StdioTransport> client_;
  asio::signal_set signals_{control_, SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{control_};
  std::size_t leaving_ = 0;  // servers that were told to end
  bool left_ = false;
  int code_ = 0;
};

constexpr ByteCount kMostPending = gateway::StdioTransport::kMaxPending;

ManyGateway::~ManyGateway() {
  for (const auto& server : servers_) {
    server->child.reset();
    server->upstream.reset();
    if (server->core) server->core->stop();
  }
}

Status ManyGateway::build(const Config& config, const Home& home) {
  SLUICE_TRY(auto servers, read_gateway_servers(config.gateway_config));
  gateway::Switchboard::Deps deps{clock_, SLUICE_VERSION, {}, {}, {}};
  deps.to_client = [this](std::string text) {
    if (!client_) return;
    client_->send(std::move(text));
    if (client_->pending() > kMostPending) hold_servers(true);
  };
  deps.notice = [this](std::string_view name, std::string_view text) {
    for (const auto& server : servers_) {
      if (server->config.server_name == name) server->core->notices()(text);
    }
  };
  deps.let_go = [this](Lane lane) { asio::post(control_, [this, lane] { let_go(lane); }); };
  board_ = gateway::Switchboard::create(std::move(deps));
  for (GatewayServer& server : servers) SLUICE_CHECK(build_server(config, home, std::move(server)));
  for (Lane lane = 0; lane < servers_.size(); ++lane) connect(lane);
  SLUICE_TRY(client_, gateway::StdioTransport::create(
                          control_.get_executor(),
                          {STDIN_FILENO, STDOUT_FILENO, McpLimits{}.max_message, [this] { hold_servers(false); }},
                          board_, [this] { leave(0); }));
  return {};
}

// What is wrong with the set-up of one ends the start: its policy is what the person meant to be in force.
Status ManyGateway::build_server(const Config& config, const Home& home, GatewayServer server) {
  if (server.policy.empty()) server.policy = config.engine.policy;
  if (server.policy.empty()) {
    return fail(Code::kInvalid, server.name + " has no `policy`, and there is no --policy for all");
  }
  auto own = std::make_unique<Server>();
  own->config = config;
  own->config.server_name = server.name;
  own->config.server_command = std::move(server.command);
  own->config.server_environment = std::move(server.environment);
  own->config.engine.upstream = std::move(server.url);
  own->config.server_fields = std::move(server.fields);
  own->config.engine.policy = std::move(server.policy);
  own->config.pin_mode = std::move(server.pins);
  own->config.upstream_token.reset();  // it would go to all of them
  own->core = std::make_unique<GatewayCore>(own->config, home, control_);
  Server* const held = own.get();
  const bool first = servers_.empty();
  GatewayCore::Hooks hooks;
  hooks.look_again = [held] {
    if (held->relay) held->relay->look_again();
  };
  hooks.tick = [this, held, first] {
    if (held->relay) held->relay->tick();
    if (first) board_->tick();
  };
  if (const Status built = own->core->build(std::move(hooks)); !built) {
    return fail(built.error().code, fmt::format("{}: {}", server.name, built.error().message));
  }
  (void)board_->add(server.name);
  servers_.push_back(std::move(own));
  return {};
}

void ManyGateway::connect(Lane lane) {
  if (const Status opened = open(lane); !opened) ended(lane, opened.error().message);
}

Status ManyGateway::open(Lane lane) {
  Server& server = *servers_[lane];
  GatewayCore::Wires wires;
  wires.to_client = [this, lane](gateway::ToClient out) { board_->from_lane(lane, out.text); };
  wires.to_server = [this, held = &server](std::string text) {
    if (!held->upstream) return;
    held->upstream->send(std::move(text));
    if (client_ && held->upstream->pending() > kMostPending) client_->hold_reading(true);
  };
  server.relay = server.core->make_relay({"default", "stdio"}, std::move(wires));
  gateway::UpstreamEvents events = gateway::events_of(server.relay, server.core->notices());
  events.drained = [this] { resume_client(); };
  events.ended = [this, lane] { ended(lane, kEnded); };
  events.session_lost = [this, lane, told = events.session_lost] {
    told();
    // What waited is told first.
    asio::post(control_, [this, lane] { board_->lane_reset(lane); });
  };
  if (server.core->has_child()) {
    SLUICE_TRY(server.child,
               server.core->start_child(std::move(events), [this, lane](int, bool) { child_ended(lane); }));
    server.upstream = server.child;
  } else {
    SLUICE_TRY(server.upstream, server.core->connect(std::move(events)));
  }
  board_->connect(lane, server.relay);
  return {};
}

// What it wrote before its end is still to be read, unless somebody else holds its output.
void ManyGateway::child_ended(Lane lane) {
  Server& server = *servers_[lane];
  if (left_ || server.leaving) return;
  server.grace = std::make_unique<asio::steady_timer>(control_, gateway::ChildUpstream::kGrace);
  server.grace->async_wait([this, lane](const boost::system::error_code& error) {
    if (!error) ended(lane, kEnded);
  });
}

void ManyGateway::ended(Lane lane, std::string_view why) {
  Server& server = *servers_[lane];
  if (left_ || server.leaving) return;
  server.core->notices()(why);
  if (server.relay) server.relay->server_ended();
  board_->lane_ended(lane);
  let_go(lane);
}

void ManyGateway::let_go(Lane lane) {
  Server& server = *servers_[lane];
  if (server.leaving || !server.upstream) return;
  server.leaving = true;
  server.relay->close();
  ++leaving_;
  server.upstream->close([this] {
    if (--leaving_ == 0 && left_) control_.stop();
  });
}

// Its client went, or somebody ends it.
void ManyGateway::leave(int code) {
  if (left_) return;
  left_ = true;
  code_ = code;
  board_->close();
  ++leaving_;  // until all have been told
  for (Lane lane = 0; lane < servers_.size(); ++lane) let_go(lane);
  grace_.expires_after(kLeave);
  grace_.async_wait([this](const boost::system::error_code& error) {
    if (!error) control_.stop();
  });
  if (--leaving_ == 0) control_.stop();
}

void ManyGateway::resume_client() {
  if (!client_) return;
  for (const auto& server : servers_) {
    if (server->upstream && !server->leaving && server->upstream->pending() > kMostPending) return;
  }
  client_->hold_reading(false);
}

void ManyGateway::hold_servers(bool hold) {
  for (const auto& server : servers_) {
    if (server->upstream && !server->leaving) server->upstream->hold_reading(hold);
  }
}

// Programs get the signal, and have as long to end as if their client had gone.
void ManyGateway::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    for (const auto& server : servers_) {
      if (server->child) server->child->signal(number);
    }
    leave(128 + number);
    wait_for_signals();
  });
}

int ManyGateway::run() {
  wait_for_signals();
  control_.run();
  board_->close();
  client_->stop();
  return code_;
}

}  // namespace

int run_gateway_on_many(const Config& config, const Home& home) {
  asio::io_context control{1};
  ManyGateway gateway(control);
  if (const Status built = gateway.build(config, home); !built) return report(built.error());
  return gateway.run();
}

}  // namespace sluice::app
