// TLS over a socket with waiting, for tests: either end, by the program's own sessions.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "tls/session.h"

namespace sluice::fakes {

// Owns the descriptor.
class WaitingSocket final : public tls::ByteTransport {
 public:
  explicit WaitingSocket(int fd) : fd_(fd) {}
  ~WaitingSocket() override { ::close(fd_); }
  WaitingSocket(const WaitingSocket&) = delete;
  WaitingSocket& operator=(const WaitingSocket&) = delete;

  tls::IoResult read(MutableBytes out) override {
    const ssize_t got = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
    if (got > 0) return {tls::IoStatus::kOk, static_cast<std::size_t>(got)};
    if (got < 0 && errno == EAGAIN) return {tls::IoStatus::kWouldBlock, 0};  // a session sends before it waits
    return {got == 0 ? tls::IoStatus::kEof : tls::IoStatus::kError, 0};
  }
  // Until there is something to read; false after 20 s.
  bool wait() const {
    pollfd look{fd_, POLLIN, 0};
    return ::poll(&look, 1, 20'000) == 1;
  }
  tls::IoResult write(Bytes octets) override {
    const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent < 0) return {tls::IoStatus::kError, 0};
    return {tls::IoStatus::kOk, static_cast<std::size_t>(sent)};
  }
  void close_write() override { ::shutdown(fd_, SHUT_WR); }
  std::string error_text() const override { return "the socket failed"; }

 private:
  int fd_;
};

// One end, with its handshake done or failed.
class TlsSocket {
 public:
  TlsSocket(int fd, const std::function<std::unique_ptr<tls::Session>(tls::ByteTransport&)>& make)
      : socket_(fd), session_(make(socket_)) {
    tls::HandshakeStep step;
    while ((step = session_->handshake()) == tls::HandshakeStep::kWouldBlock && socket_.wait()) {
    }
    established_ = step == tls::HandshakeStep::kDone;
    if (established_) (void)session_->flush();
  }
  bool established() const { return established_; }
  tls::Session& session() { return *session_; }

  void send(Bytes octets) {
    while (!octets.empty()) {
      const tls::IoResult sent = session_->write(octets);
      if (sent.status == tls::IoStatus::kError) return;
      octets.remove_prefix(sent.count);
    }
    while (session_->has_pending_output() && session_->flush().status == tls::IoStatus::kWouldBlock) {
    }
  }
  // Until this was seen, or the end.
  std::string receive(Bytes until) {
    std::string got;
    while (got.find(until) == std::string::npos) {
      char space[16384];
      const tls::IoResult read = session_->read(space);
      if (read.status == tls::IoStatus::kWouldBlock && socket_.wait()) continue;
      if (read.status != tls::IoStatus::kOk) break;
      got.append(space, read.count);
    }
    return got;
  }

 private:
  WaitingSocket socket_;
  std::unique_ptr<tls::Session> session_;
  bool established_ = false;
};

// Answers each head on each connection with the same octets. Loopback, a free port, own thread, one client at a time.
class TlsOrigin {
 public:
  TlsOrigin(const tls::CertificateAuthority& authority, std::string name, std::string answer)
      : context_(*tls::ServerContext::create("")), answer_(std::move(answer)) {
    leaf_ = *authority.mint(name, tls::KeyKind::kEcdsaP256, SystemClock().wall());
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 8);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsOrigin() { end(); }
  // After the proxy has let go of its connections.
  void end() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) ::close(listener_);
    listener_ = -1;
  }
  std::uint16_t port() const { return port_; }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      TlsSocket client(fd, [this](tls::ByteTransport& transport) {
        return *context_->accept(transport, leaf_, "http/1.1", "origin");
      });
      while (client.established() && client.receive("\r\n\r\n").ends_with("\r\n\r\n")) client.send(answer_);
    }
  }

  std::shared_ptr<tls::ServerContext> context_;
  tls::LeafPtr leaf_;
  std::string answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace sluice::fakes
