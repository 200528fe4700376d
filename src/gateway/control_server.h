// The control port (MCP for agents, with a token) or the control socket (the command line, as `owner`): an HttpServer
// with MCP on it. Control thread only; stop it before the dispatcher goes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/http_server.h"
#include "gateway/mcp_http.h"

namespace sluice::gateway {

class ControlServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;                // 0: any free one
    Identities* identities = nullptr;      // whose tokens are taken; outlive the server. Null: the one token below
    std::string token;                     // empty: none is asked for
    std::vector<std::string> allow_hosts;  // --allow-host
    Caller caller;                         // what that token stands for
    McpLimits limits;
  };
  // kUnavailable: the port is in use or cannot be bound; kInvalid: the host is no address.
  static Result<std::unique_ptr<ControlServer>> create(boost::asio::io_context& control, McpHttpDeps deps,
                                                       Options options, HttpServer::OnBug on_bug);
  // A local socket at `path`, 0600, for this user alone: no token, no Host check. The grant is `owner`, unmasked.
  // kConflict: something listens there; a dead socket file is replaced.
  static Result<std::unique_ptr<ControlServer>> create_local(boost::asio::io_context& control, McpHttpDeps deps,
                                                             const std::string& path, const McpLimits& limits,
                                                             HttpServer::OnBug on_bug);
  ~ControlServer();

  const std::string& host() const { return host_; }
  std::uint16_t port() const { return port_; }
  McpHttp& mcp() { return *mcp_; }
  void stop();  // closes the socket, the connections and the sessions; removes the socket's file

 private:
  ControlServer(boost::asio::io_context& control, McpHttpDeps deps, ControlGuard::Options guard, Options options,
                HttpServer::OnBug on_bug);
  void sweep_later();

  boost::asio::steady_timer sweep_;
  std::unique_ptr<OneIdentity> one_;
  std::unique_ptr<McpHttp> mcp_;
  std::unique_ptr<HttpServer> server_;
  std::string host_, path_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a timer that has fired already may find us gone
};

}  // namespace sluice::gateway
