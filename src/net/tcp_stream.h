// A TCP connection as a Stream. Remembers a short read: the next read answers kWouldBlock without a system call until
// wait_readable() has returned. RFC 9293.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>

#include "net/deadlines.h"
#include "net/stream.h"

namespace sluice::net {

class TcpStream final : public Stream, private Deadlines::Node {
 public:
  // Takes a connected, non-blocking socket.
  TcpStream(asio::ip::tcp::socket socket, Deadlines& deadlines);
  ~TcpStream() override;

  tls::IoResult read(MutableBytes out) override;
  tls::IoResult write(Bytes octets) override;
  void close_write() override;
  std::string error_text() const override;

  Task<Status> wait_readable() override;
  Task<Status> wait_writable() override;
  void set_deadline(MonoTime at) override { Node::set_deadline(at); }
  void clear_deadline() override { Node::clear_deadline(); }
  void close() override;
  void reset() override;
  void cancel(Code why) override;
  bool is_quiet() override;
  bool is_dead() override;

  // Octets that were read to be looked at (a ClientHello) and come again before those of the socket.
  void unread(std::string octets);
  asio::ip::tcp::endpoint peer() const { return peer_; }
  asio::ip::tcp::endpoint local() const { return local_; }

 private:
  Task<Status> wait(asio::ip::tcp::socket::wait_type what);
  void on_deadline() override { cancel(Code::kTimeout); }

  asio::ip::tcp::socket socket_;
  asio::ip::tcp::endpoint peer_, local_;
  std::string prefix_;
  int error_ = 0;
  int waits_ = 0;         // pending ones
  bool drained_ = false;  // the last read was short
  bool closed_ = false;
  Code why_ = Code::kCancelled;  // of the last cancel()
};

}  // namespace sluice::net
