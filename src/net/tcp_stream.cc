#include "net/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::net {
namespace {

constexpr const char* kClosedHere = "the connection was closed here";
constexpr const char* kTooLate = "no answer within the time allowed";
constexpr const char* kCancelledWait = "the wait was cancelled";

// What one connection reads on end while others wait.
constexpr std::chrono::milliseconds kTurn{2};

}  // namespace

TcpStream::TcpStream(asio::ip::tcp::socket socket, Readiness& readiness, Deadlines& deadlines)
    : Deadlines::Node(deadlines), readiness_(readiness) {
  boost::system::error_code ignored;
  peer_ = socket.remote_endpoint(ignored);
  local_ = socket.local_endpoint(ignored);
  fd_ = socket.release(ignored);
  readiness_.add(fd_, *this);
}

TcpStream::TcpStream(int fd, Readiness& readiness, Deadlines& deadlines)
    : Deadlines::Node(deadlines), readiness_(readiness), fd_(fd) {
  readiness_.add(fd_, *this);
}

TcpStream::~TcpStream() { close(); }

tls::IoResult TcpStream::read(MutableBytes out) {
  if (!prefix_.empty()) {
    const std::size_t count = std::min(prefix_.size(), out.size());
    std::memcpy(out.data(), prefix_.data(), count);
    prefix_.erase(0, count);
    if (prefix_.empty()) std::string().swap(prefix_);  // not kept for as long as the connection lives
    return {tls::IoStatus::kOk, count};
  }
  if (fd_ < 0) return {tls::IoStatus::kError, 0};
  if (drained_ || resting_ || takes_a_rest()) return {tls::IoStatus::kWouldBlock, 0};
  reading_.ready = false;  // what comes after this call makes a new event
  for (;;) {
    const std::size_t want = std::min<std::size_t>(out.size(), most_read_);
    const ssize_t got = ::recv(fd_, out.data(), want, 0);
    if (got > 0) {
      drained_ = static_cast<std::size_t>(got) < want && !peer_ended_;
      // TLS above takes this for all there is, and waits.
      if (static_cast<std::size_t>(got) == want && want < out.size()) reading_.ready = true;
      if (drained_) most_read_ = std::min(2 * most_read_, kMostRead);
      return {tls::IoStatus::kOk, static_cast<std::size_t>(got)};
    }
    if (got == 0) return {tls::IoStatus::kEof, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      drained_ = !peer_ended_;
      return {tls::IoStatus::kWouldBlock, 0};
    }
    error_ = errno;
    return {tls::IoStatus::kError, 0};
  }
}

// True where its turn is over.
bool TcpStream::takes_a_rest() {
  if (std::exchange(turn_, readiness_.turn()) != readiness_.turn()) return false;  // the first read of a turn
  if (std::chrono::steady_clock::now() - readiness_.turn_began() < kTurn) return false;
  adapt_reads();
  resting_ = true;
  reading_.ready = false;
  readiness_.defer(*this);
  return true;
}

// What one read brings may take long: a body in chunks of one octet is 10,000 of them in 64 KiB. Judged by this
// thread's own time, since on a busy machine everything takes long.
void TcpStream::adapt_reads() {
  const auto cost = readiness_.deferred_turn_cost();
  if (cost > 2 * kTurn)
    most_read_ = std::max(most_read_ / 2, kLeastRead);
  else if (cost.count() > 0 && cost < kTurn)
    most_read_ = std::min(2 * most_read_, kMostRead);
}

void TcpStream::on_turn() {
  if (!std::exchange(resting_, false)) return;
  on_ready(EPOLLIN);
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
  if (fd_ < 0) return kClosedHere;
  return error_ == 0 ? "the connection ended" : errno_text(error_);
}

