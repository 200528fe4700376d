// Any number of clients over HTTP, each legacy session and each grant with a server of its own behind it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/commands.h"
#include "app/gateway_core.h"
#include "app/gateway_many.h"
#include "app/wiring.h"
#include "base/url.h"
#include "gateway/relay_http.h"
#include "net/listener.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMaxChildren = 64;    // programs of ours at once: each may be as large as a browser
constexpr std::chrono::seconds kLeave{12};  // for servers to end: somewhat more than twice ChildUpstream::kGrace

class HttpGateway {
 public:
  // Before build(): the front is there only then.
  GatewayCore::Hooks hooks() {
    return {[this] {
              if (clients_) clients_->look_again();
            },
            [this] {
              if (clients_) clients_->sweep();
            }};
  }
  ~HttpGateway();

  Status build(const GatewayFront& front);
  int run();

 private:
  void wait_for_signals();
  void leave();

  asio::io_context* control_ = nullptr;
  std::unique_ptr<gateway::RelayHttp> clients_;
  std::unique_ptr<gateway::HttpServer> server_;
  std::optional<asio::signal_set> signals_;
  std::optional<asio::steady_timer> grace_;
  bool leaving_ = false;
};

HttpGateway::~HttpGateway() {
  server_.reset();
  clients_.reset();
}

Status HttpGateway::build(const GatewayFront& front) {
  control_ = &front.control;
  signals_.emplace(front.control, SIGINT, SIGTERM, SIGHUP);
  grace_.emplace(front.control);
  SLUICE_TRY(const proxy::ListenAddress address, parse_listen(front.config.gateway_listen, "--listen"));
  SLUICE_TRY(auto acceptor, net::listen_tcp(front.control.get_executor(), address.host, address.port));
  const std::uint16_t port = acceptor.local_endpoint().port();
  gateway::RelayHttp::Deps deps{front.clock,   front.entropy,        front.identities,
                                front.factory, front.shut_out_until, front.malformed};
  const bool children = front.programs > 0;
  const std::size_t most =
      children ? std::max<std::size_t>(kMaxChildren / front.programs, 1) : front.limits.max_sessions;
  deps.max_servers = most;
  if (!front.starts_programs) (void)raise_open_files();  // programs of ours would inherit it
  clients_ = std::make_unique<gateway::RelayHttp>(
      std::move(deps), gateway::ControlGuard::Options{front.config.allow_host, true}, front.limits);
  gateway::HttpServerLimits limits;
  limits.max_body = front.limits.max_message;
  // A session has its own stream, and some requests under way.
  limits.max_connections = std::max(limits.max_connections, 4 * most);
  server_ = std::make_unique<gateway::HttpServer>(front.control, *clients_, limits,
                                                  [&log = front.log](std::string_view what) {
                                                    log.error("control_bug", {{"what", what}});
                                                  });
  server_->serve(std::move(acceptor));
  const bool token = front.config.gateway_auth == ControlAuth::kToken;
  GatewayCore::notice(fmt::format(
      "{} is at http://{}/mcp, {}", front.name, authority_text(address.host, port, 0),
      token ? "for grants, and for the token in " + front.home.token_file() : "for whoever asks (--no-auth)"));
  return {};
}

void HttpGateway::wait_for_signals() {
  signals_->async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (leaving_) ::_exit(128 + number);
    leave();
    wait_for_signals();
  });
}

void HttpGateway::leave() {
  leaving_ = true;
  server_->stop();
  grace_->expires_after(kLeave);
  grace_->async_wait([this](const boost::system::error_code& error) {
    if (!error) control_->stop();
  });
  clients_->close([this] { control_->stop(); });
}

int HttpGateway::run() {
  wait_for_signals();
  control_->run();
  return 0;
}

}  // namespace

int run_gateway_on_http(GatewayCore& core) {
  HttpGateway gateway;
  if (const Status built = core.build(gateway.hooks()); !built) return report(built.error());
  GatewayFront front{core.control(), core.config(),  core.home(),
                     core.clock(),   core.entropy(), core.log(),
                     core.grants(),  core.limits(),  core.config().server_name};
  front.factory = [factory = core.relay_factory()](const gateway::Caller& caller, gateway::ClientEra era,
                                                   gateway::Backend::Events events) {
    return gateway::make_backend(factory, caller, era, std::move(events));
  };
  front.shut_out_until = [&core](const gateway::Caller& caller) { return core.dispatcher().shut_out_until(caller); };
  front.malformed = [&core](const gateway::Caller& caller) { core.dispatcher().count_malformed(caller); };
  front.programs = core.programs();
  front.starts_programs = core.has_child();
  if (const Status built = gateway.build(front); !built) return report(built.error());
  return gateway.run();
}

int run_gateway_on_http(const Config& config, const Home& home) {
  asio::io_context control{1};
  ManyServers servers(control);
  HttpGateway gateway;
  if (const Status built = servers.build(config, home, gateway.hooks()); !built) return report(built.error());
  if (const Status built = gateway.build(servers.front()); !built) return report(built.error());
  return gateway.run();
}

}  // namespace sluice::app
