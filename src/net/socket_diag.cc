#include "net/socket_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstring>

namespace sluice::net {
namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 request;
};

void put(__be32 (&place)[4], const boost::asio::ip::address& address) {
  if (address.is_v4()) {
    const auto octets = address.to_v4().to_bytes();
    std::memcpy(place, octets.data(), octets.size());
  } else {
    const auto octets = address.to_v6().to_bytes();
    std::memcpy(place, octets.data(), octets.size());
  }
}

// A socket of the other family that speaks IPv4 is found by its IPv4 addresses.
SocketDiag::Endpoint plain(const SocketDiag::Endpoint& end) {
  if (!end.address().is_v6() || !end.address().to_v6().is_v4_mapped()) return end;
  return {boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, end.address().to_v6()), end.port()};
}

}  // namespace

std::optional<SocketDiag> SocketDiag::open() {
  Descriptor netlink(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return std::nullopt;
  const timeval patience{0, 200'000};  // it answers within the question; never wait for one that does not
  (void)::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  SocketDiag diag(std::move(netlink));
  boost::asio::io_context io;
  boost::system::error_code error;
  boost::asio::ip::tcp::acceptor probe(io);
  probe.open(boost::asio::ip::tcp::v4(), error);
  if (!error) probe.bind({boost::asio::ip::address_v4::loopback(), 0}, error);
  if (!error) probe.listen(1, error);
  const Endpoint here = error ? Endpoint() : probe.local_endpoint(error);
  if (error || !diag.find(here, Endpoint(boost::asio::ip::address_v4::any(), 0))) return std::nullopt;
  return diag;
}

std::optional<SocketOwner> SocketDiag::find(const Endpoint& local_end, const Endpoint& remote_end) {
  const Endpoint local = plain(local_end), remote = plain(remote_end);
  if (local.address().is_v4() != remote.address().is_v4()) return std::nullopt;
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.header.nlmsg_seq = ++sequence_;
  question.request.sdiag_family = local.address().is_v4() ? AF_INET : AF_INET6;
  question.request.sdiag_protocol = IPPROTO_TCP;
  question.request.idiag_states = ~0U;
  inet_diag_sockid& id = question.request.id;
  id.idiag_sport = htons(local.port());
  id.idiag_dport = htons(remote.port());
  put(id.idiag_src, local.address());
  put(id.idiag_dst, remote.address());
  id.idiag_if = local.address().is_v6() ? static_cast<__u32>(local.address().to_v6().scope_id()) : 0;
  std::fill(std::begin(id.idiag_cookie), std::end(id.idiag_cookie), INET_DIAG_NOCOOKIE);
  if (::send(netlink_.get(), &question, sizeof question, 0) != static_cast<ssize_t>(sizeof question)) {
    return std::nullopt;
  }
  alignas(nlmsghdr) char answer[1024];
  for (;;) {  // a late answer to a question before this one is passed over
    const ssize_t length = ::recv(netlink_.get(), answer, sizeof answer, 0);
    if (length < static_cast<ssize_t>(sizeof(nlmsghdr))) return std::nullopt;
    nlmsghdr header;
    std::memcpy(&header, answer, sizeof header);
    if (header.nlmsg_seq != sequence_) continue;
    inet_diag_msg found;
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || length < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof found)) {
      return std::nullopt;
    }
    std::memcpy(&found, answer + NLMSG_HDRLEN, sizeof found);
    if (found.idiag_inode == 0) return std::nullopt;
    if (found.idiag_state == TCP_LISTEN && remote.port() != 0) return std::nullopt;  // another one at that port
    return SocketOwner{found.idiag_inode, found.idiag_uid};
  }
}

}  // namespace sluice::net
