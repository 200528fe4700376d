// Any number of clients over HTTP, each legacy session and each grant with a server of its own behind it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/commands.h"
#include "app/gateway_core.h"
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
  explicit HttpGateway(GatewayCore& core) : core_(core) {}
  ~HttpGateway();

  Status build();
  int run();

 private:
  gateway::RelayFactory factory();
  void wait_for_signals();
  void leave();

  GatewayCore& core_;
  std::unique_ptr<gateway::RelayHttp> clients_;
  std::unique_ptr<gateway::HttpServer> server_;
  asio::signal_set signals_{core_.control(), SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{core_.control()};
  bool leaving_ = false;
};

HttpGateway::~HttpGateway() {
  server_.reset();
  clients_.reset();
}

gateway::RelayFactory HttpGateway::factory() {
  gateway::RelayFactory factory;
  factory.make_relay = [this](gateway::Caller caller, gateway::RelayFactory::Era era,
                              std::function<void(gateway::ToClient)> to_client,
                              std::function<void(std::string)> to_server) {
    const bool modern = era == gateway::RelayFactory::Era::kModern;
    return core_.make_relay(std::move(caller), {std::move(to_client), std::move(to_server)},
                            modern ? GatewayCore::Asked::kNever : GatewayCore::Asked::kMayBe);
  };
  factory.connect = [this](gateway::UpstreamEvents events) { return core_.connect(std::move(events)); };
  factory.notice = core_.notices();
  return factory;
}

Status HttpGateway::build() {
  const Config& config = core_.config();
  SLUICE_CHECK(core_.build({[this] {
                              if (clients_) clients_->look_again();
                            },
                            [this] {
                              if (clients_) clients_->sweep();
                            }}));
  SLUICE_TRY(const proxy::ListenAddress address, parse_listen(config.gateway_listen, "--listen"));
  SLUICE_TRY(auto acceptor, net::listen_tcp(core_.control().get_executor(), address.host, address.port));
  const std::uint16_t port = acceptor.local_endpoint().port();
  gateway::RelayHttp::Deps deps{core_.clock(), core_.entropy(), core_.dispatcher(), core_.grants(), factory()};
  const std::size_t most = core_.has_child() ? kMaxChildren : core_.limits().max_sessions;
  deps.max_servers = most;
  if (!core_.has_child()) (void)raise_open_files();  // programs of ours would inherit it
  clients_ = std::make_unique<gateway::RelayHttp>(
      std::move(deps), gateway::ControlGuard::Options{config.allow_host, true}, core_.limits());
  gateway::HttpServerLimits limits;
  limits.max_body = core_.limits().max_message;
  // A session has its own stream, and some requests under way.
  limits.max_connections = std::max(limits.max_connections, 4 * most);
  server_ = std::make_unique<gateway::HttpServer>(core_.control().get_executor(), *clients_, limits,
                                                  [this](std::string_view what) {
                                                    core_.log().error("control_bug", {{"what", what}});
                                                  });
  server_->serve(std::move(acceptor));
  const bool token = config.gateway_auth == ControlAuth::kToken;
  GatewayCore::notice(fmt::format(
      "{} is at http://{}/mcp, {}", config.server_name, authority_text(address.host, port, 0),
      token ? "for grants, and for the token in " + core_.home().token_file() : "for whoever asks (--no-auth)"));
  return {};
}

void HttpGateway::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (leaving_) ::_exit(128 + number);
    leave();
    wait_for_signals();
  });
}

void HttpGateway::leave() {
  leaving_ = true;
  server_->stop();
  grace_.expires_after(kLeave);
  grace_.async_wait([this](const boost::system::error_code& error) {
    if (!error) core_.control().stop();
  });
  clients_->close([this] { core_.control().stop(); });
}

int HttpGateway::run() {
  wait_for_signals();
  core_.control().run();
  return 0;
}

}  // namespace

int run_gateway_on_http(GatewayCore& core) {
  HttpGateway gateway(core);
  if (const Status built = gateway.build(); !built) return report(built.error());
  return gateway.run();
}

}  // namespace sluice::app
