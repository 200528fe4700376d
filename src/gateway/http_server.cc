#include "gateway/http_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <unordered_set>

#include "gateway/http_connection.h"
#include "net/spawn.h"

namespace sluice::gateway {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;
using Tcp = asio::ip::tcp;
using Local = asio::local::stream_protocol;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// After accept() failed, most likely for want of descriptors.
constexpr std::chrono::milliseconds kAcceptPause{100};

std::string local_address(const Tcp::socket& socket) {
  error_code error;
  const auto endpoint = socket.local_endpoint(error);
  return error ? "" : endpoint.address().to_string();
}
std::string local_address(const Local::socket&) { return ""; }

bool may_connect(Tcp::socket& socket) {
  // The head and the first event of a stream are two small writes: the second one waits for nobody.
  error_code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  return true;
}
// The socket's mode says so too; this holds where a directory or a mode went wrong.
bool may_connect(Local::socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace

struct HttpServer::Shared : std::enable_shared_from_this<Shared> {
  Shared(asio::io_context& io, HttpHandler& given, HttpServerLimits bounds, OnBug bug)
      : control(io.get_executor()),
        handler(given),
        limits(bounds),
        on_bug(std::move(bug)),
        loop(std::make_shared<HttpLoop>(io, bounds.gather)) {
    loop->start();
  }

  template <class Acceptor>
  awaitable<void> accept(std::shared_ptr<Acceptor> acceptor) {
    asio::steady_timer pause(control);
    while (!stopped) {
      auto [error, socket] = co_await acceptor->async_accept(kTuple);
      if (stopped) break;
      if (error) {
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kTuple);
        continue;
      }
      if (connections.size() >= limits.max_connections || !may_connect(socket)) continue;  // closed by its destructor
      std::string address = local_address(socket);
      socket.non_blocking(true, error);
      const int fd = error ? -1 : socket.release(error);
      if (fd < 0) continue;
      auto connection = std::make_shared<HttpConnection>(fd, std::move(address), loop, handler, limits);
      connections.insert(connection);
      net::spawn(control, run(connection), on_bug);
    }
  }

  awaitable<void> run(std::shared_ptr<HttpConnection> connection) {
    const auto self = shared_from_this();
    try {
      co_await connection->run();
    } catch (...) {
      connection->close();
      connections.erase(connection);
      throw;
    }
    connections.erase(connection);
  }

  template <class Acceptor>
  void serve(Acceptor given) {
    auto acceptor = std::make_shared<Acceptor>(std::move(given));
    closers.push_back([acceptor] {
      error_code ignored;
      acceptor->close(ignored);
    });
    net::spawn(control, accept_all(shared_from_this(), acceptor), on_bug);
  }

  template <class Acceptor>
  static awaitable<void> accept_all(std::shared_ptr<Shared> self, std::shared_ptr<Acceptor> acceptor) {
    co_await self->accept(acceptor);
  }

  asio::any_io_executor control;
  HttpHandler& handler;
  HttpServerLimits limits;
  OnBug on_bug;
  const std::shared_ptr<HttpLoop> loop;
  bool stopped = false;
  std::list<std::function<void()>> closers;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;
};

HttpServer::HttpServer(asio::io_context& control, HttpHandler& handler, HttpServerLimits limits, OnBug on_bug)
    : shared_(std::make_shared<Shared>(control, handler, limits, std::move(on_bug))) {
  if (!shared_->on_bug) shared_->on_bug = [](std::string_view) {};
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::serve(Tcp::acceptor acceptor) { shared_->serve(std::move(acceptor)); }
void HttpServer::serve(Local::acceptor acceptor) { shared_->serve(std::move(acceptor)); }

void HttpServer::stop() {
  if (shared_->stopped) return;
  shared_->stopped = true;
  for (const auto& close : shared_->closers) close();
  const auto open = shared_->connections;  // close() may end coroutines that erase themselves
  for (const auto& connection : open) connection->close();
  shared_->loop->stop();
}

std::size_t HttpServer::connections() const { return shared_->connections.size(); }

}  // namespace sluice::gateway
