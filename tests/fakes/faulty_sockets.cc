// System calls on TCP sockets that fail to order, for a process that is started with this in LD_PRELOAD: the nth call
// of a kind fails once, or calls are interrupted and writes cut short all the time. Orders lie in the file that
// FAULTY_SOCKETS names, mapped into both processes (tests/fakes/faulty.py writes them).
//
// A read is never cut short: one that gives less than it was asked for says that the socket is drained (epoll(7)).
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

enum Kind { kRecv, kSend, kConnect, kSocket, kAccept, kKinds };

struct Orders {
  std::atomic<std::int32_t> kind;       // whose call fails; kKinds: nobody's
  std::atomic<std::int32_t> countdown;  // calls of that kind before it
  std::atomic<std::int32_t> number;     // errno
  std::atomic<std::int32_t> fired;
  std::atomic<std::int32_t> interrupted, shortened;  // of a hundred calls
  std::atomic<std::int32_t> disturbed;               // how many were
  std::atomic<std::int32_t> calls[kKinds];
};

Orders* orders() {
  static Orders* const mapped = []() -> Orders* {
    const char* const path = std::getenv("FAULTY_SOCKETS");
    const int fd = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return nullptr;
    void* const where = ::mmap(nullptr, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return where == MAP_FAILED ? nullptr : static_cast<Orders*>(where);
  }();
  return mapped;
}

template <class Call>
Call next_of(Call, const char* name) {
  return reinterpret_cast<Call>(::dlsym(RTLD_NEXT, name));
}

bool is_tcp(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6);
}

bool chance(int of_a_hundred) {
  thread_local std::uint32_t state = 2463534242u;
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return static_cast<int>(state % 100) < of_a_hundred;
}

// The errno with which this call fails; 0: it does not.
int fault(Kind kind) {
  Orders* const all = orders();
  if (!all) return 0;
  ++all->calls[kind];
  if (all->kind != kind || all->countdown-- != 0) return 0;
  ++all->fired;
  return all->number;
}

// What breaks a connection breaks both of its directions, and the event loop hears of it.
int broken(int fd, int number) {
  if (number != ENOBUFS && number != ENOMEM) ::shutdown(fd, SHUT_RDWR);
  errno = number;
  return -1;
}

bool is_interrupted() {
  Orders* const all = orders();
  if (!all || !chance(all->interrupted)) return false;
  ++all->disturbed;
  errno = EINTR;
  return true;
}

}  // namespace

extern "C" {

ssize_t recv(int fd, void* out, size_t size, int flags) {
  static const auto next = next_of(&recv, "recv");
  if (!is_tcp(fd)) return next(fd, out, size, flags);
  if (const int number = fault(kRecv)) return broken(fd, number);
  return is_interrupted() ? -1 : next(fd, out, size, flags);
}

ssize_t send(int fd, const void* octets, size_t size, int flags) {
  static const auto next = next_of(&send, "send");
  if (!is_tcp(fd)) return next(fd, octets, size, flags);
  if (const int number = fault(kSend)) return broken(fd, number);
  if (is_interrupted()) return -1;
  Orders* const all = orders();
  if (all && size > 1 && chance(all->shortened)) {
    ++all->disturbed;
    size = std::min<size_t>(size / 2, 1000);
  }
  return next(fd, octets, size, flags);
}

int connect(int fd, const sockaddr* to, socklen_t size) {
  static const auto next = next_of(&connect, "connect");
  const int number = is_tcp(fd) ? fault(kConnect) : 0;
  return number != 0 ? (errno = number, -1) : next(fd, to, size);
}

int socket(int domain, int type, int protocol) noexcept {
  static const auto next = next_of(&socket, "socket");
  const bool tcp = (domain == AF_INET || domain == AF_INET6) && (type & SOCK_STREAM) != 0;
  const int number = tcp ? fault(kSocket) : 0;
  return number != 0 ? (errno = number, -1) : next(domain, type, protocol);
}

// An aborted connection is gone; without a descriptor it goes on waiting.
int accept(int fd, sockaddr* from, socklen_t* size) {
  static const auto next = next_of(&accept, "accept");
  if (!is_tcp(fd)) return next(fd, from, size);
  Orders* const all = orders();
  if (all && all->kind == kAccept && all->number == ECONNABORTED) {
    const int taken = next(fd, from, size);
    if (taken < 0) return taken;
    if (const int number = fault(kAccept)) return ::close(taken), errno = number, -1;
    return taken;
  }
  const int number = fault(kAccept);
  return number != 0 ? (errno = number, -1) : next(fd, from, size);
}
}