void TcpStream::on_ready(std::uint32_t events) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) peer_ended_ = true;
  if (events & (EPOLLHUP | EPOLLERR)) dead_ = true;
  const bool ended = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (ended || (events & EPOLLOUT)) writing_.ready = true;
  if (!resting_ && (ended || (events & (EPOLLIN | EPOLLRDHUP)))) {  // a rest ends in on_turn()
    reading_.ready = true;
    drained_ = false;
  }
  for (Side* const side : {&reading_, &writing_}) {
    if (side->ready && side->watcher) std::exchange(side->watcher, nullptr)->on_wait_over({});
  }
  // Waking may destroy this stream: the second side is woken by the loop instead.
  if (writing_.ready && writing_.waiter && reading_.ready && reading_.waiter) wake_later(writing_, Status{});
  if (reading_.ready && reading_.waiter) return wake(reading_);
  if (writing_.ready && writing_.waiter) return wake(writing_);
}

void TcpStream::wake(Side& side) {
  Handler handler = std::move(*side.waiter);
  side.waiter.reset();
  std::move(handler)(Status{});
}

// Not from inside the caller's stack: it may be in the middle of something.
void TcpStream::wake_later(Side& side, Status how) {
  if (side.watcher) return std::exchange(side.watcher, nullptr)->on_wait_over(std::move(how));
  if (!side.waiter) return;
  const auto executor = asio::get_associated_executor(*side.waiter);
  auto later = [handler = std::move(*side.waiter), how = std::move(how)]() mutable {
    std::move(handler)(std::move(how));
  };
  side.waiter.reset();
  asio::post(executor, std::move(later));
}

// What a wait would say without waiting.
std::optional<Status> TcpStream::known_outcome(const Side& side) const {
  if (fd_ < 0) return fail(Code::kCancelled, kClosedHere);
  if (expired_) return fail(Code::kTimeout, kTooLate);
  if (&side == &reading_ && resting_) return std::nullopt;
  // After the peer's end nothing new is heard of: what epoll said may have been used up by a read that was short.
  const bool readable = &side == &reading_ && (peer_ended_ || !prefix_.empty());
  if (side.ready || readable) return Status{};
  return std::nullopt;
}

// Asio's own frame is the only one: waits are what every request has most of.
Task<Status> TcpStream::wait(Side& side) {
  turn_ = kNoTurn;  // others run before this one does again
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Status)>(
      [this, &side](Handler handler) {
        if (std::optional<Status> known = known_outcome(side)) {  // rare: reading and writing come before waiting
          side.waiter.emplace(std::move(handler));
          return wake_later(side, *std::move(known));
        }
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          slot.assign(
              [this, &side](asio::cancellation_type) { wake_later(side, fail(Code::kCancelled, kCancelledWait)); });
        }
        side.waiter.emplace(std::move(handler));
      },
      asio::use_awaitable);
}

void TcpStream::watch(Side& side, Watcher* who) {
  if (const std::optional<Status> known = who ? known_outcome(side) : std::nullopt) return who->on_wait_over(*known);
  side.watcher = who;
}

Task<Status> TcpStream::wait_readable() { return wait(reading_); }

Task<Status> TcpStream::wait_writable() { return wait(writing_); }

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
  wake_later(reading_, fail(Code::kCancelled, kClosedHere));
  wake_later(writing_, fail(Code::kCancelled, kClosedHere));
}

void TcpStream::reset() {
  if (fd_ < 0) return;
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::cancel(Code why) {
  const char* const text = why == Code::kTimeout ? kTooLate : kCancelledWait;
  wake_later(reading_, fail(why, text));
  wake_later(writing_, fail(why, text));
}

bool TcpStream::is_quiet(Look look) {
  if (fd_ < 0 || !prefix_.empty() || peer_ended_ || reading_.ready || resting_) return false;
  if (look == Look::kTold) return true;
  turn_ = kNoTurn;  // who looks reads what there is
  char octet;
  if (::recv(fd_, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  drained_ = false;
  return false;
}

void TcpStream::unread(std::string octets) {
  octets.append(prefix_);
  prefix_ = std::move(octets);
}

}  // namespace sluice::net
