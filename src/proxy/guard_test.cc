#include "proxy/guard.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

auto address(const char* text) { return net::asio::ip::make_address(text); }

TEST(OwnListeners, AreNeverDialledOnAnyLocalAddress) {
  OwnListeners guard;
  guard.add({"127.0.0.1", 8080});
  EXPECT_EQ(guard.may_dial("localhost", address("127.0.0.1"), 8080).error().code, Code::kConflict);
  EXPECT_FALSE(guard.may_dial("x", address("127.9.9.9"), 8080));
  EXPECT_FALSE(guard.may_dial("x", address("::1"), 8080));
  EXPECT_FALSE(guard.may_dial("x", address("0.0.0.0"), 8080));
  EXPECT_FALSE(guard.may_dial("x", address("::ffff:127.0.0.1"), 8080));
  EXPECT_TRUE(guard.may_dial("localhost", address("127.0.0.1"), 8081));
  EXPECT_TRUE(guard.may_dial("x", address("192.0.2.7"), 8080));
  guard.remove({"127.0.0.1", 8080});
  EXPECT_TRUE(guard.may_dial("localhost", address("127.0.0.1"), 8080));
}

TEST(OutgoingConnections, AreKnownWhileTheyAreOpenAndSomebodyWatches) {
  namespace asio = net::asio;
  using Tcp = asio::ip::tcp;
  asio::io_context io;
  Tcp::acceptor listener(io, Tcp::endpoint(address("127.0.0.1"), 0));
  Tcp::socket socket(io);
  socket.connect(listener.local_endpoint());
  const Tcp::endpoint local = socket.local_endpoint(), remote(address("192.0.2.1"), 443);
  OutgoingConnections outgoing;
  EXPECT_EQ(outgoing.note(socket, remote), nullptr);
  EXPECT_FALSE(outgoing.contains(local, remote));
  outgoing.watch(true);
  auto one = outgoing.note(socket, remote), again = outgoing.note(socket, remote);
  EXPECT_TRUE(outgoing.contains(local, remote));
  EXPECT_TRUE(outgoing.contains(Tcp::endpoint(address("::ffff:127.0.0.1"), local.port()), remote));
  EXPECT_FALSE(outgoing.contains(local, Tcp::endpoint(address("192.0.2.1"), 80)));
  one.reset();
  EXPECT_TRUE(outgoing.contains(local, remote));
  again.reset();
  EXPECT_FALSE(outgoing.contains(local, remote));
  std::shared_ptr<const void> longer_lived;
  {
    OutgoingConnections gone;
    gone.watch(true);
    longer_lived = gone.note(socket, remote);
  }
  longer_lived.reset();
}

TEST(RemoteGuard, KeepsClientsOfOtherMachinesFromThisOne) {
  OwnListeners own;
  own.add({"127.0.0.1", 8080});
  RemoteGuard guard(own);
  for (const char* bad : {"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "0.1.2.3",
                          "::", "169.254.169.254", "::ffff:169.254.1.1", "fe80::1"}) {
    const Status allowed = guard.may_dial("name", address(bad), 80);
    ASSERT_FALSE(allowed) << bad;
    EXPECT_EQ(allowed.error().code, Code::kRefused);
  }
  EXPECT_TRUE(guard.may_dial("name", address("192.0.2.1"), 80));
  EXPECT_TRUE(guard.may_dial("name", address("10.0.0.1"), 80));
  EXPECT_TRUE(guard.may_dial("name", address("2001:db8::1"), 80));
  EXPECT_EQ(guard.may_dial("name", address("127.0.0.1"), 8080).error().code, Code::kConflict);
}

TEST(ClientList, HoldsTheListedRanges) {
  const auto list = ClientList::parse({"192.0.2.0/24", "2001:db8::/32", "198.51.100.7"}, "--flag");
  ASSERT_TRUE(list);
  EXPECT_FALSE(list->contains(address("127.0.0.1")));
  EXPECT_TRUE(list->contains(address("192.0.2.200")));
  EXPECT_TRUE(list->contains(address("::ffff:192.0.2.200")));
  EXPECT_FALSE(list->contains(address("192.0.3.1")));
  EXPECT_TRUE(list->contains(address("2001:db8:9::1")));
  EXPECT_FALSE(list->contains(address("2001:db9::1")));
  EXPECT_TRUE(list->contains(address("198.51.100.7")));
  EXPECT_FALSE(list->contains(address("198.51.100.8")));
}

TEST(ClientList, RefusesWhatIsNoRange) {
  for (const char* bad : {"", "example.com", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/2x", "::/129"}) {
    EXPECT_FALSE(ClientList::parse({bad}, "--flag")) << bad;
  }
}

}  // namespace
}  // namespace sluice::proxy
