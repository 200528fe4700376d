#include "net/process_lookup.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>

namespace sluice::net {
namespace {

namespace ip = boost::asio::ip;
using ip::tcp;

// One connection of this process to itself.
class Connection {
 public:
  explicit Connection(const ip::address& at) : acceptor_(io_, {at, 0}), client(io_), server(io_) {
    client.connect(acceptor_.local_endpoint());
    acceptor_.accept(server);
  }
  // The same with a client of the other family, which speaks IPv4.
  Connection() : acceptor_(io_, {ip::address_v4::loopback(), 0}), client(io_), server(io_) {
    client.open(tcp::v6());
    client.set_option(ip::v6_only(false));
    client.connect({ip::make_address_v6(ip::v4_mapped, ip::address_v4::loopback()), acceptor_.local_endpoint().port()});
    acceptor_.accept(server);
  }

 private:
  boost::asio::io_context io_;
  tcp::acceptor acceptor_;

 public:
  tcp::socket client, server;
};

class Lookup : public testing::TestWithParam<ProcessLookup::Ask> {
 protected:
  std::optional<FoundProcess> find(const tcp::endpoint& client, const tcp::endpoint& server) {
    std::optional<FoundProcess> answer;
    lookup_.add(client, server, [&](FoundProcess found) { answer = std::move(found); });
    lookup_.poll();
    return answer;
  }
  // As the server sees them.
  std::optional<FoundProcess> client_of(const Connection& connection) {
    return find(connection.server.remote_endpoint(), connection.server.local_endpoint());
  }

  SystemClock clock_;
  ProcessLookup lookup_{clock_, GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Asked, Lookup, testing::Values(ProcessLookup::Ask::kKernel, ProcessLookup::Ask::kTables),
                         [](const auto& info) {
                           return info.param == ProcessLookup::Ask::kKernel ? "TheKernel" : "ItsTables";
                         });

TEST_P(Lookup, NamesTheProgramAtTheOtherEnd) {
  const Connection v4{ip::address_v4::loopback()};
  const auto found = client_of(v4);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pid, ::getpid());
  EXPECT_EQ(found->name, "net_test");
  const Connection other;  // what was found lately is looked at first
  ASSERT_TRUE(client_of(other));
  EXPECT_EQ(client_of(other)->pid, ::getpid());
}

TEST_P(Lookup, KnowsIpv6) {
  boost::asio::io_context io;
  boost::system::error_code none;
  tcp::acceptor probe(io);
  probe.open(tcp::v6(), none);
  if (!none) probe.bind({ip::address_v6::loopback(), 0}, none);
  if (none) GTEST_SKIP() << "no IPv6 here";
  const Connection v6{ip::address_v6::loopback()};
  ASSERT_TRUE(client_of(v6));
  EXPECT_EQ(client_of(v6)->pid, ::getpid());
}

TEST_P(Lookup, TellsProcessesApart) {
  Connection connection{ip::address_v4::loopback()};
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {  // has the client's end alone once the parent has closed its own
    char octet;
    ::close(told[1]);
    (void)!::read(told[0], &octet, 1);
    ::_exit(0);
  }
  const auto client = connection.client.local_endpoint(), server = connection.server.local_endpoint();
  connection.client.close();
  const auto found = find(client, server);
  EXPECT_TRUE(found);
  if (found) EXPECT_EQ(found->pid, child);
  ::close(told[0]);
  ::close(told[1]);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_P(Lookup, WhoIsGoneStaysUnknown) {
  Connection connection{ip::address_v4::loopback()};
  const auto client = connection.client.local_endpoint(), server = connection.server.local_endpoint();
  connection.client.close();
  EXPECT_FALSE(find(client, server));  // half closed: the kernel still has it, nobody else
  connection.server.close();
  EXPECT_FALSE(find(client, server));
  EXPECT_FALSE(find({ip::make_address("192.0.2.1"), 443}, server));
}

TEST(SocketDiag, FindsASocketByBothItsEnds) {
  auto diag = SocketDiag::open();
  if (!diag) GTEST_SKIP() << "this kernel does not answer";
  const Connection one{ip::address_v4::loopback()};
  const auto client = one.client.local_endpoint(), server = one.server.local_endpoint();
  const auto of_client = diag->find(client, server), of_server = diag->find(server, client);
  ASSERT_TRUE(of_client && of_server);
  EXPECT_NE(of_client->inode, of_server->inode);
  EXPECT_EQ(of_client->user, ::geteuid());
  EXPECT_FALSE(diag->find(client, {server.address(), static_cast<unsigned short>(server.port() ^ 1)}));
  // What listens at a port is not the client that was there.
  EXPECT_FALSE(diag->find(server, {ip::address_v4::loopback(), 1}));
  const Connection mapped;  // by its IPv4 addresses, and as it spells them
  const auto plain = diag->find(mapped.server.remote_endpoint(), mapped.server.local_endpoint());
  const auto spelt = diag->find(mapped.client.local_endpoint(), mapped.client.remote_endpoint());
  ASSERT_TRUE(plain && spelt);
  EXPECT_EQ(plain->inode, spelt->inode);
}

}  // namespace
}  // namespace sluice::net
