// The accept loop of the bench's own servers: a Guest for each connection, on one thread, until the process is ended.
#pragma once

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "driver.h"

namespace bench {

// `make(fd)`: a new Guest, which owns the descriptor; its step(buffer) is called for each edge, and false ends it.
template <class Guest, class Make>
[[noreturn]] void serve_guests(const Options& options, std::size_t buffer_size, const Make& make) {
  const sockaddr_in at = address_of(options.server);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(listener, 4096) != 0) {
    die("cannot listen on " + options.server + ": " + std::strerror(errno));
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);  // data.ptr stays null
  std::vector<epoll_event> events(256);
  std::vector<char> buffer(buffer_size);
  for (;;) {
    const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      if (auto* guest = static_cast<Guest*>(events[static_cast<std::size_t>(i)].data.ptr)) {
        if (!guest->step(buffer)) delete guest;
        continue;
      }
      for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.ptr = make(fd);
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
      }
    }
  }
}

}  // namespace bench
