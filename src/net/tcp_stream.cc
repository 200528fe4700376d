#include "net/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

namespace sluice::net {

TcpStream::TcpStream(asio::ip::tcp::socket socket, Readiness& readiness, Deadlines& deadlines)
    : Deadlines::Node(deadlines), executor_(socket.get_executor()), readiness_(readiness) {
  boost::system::error_code ignored;
  peer_ = socket.remote_endpoint(ignored);
  local_ = socket.local_endpoint(ignored);
  fd_ = socket.release(ignored);
  readiness_.add(fd_, *this);
}

TcpStream::~TcpStream() { close(); }

tls::IoResult TcpStream::read(MutableBytes out) {
  if (!prefix_.empty()) {
    const std::size_t count = std::min(prefix_.size(), out.size());
    std::memcpy(out.data(), prefix_.data(), count);
    prefix_.erase(0, count);
    return {tls::IoStatus::kOk, count};
  }
  if (fd_ < 0) return {tls::IoStatus::kError, 0};
  if (drained_) return {tls::IoStatus::kWouldBlock, 0};
  reading_.ready = false;  // what comes after this call makes a new event
  for (;;) {
    const ssize_t got = ::recv(fd_, out.data(), out.size(), 0);
    if (got > 0) {
      drained_ = static_cast<std::size_t>(got) < out.size() && !peer_ended_;
      return {tls::IoStatus::kOk, static_cast<std::size_t>(got)};
    }
    if (got == 0) return {tls::IoStatus::kEof, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      drained_ = true;
      return {tls::IoStatus::kWouldBlock, 0};
    }
    error_ = errno;
    return {tls::IoStatus::kError, 0};
  }
}

tls::IoResult TcpStream::write(Bytes octets) {
  if (fd_ < 0) return {tls::IoStatus::kError, 0};
  writing_.ready = false;
  for (;;) {
    const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {tls::IoStatus::kOk, static_cast<std::size_t>(sent)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {tls::IoStatus::kWouldBlock, 0};
    error_ = errno;
    return {tls::IoStatus::kError, 0};
  }
}

void TcpStream::close_write() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

std::string TcpStream::error_text() const {
  if (fd_ < 0) return "the connection was closed here";
  return error_ == 0 ? "the connection ended" : errno_text(error_);
}

void TcpStream::on_ready(std::uint32_t events) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) peer_ended_ = true;
  if (events & (EPOLLHUP | EPOLLERR)) dead_ = true;
  const bool ended = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (ended || (events & EPOLLOUT)) writing_.ready = true;
  if (ended || (events & (EPOLLIN | EPOLLRDHUP))) {
    reading_.ready = true;
    drained_ = false;
  }
  // Waking may destroy this stream: the second side is woken by the loop instead.
  if (writing_.ready && writing_.waiter && reading_.ready && reading_.waiter) {
    auto later = [handler = std::move(*writing_.waiter)]() mutable { std::move(handler)(Wake::kReady); };
    writing_.waiter.reset();
    asio::post(executor_, std::move(later));
  }
  if (reading_.ready && reading_.waiter) return wake(reading_, Wake::kReady);
  if (writing_.ready && writing_.waiter) return wake(writing_, Wake::kReady);
}

void TcpStream::wake(Side& side, Wake how) {
  Handler handler = std::move(*side.waiter);
  side.waiter.reset();
  std::move(handler)(how);
}

// Not from inside the caller's stack: it may be in the middle of something.
void TcpStream::wake_later(Side& side) {
  if (!side.waiter) return;
  auto later = [handler = std::move(*side.waiter)]() mutable { std::move(handler)(Wake::kCancelled); };
  side.waiter.reset();
  asio::post(executor_, std::move(later));
}

Task<Status> TcpStream::wait(Side& side) {
  if (fd_ < 0) co_return fail(Code::kCancelled, "the connection was closed here");
  if (expired_) co_return fail(Code::kTimeout, "no answer within the time allowed");
  // After the peer's end nothing new is heard of: what epoll said may have been used up by a read that was short.
  if (side.ready || (peer_ended_ && &side == &reading_)) co_return Status{};
  const Wake how = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Wake)>(
      [this, &side](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          slot.assign([this, &side](asio::cancellation_type) {
            why_ = Code::kCancelled;
            wake_later(side);
          });
        }
        side.waiter.emplace(std::move(handler));
      },
      asio::use_awaitable);
  if (how == Wake::kReady) co_return Status{};
  if (fd_ < 0) co_return fail(Code::kCancelled, "the connection was closed here");
  co_return fail(why_, why_ == Code::kTimeout ? "no answer within the time allowed" : "the wait was cancelled");
}

Task<Status> TcpStream::wait_readable() {
  drained_ = false;
  if (!prefix_.empty()) co_return Status{};
  co_return co_await wait(reading_);
}

Task<Status> TcpStream::wait_writable() { co_return co_await wait(writing_); }

// RFC 1122 §4.2.3.6: off by default, and two hours until the first probe. A peer that is gone shows in ten minutes.
void TcpStream::expect_silence() {
  if (fd_ < 0) return;
  constexpr int kOn = 1, kUntilFirst = 300, kBetween = 60, kProbes = 5;  // seconds; unanswered: the peer is gone
  ::setsockopt(fd_, IPPROTO_TCP, TCP_KEEPIDLE, &kUntilFirst, sizeof kUntilFirst);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_KEEPINTVL, &kBetween, sizeof kBetween);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
  ::setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
}

void TcpStream::close() {
  if (fd_ < 0) return;
  readiness_.remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
  wake_later(reading_);
  wake_later(writing_);
}

void TcpStream::reset() {
  if (fd_ < 0) return;
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::cancel(Code why) {
  why_ = why;
  wake_later(reading_);
  wake_later(writing_);
}

// What has come is known from epoll: no system call.
bool TcpStream::is_quiet() {
  if (fd_ < 0 || !prefix_.empty() || peer_ended_) return false;
  if (!reading_.ready) return true;
  drained_ = false;
  return false;
}

void TcpStream::unread(std::string octets) {
  octets.append(prefix_);
  prefix_ = std::move(octets);
}

}  // namespace sluice::net
