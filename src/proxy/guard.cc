#include "proxy/guard.h"

#include <ifaddrs.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice::proxy {
namespace {

namespace ip = net::asio::ip;

ip::address_v6 as_v6(const ip::address& address) {
  return address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4());
}

}  // namespace

ip::address plain_address(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

bool is_loopback(const ip::address& address) { return plain_address(address).is_loopback(); }

bool is_local_address(const ip::address& given) {
  const ip::address address = plain_address(given);
  if (address.is_loopback() || address.is_unspecified()) return true;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  bool found = false;
  for (ifaddrs* at = list; at && !found; at = at->ifa_next) {
    if (!at->ifa_addr) continue;
    if (at->ifa_addr->sa_family == AF_INET && address.is_v4()) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      found = ip::address_v4(ntohl(v4->sin_addr.s_addr)) == address.to_v4();
    } else if (at->ifa_addr->sa_family == AF_INET6 && address.is_v6()) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      const auto bytes = address.to_v6().to_bytes();
      found = std::memcmp(&v6->sin6_addr, bytes.data(), bytes.size()) == 0;
    }
  }
  ::freeifaddrs(list);
  return found;
}

std::shared_ptr<const void> OutgoingConnections::note(const ip::tcp::socket& socket, const Endpoint& remote) {
  if (!watching_.load(std::memory_order_relaxed)) return nullptr;
  boost::system::error_code error;
  const Endpoint local = socket.local_endpoint(error);
  if (error) return nullptr;
  const auto forget = [ends = ends_](const std::pair<Endpoint, Endpoint>* noted) {
    const std::unique_ptr<const std::pair<Endpoint, Endpoint>> owned(noted);
    std::lock_guard lock(ends->mutex);
    ends->open.erase(ends->open.find(*noted));
  };
  auto noted = std::make_unique<const std::pair<Endpoint, Endpoint>>(local, remote);
  {
    std::lock_guard lock(ends_->mutex);
    ends_->open.insert(*noted);
  }
  return std::shared_ptr<const void>(std::shared_ptr<const std::pair<Endpoint, Endpoint>>(noted.release(), forget));
}

bool OutgoingConnections::contains(const Endpoint& local, const Endpoint& remote) const {
  const std::pair wanted(Endpoint(plain_address(local.address()), local.port()),
                         Endpoint(plain_address(remote.address()), remote.port()));
  std::lock_guard lock(ends_->mutex);
  return ends_->open.contains(wanted);
}

void OwnListeners::add(const ListenAddress& address) {
  std::lock_guard lock(mutex_);
  ports_.push_back(address.port);
}

void OwnListeners::remove(const ListenAddress& address) {
  std::lock_guard lock(mutex_);
  const auto found = std::find(ports_.begin(), ports_.end(), address.port);
  if (found != ports_.end()) ports_.erase(found);
}

bool OwnListeners::is_own(const ip::address& address, std::uint16_t port) {
  {
    std::lock_guard lock(mutex_);
    if (std::find(ports_.begin(), ports_.end(), port) == ports_.end()) return false;
  }
  return is_local_address(address);
}

Status OwnListeners::may_dial(std::string_view name, const ip::address& address, std::uint16_t port) {
  if (!is_own(address, port)) return {};
  return fail(Code::kConflict, "the address is one of Sluice's own listeners");
}

Status RemoteGuard::may_dial(std::string_view name, const ip::address& given, std::uint16_t port) {
  SLUICE_CHECK(also_.may_dial(name, given, port));
  const ip::address address = plain_address(given);
  bool link_local = address.is_v6() && address.to_v6().is_link_local();
  if (address.is_v4()) {
    const ip::address_v4::bytes_type octets = address.to_v4().to_bytes();
    link_local = octets[0] == 169 && octets[1] == 254;  // RFC 3927; there live the metadata services of clouds
    if (octets[0] == 0) link_local = true;              // "this network": the kernel takes it for loopback
  }
  if (!link_local && !address.is_loopback() && !address.is_unspecified()) return {};
  return fail(Code::kRefused,
              "clients on other machines may not reach loopback and link-local addresses through Sluice");
}

Result<ClientList> ClientList::parse(const std::vector<std::string>& cidrs, std::string_view flag) {
  ClientList list;
  for (const std::string& text : cidrs) {
    const std::size_t slash = text.find('/');
    boost::system::error_code error;
    const ip::address address = ip::make_address(text.substr(0, slash), error);
    const unsigned width = address.is_v4() ? 32 : 128;
    unsigned bits = width;
    bool good = !error;
    if (good && slash != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto [stop, problem] = std::from_chars(text.data() + slash + 1, end, bits);
      good = problem == std::errc() && stop == end && bits <= width;
    }
    if (!good)
      return fail(Code::kInvalid,
                  std::string(flag) + " takes an address or a CIDR such as 192.0.2.0/24, not '" + text + "'");
    list.ranges_.push_back({as_v6(address), bits + (address.is_v4() ? 96 : 0)});
  }
  return list;
}

bool ClientList::contains(const ip::address& given) const {
  const auto client = as_v6(given).to_bytes();
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    const auto network = range.network.to_bytes();
    for (unsigned bit = 0; bit < range.bits; ++bit) {
      const unsigned mask = 0x80u >> (bit % 8);
      if ((client[bit / 8] & mask) != (network[bit / 8] & mask)) return false;
    }
    return true;
  });
}

}  // namespace sluice::proxy
