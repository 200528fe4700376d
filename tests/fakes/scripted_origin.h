// A TCP server for tests: for each connection it takes requests (a head, and as many octets of body as Content-Length
// says) and answers with the next script. Remembers every octet that it received. Loopback, a free port, own thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::fakes {

class ScriptedOrigin {
 public:
  enum class Then { kKeep, kClose, kReset };
  struct Script {
    std::string answer;
    Then then = Then::kKeep;
    bool before_body = false;  // answer as soon as the head is there
  };

  explicit ScriptedOrigin(std::vector<Script> scripts) : scripts_(std::move(scripts)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 64);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedOrigin() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    {
      std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    thread_.join();
    for (auto& thread : connections_) thread.join();
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string received() {
    std::lock_guard lock(mutex_);
    return received_;
  }
  int accepted() const { return accepted_; }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      ++accepted_;
      {
        std::lock_guard lock(mutex_);
        open_.push_back(fd);
      }
      connections_.emplace_back([this, fd] { converse(fd); });
    }
  }

  bool read_more(int fd, std::string& pending) {
    char space[65536];
    const ssize_t got = ::recv(fd, space, sizeof space, 0);
    if (got <= 0) return false;
    pending.append(space, static_cast<std::size_t>(got));
    std::lock_guard lock(mutex_);
    received_.append(space, static_cast<std::size_t>(got));
    return true;
  }

  void converse(int fd) {
    std::string pending;
    for (;;) {
      std::size_t end;
      while ((end = pending.find("\r\n\r\n")) == std::string::npos) {
        if (!read_more(fd, pending)) return finish(fd);
      }
      std::size_t length = 0;
      const std::size_t field = pending.find("Content-Length: ");
      if (field != std::string::npos && field < end) length = std::stoul(pending.substr(field + 16));
      const std::size_t index = next_++;
      const Script script = index < scripts_.size() ? scripts_[index] : Script{"", Then::kClose, false};
      if (script.before_body) send(fd, script.answer);
      while (pending.size() < end + 4 + length) {
        if (!read_more(fd, pending)) return finish(fd);
      }
      pending.erase(0, end + 4 + length);
      if (!script.before_body) send(fd, script.answer);
      if (script.then == Then::kReset) {
        const linger now{1, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      }
      if (script.then != Then::kKeep) return finish(fd);
    }
  }
  static void send(int fd, const std::string& octets) {
    for (std::size_t done = 0; done < octets.size();) {
      const ssize_t sent = ::send(fd, octets.data() + done, octets.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return;
      done += static_cast<std::size_t>(sent);
    }
  }
  void finish(int fd) {
    std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  std::vector<Script> scripts_;
  std::atomic<std::size_t> next_{0};
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::string received_;
  std::vector<int> open_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

}  // namespace sluice::fakes
