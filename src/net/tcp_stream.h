// A TCP connection as a Stream. Remembers a short read: until epoll tells of more, read() answers kWouldBlock without a
// system call. Where a peer sends as fast as it is read, read() answers kWouldBlock after some milliseconds, too, and a
// wait ends once the thread's other connections have had their turn. RFC 9293.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>

#include "net/deadlines.h"
#include "net/readiness.h"
#include "net/stream.h"

namespace sluice::net {

class TcpStream final : public Stream, private Deadlines::Node, private Readiness::Node {
 public:
  // Takes a connected, non-blocking socket.
  TcpStream(asio::ip::tcp::socket socket, Readiness& readiness, Deadlines& deadlines);
  // Takes the descriptor of a connected, non-blocking stream socket of any family; peer() and local() say nothing.
  TcpStream(int fd, Readiness& readiness, Deadlines& deadlines);
  ~TcpStream() override;

  tls::IoResult read(MutableBytes out) override;
  tls::IoResult write(Bytes octets) override;
  bool is_drained() const override { return drained_ && prefix_.empty() && fd_ >= 0; }
  void close_write() override;
  std::string error_text() const override;

  Task<Status> wait_readable() override;
  Task<Status> wait_writable() override;
  void watch_readable(Watcher* who) override { watch(reading_, who); }
  void watch_writable(Watcher* who) override { watch(writing_, who); }
  void set_deadline(MonoTime at) override {
    expired_ = false;
    Deadlines::Node::set_deadline(at);
  }
  void clear_deadline() override {
    expired_ = false;
    Deadlines::Node::clear_deadline();
  }
  void expect_silence() override;
  void close() override;
  void reset() override;
  void cancel(Code why) override;
  bool is_quiet(Look look) override;
  bool is_dead() override { return fd_ < 0 || dead_; }
  bool has_ended() override { return fd_ < 0 || peer_ended_; }

  // Octets that were read to be looked at (a ClientHello) and come again before those of the socket.
  void unread(std::string octets);
  asio::ip::tcp::endpoint peer() const { return peer_; }
  asio::ip::tcp::endpoint local() const { return local_; }

 private:
  static constexpr std::uint64_t kNoTurn = UINT64_MAX;
  static constexpr std::uint32_t kMostRead = 80 * 1024, kLeastRead = 4 * 1024;  // nobody has room for more
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(Status)>::handler_type;
  // One direction: what epoll has said since the last system call, and the coroutine or the watcher that waits for it.
  struct Side {
    bool ready = false;
    std::optional<Handler> waiter;
    Watcher* watcher = nullptr;
  };

  Task<Status> wait(Side& side);
  void watch(Side& side, Watcher* who);
  std::optional<Status> known_outcome(const Side& side) const;
  void wake(Side& side);
  void wake_later(Side& side, Status how);
  void on_ready(std::uint32_t events) override;
  void on_turn() override;
  bool takes_a_rest();
  void adapt_reads();
  void on_deadline() override {
    expired_ = true;  // also for a wait that begins later
    cancel(Code::kTimeout);
  }

  Readiness& readiness_;
  int fd_;  // -1: closed
  asio::ip::tcp::endpoint peer_, local_;
  Side reading_, writing_;
  std::string prefix_;
  int error_ = 0;
  bool drained_ = false;     // the last read was short, and epoll has told of nothing since
  bool peer_ended_ = false;  // FIN or worse has come: a short read does not mean that nothing more is to be had
  bool dead_ = false;        // both directions
  bool expired_ = false;     // the deadline has passed
  bool resting_ = false;     // there may be more to read, once the others have had their turn
  std::uint32_t most_read_ = kMostRead;
  std::uint64_t turn_ = kNoTurn;  // Readiness's, in which was read last
};

}  // namespace sluice::net
