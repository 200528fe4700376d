#include "net/tcp_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

namespace sluice::net {

TcpStream::TcpStream(asio::ip::tcp::socket socket, Deadlines& deadlines) : Node(deadlines), socket_(std::move(socket)) {
  boost::system::error_code ignored;
  peer_ = socket_.remote_endpoint(ignored);
  local_ = socket_.local_endpoint(ignored);
}

TcpStream::~TcpStream() { close(); }

tls::IoResult TcpStream::read(MutableBytes out) {
  if (!prefix_.empty()) {
    const std::size_t count = std::min(prefix_.size(), out.size());
    std::memcpy(out.data(), prefix_.data(), count);
    prefix_.erase(0, count);
    return {tls::IoStatus::kOk, count};
  }
  if (closed_) return {tls::IoStatus::kError, 0};
  if (drained_) return {tls::IoStatus::kWouldBlock, 0};
  for (;;) {
    const ssize_t got = ::recv(socket_.native_handle(), out.data(), out.size(), 0);
    if (got > 0) {
      drained_ = static_cast<std::size_t>(got) < out.size();
      return {tls::IoStatus::kOk, static_cast<std::size_t>(got)};
    }
    if (got == 0) return {tls::IoStatus::kEof, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {tls::IoStatus::kWouldBlock, 0};
    error_ = errno;
    return {tls::IoStatus::kError, 0};
  }
}

tls::IoResult TcpStream::write(Bytes octets) {
  if (closed_) return {tls::IoStatus::kError, 0};
  for (;;) {
    const ssize_t sent = ::send(socket_.native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {tls::IoStatus::kOk, static_cast<std::size_t>(sent)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {tls::IoStatus::kWouldBlock, 0};
    error_ = errno;
    return {tls::IoStatus::kError, 0};
  }
}

void TcpStream::close_write() {
  if (!closed_) ::shutdown(socket_.native_handle(), SHUT_WR);
}

std::string TcpStream::error_text() const {
  if (closed_) return "the connection was closed here";
  return error_ == 0 ? "the connection ended" : errno_text(error_);
}

Task<Status> TcpStream::wait(asio::ip::tcp::socket::wait_type what) {
  if (closed_) co_return fail(Code::kCancelled, "the connection was closed here");
  ++waits_;
  auto [error] = co_await socket_.async_wait(what, asio::as_tuple(asio::use_awaitable));
  --waits_;
  if (!error) co_return Status{};
  if (closed_) co_return fail(Code::kCancelled, "the connection was closed here");
  if (error == asio::error::operation_aborted) {
    co_return fail(why_, why_ == Code::kTimeout ? "no answer within the time allowed" : "the wait was cancelled");
  }
  co_return fail(Code::kClosed, error.message());
}

Task<Status> TcpStream::wait_readable() {
  drained_ = false;
  if (!prefix_.empty()) co_return Status{};
  co_return co_await wait(asio::ip::tcp::socket::wait_read);
}

Task<Status> TcpStream::wait_writable() { co_return co_await wait(asio::ip::tcp::socket::wait_write); }

void TcpStream::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void TcpStream::reset() {
  if (closed_) return;
  const linger now{1, 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::cancel(Code why) {
  if (closed_ || waits_ == 0) return;
  why_ = why;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool TcpStream::is_quiet() {
  if (closed_ || !prefix_.empty()) return false;
  char octet;
  const ssize_t got = ::recv(socket_.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  drained_ = false;
  return false;
}

bool TcpStream::is_dead() {
  if (closed_) return true;
  pollfd look{socket_.native_handle(), 0, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLERR | POLLHUP)) != 0;
}

void TcpStream::unread(std::string octets) {
  octets.append(prefix_);
  prefix_ = std::move(octets);
}

}  // namespace sluice::net
