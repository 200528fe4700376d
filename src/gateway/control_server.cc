#include "gateway/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/listener.h"

namespace sluice::gateway {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

// What has ended must be over within a second (gate.md 2).
constexpr std::chrono::milliseconds kSweep{250};

bool somebody_listens(asio::io_context& control, const Local::endpoint& endpoint) {
  Local::socket probe(control);
  error_code error;
  probe.connect(endpoint, error);
  return !error;
}

}  // namespace

ControlServer::ControlServer(asio::io_context& control, McpHttpDeps deps, ControlGuard::Options guard, Options options,
                             HttpServer::OnBug on_bug)
    : sweep_(control) {
  if (!options.identities) {
    one_ = std::make_unique<OneIdentity>(std::move(options.token), Identity{std::move(options.caller), &deps.profile});
    options.identities = one_.get();
  }
  HttpServerLimits http;
  http.max_body = options.limits.max_message;
  mcp_ = std::make_unique<McpHttp>(std::move(deps), std::move(guard), *options.identities, options.limits);
  server_ = std::make_unique<HttpServer>(control, *mcp_, http, std::move(on_bug));
  sweep_later();
}

ControlServer::~ControlServer() { stop(); }

void ControlServer::sweep_later() {
  sweep_.expires_after(kSweep);
  sweep_.async_wait([this, alive = std::weak_ptr(alive_)](const error_code& error) {
    if (error || alive.expired() || stopped_) return;
    mcp_->sweep();
    sweep_later();
  });
}

void ControlServer::stop() {
  if (stopped_) return;
  stopped_ = true;
  sweep_.cancel();
  server_->stop();
  mcp_->close();
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<ControlServer>> ControlServer::create(asio::io_context& control, McpHttpDeps deps,
                                                             Options options, HttpServer::OnBug on_bug) {
  auto acceptor = net::listen_tcp(control.get_executor(), options.host, options.port);
  if (!acceptor) return fail(std::move(acceptor).error());
  const std::uint16_t port = acceptor->local_endpoint().port();
  const std::string host = options.host;
  ControlGuard::Options guard{std::move(options.allow_hosts), true};
  std::unique_ptr<ControlServer> server(
      new ControlServer(control, std::move(deps), std::move(guard), std::move(options), std::move(on_bug)));
  server->host_ = host;
  server->port_ = port;
  server->server_->serve(*std::move(acceptor));
  return server;
}

Result<std::unique_ptr<ControlServer>> ControlServer::create_local(asio::io_context& control, McpHttpDeps deps,
                                                                   const std::string& path, const McpLimits& limits,
                                                                   HttpServer::OnBug on_bug) {
  // sockaddr_un holds 107 octets and a NUL.
  if (path.size() > 107) return fail(Code::kTooLarge, "the path of the control socket is too long: " + path);
  const Local::endpoint endpoint(path);
  Local::acceptor acceptor(control);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  if (error == asio::error::address_in_use) {
    if (somebody_listens(control, endpoint)) return fail(Code::kConflict, "somebody listens on " + path);
    ::unlink(path.c_str());
    acceptor.bind(endpoint, error);
  }
  // Nobody can connect before listen(), so the mode holds from the first connection on.
  if (!error && ::chmod(path.c_str(), 0600) != 0) error.assign(errno, boost::system::system_category());
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(Code::kUnavailable, "cannot listen on " + path + ": " + error.message());
  Options options;
  options.caller.grant = "owner";
  options.caller.unmasked = true;
  options.limits = limits;
  options.limits.max_message = limits.max_owner_message;
  std::unique_ptr<ControlServer> server(
      new ControlServer(control, std::move(deps), {{}, false}, std::move(options), std::move(on_bug)));
  server->path_ = path;
  server->server_->serve(std::move(acceptor));
  return server;
}

}  // namespace sluice::gateway
