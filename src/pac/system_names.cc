#include "pac/system_names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace sluice::pac {
namespace {

constexpr std::chrono::seconds kKept{30};
constexpr std::size_t kMostKept = 1000;     // forgotten all at once beyond
constexpr std::size_t kMostAddresses = 32;  // of one name

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* octets = address->sa_family == AF_INET6
                           ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
                           : &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  return ::inet_ntop(address->sa_family, octets, text, sizeof text) ? text : "";
}

std::vector<std::string> look_up(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  std::vector<std::string> found;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) return found;
  for (const addrinfo* at = list; at && found.size() < kMostAddresses; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    std::string text = text_of(at->ai_addr);
    if (!text.empty() && std::find(found.begin(), found.end(), text) == found.end()) found.push_back(std::move(text));
  }
  ::freeaddrinfo(list);
  return found;
}

// The address from which packets would go to `remote`; connecting a datagram socket sends none.
std::string source_towards(const sockaddr* remote, socklen_t size) {
  const int fd = ::socket(remote->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  const bool known =
      ::connect(fd, remote, size) == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) == 0;
  ::close(fd);
  return known ? text_of(reinterpret_cast<const sockaddr*>(&local)) : "";
}

}  // namespace

std::vector<std::string> SystemNames::resolve(const std::string& name) {
  const MonoTime now = clock_.mono();
  if (const auto found = known_.find(name); found != known_.end() && now < found->second.until) {
    return found->second.addresses;
  }
  if (known_.size() >= kMostKept) known_.clear();
  std::vector<std::string> addresses = look_up(name);
  known_[name] = {addresses, clock_.mono() + kKept};
  return addresses;
}

std::vector<std::string> SystemNames::mine() {
  const MonoTime now = clock_.mono();
  if (!mine_.empty() && now < mine_until_) return mine_;
  mine_.clear();
  mine_until_ = now + kKept;
  // Addresses for documentation (RFC 5737, RFC 3849): nobody's, so the default route leads there.
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  ::inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(80);
  ::inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
  for (std::string address : {source_towards(reinterpret_cast<const sockaddr*>(&v4), sizeof v4),
                              source_towards(reinterpret_cast<const sockaddr*>(&v6), sizeof v6)}) {
    if (!address.empty()) mine_.push_back(std::move(address));
  }
  if (mine_.empty()) mine_.push_back("127.0.0.1");
  return mine_;
}

}  // namespace sluice::pac
