// One set of listeners through which clients come: opens them all or none, accepts on the engine's accept thread.
// open(), close() and the rest from one thread at a time, which is not the accept thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "flow/exchange.h"
#include "net/stream.h"
#include "proxy/engine.h"

namespace sluice::proxy {

class Door {
 public:
  // `accepted` is called on the accept thread with a connected socket.
  using Accepted = std::function<void(net::asio::ip::tcp::socket socket, const ListenAddress& listener)>;
  Door(net::asio::io_context& io, Accepted accepted, std::function<void(std::string_view)> on_bug)
      : io_(io), accepted_(std::move(accepted)), on_bug_(std::move(on_bug)) {}

  // kUnavailable, kInvalid: of the first address that cannot be listened on. A port of 0 after the first is its port
  // where `one_port`.
  enum class Ports { kEach, kOne };
  Status open(const std::vector<ListenAddress>& addresses, Ports ports);
  // Begins to accept; between the two whoever must know the addresses can be told.
  void begin();
  void close();  // nothing is accepted any more when it returns
  bool is_open() const { return !acceptors_.empty(); }
  const std::vector<ListenAddress>& bound() const { return bound_; }

 private:
  using Acceptor = std::shared_ptr<net::asio::ip::tcp::acceptor>;
  net::Task<void> accept(Acceptor acceptor, ListenAddress address);

  net::asio::io_context& io_;
  const Accepted accepted_;
  const std::function<void(std::string_view)> on_bug_;
  std::vector<Acceptor> acceptors_;
  std::vector<ListenAddress> bound_;
};

}  // namespace sluice::proxy
