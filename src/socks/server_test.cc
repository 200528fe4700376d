#include "socks/server.h"

#include <gtest/gtest.h>

#include "socks/transcript.h"

namespace sluice::socks {
namespace {

using namespace std::string_literals;
using Auth = Server::Auth;

// The same, however the octets come.
std::string said(const std::string& octets, Auth auth = Auth::kNone) {
  const ServerRun whole = run_server(octets, {}, auth);
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    EXPECT_EQ(run_server(octets, {cut}, auth).said, whole.said) << "cut at " << cut;
  }
  const ServerRun single = run_server(octets, every_cut(octets.size()), auth);
  EXPECT_EQ(single.said, whole.said) << "octet by octet";
  EXPECT_LT(single.kept, Server::kLongestPart);
  return whole.said;
}

const std::string kHello = "\5\1\0"s, kRequest = "\5\1\0\3\x0csite.example\1\xbb"s;
const std::string kWithPassword = "\5\1\2"s, kUser = "\1\4user\6secret"s, kWrongUser = "\1\4user\6secreT"s;

TEST(SocksServer, TakesNamesAndAddressesOfAllVersions) {
  const std::pair<std::string, const char*> table[] = {
      {"\4\1\0\x50\xc0\0\2\1\0"s, "request SOCKS4 192.0.2.1:80; rest "},
      {"\4\1\0\x50\xc0\0\2\1me\0more"s, "request SOCKS4 192.0.2.1:80; rest 6d6f7265"},
      {"\4\1\1\xbb\0\0\0\1me\0Site.Example\0hi"s, "request SOCKS4a site.example:443; rest 6869"},
      {"\4\1\1\xbb\0\0\0\0\0"s, "request SOCKS4 0.0.0.0:443; rest "},  // 4a wants 0.0.0.x with x not zero
      {kHello + kRequest, "send 0500; request SOCKS5 site.example:443; rest "},
      {kHello + kRequest + "hi", "send 0500; request SOCKS5 site.example:443; rest 6869"},
      {kHello + "\5\1\0\1\xc0\0\2\1\0\x50"s, "send 0500; request SOCKS5 192.0.2.1:80; rest "},
      {kHello + "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"s,
       "send 0500; request SOCKS5 [2001:db8::1]:80; rest "},
      {kHello + "\5\1\0\3\7\x31\x39\x32\x2e\x30\x2e\x32\0\x50"s, "send 0500; request SOCKS5 192.0.2:80; rest "},
      {kHello + "\5\1\0\3\3::1\0\x50"s, "send 0500; request SOCKS5 [::1]:80; rest "},
      {"\5\3\1\0\2"s + kRequest, "send 0500; request SOCKS5 site.example:443; rest "},
  };
  for (const auto& [octets, expected] : table) EXPECT_EQ(said(octets), expected) << hex_encode(octets);
}

TEST(SocksServer, AsksForTheUserAndPasswordOfRfc1929) {
  EXPECT_EQ(said(kWithPassword + kUser + kRequest, Auth::kPassword),
            "send 0502; ask; send 0100; request SOCKS5 site.example:443; rest ");
  EXPECT_EQ(said("\5\2\0\2"s + kUser + kRequest, Auth::kPassword),
            "send 0502; ask; send 0100; request SOCKS5 site.example:443; rest ");
  EXPECT_EQ(said(kWithPassword + kWrongUser + kRequest, Auth::kPassword), "send 0502; ask; send 0101; failed refused ");
  EXPECT_EQ(said(kWithPassword + "\1\0\0"s + kRequest, Auth::kPassword), "send 0502; ask; send 0101; failed refused ");
  EXPECT_EQ(said(kWithPassword + "\2\4user\6secret", Auth::kPassword), "send 0502; failed invalid 0101");
}

TEST(SocksServer, ServesNobodyWithoutThePasswordThatItWants) {
  EXPECT_EQ(said(kHello + kRequest, Auth::kPassword), "failed refused 05ff");
  EXPECT_EQ(said("\5\0"s, Auth::kPassword), "failed refused 05ff");
  EXPECT_EQ(said("\4\1\0\x50\xc0\0\2\1user\0"s, Auth::kPassword), "failed refused 005d000000000000");
  EXPECT_EQ(said("\4\1\1\xbb\0\0\0\1user\0site.example\0"s, Auth::kPassword), "failed refused 005d000000000000");
}

TEST(SocksServer, TakesAnyCredentialsWhereItWantsNone) {
  EXPECT_EQ(said(kWithPassword + kWrongUser + kRequest),
            "send 0502; send 0100; request SOCKS5 site.example:443; rest ");
  EXPECT_EQ(said("\5\1\1"s), "failed refused 05ff");  // GSSAPI alone
}

TEST(SocksServer, RefusesWhatIsNotConnectWithTheRightCode) {
  EXPECT_EQ(said("\4\2\0\x50\xc0\0\2\1\0"s), "failed refused 005b000000000000");
  EXPECT_EQ(said(kHello + "\5\2\0\1\xc0\0\2\1\0\x50"s), "send 0500; failed refused 05070001000000000000");
  EXPECT_EQ(said(kHello + "\5\3\0\1\0\0\0\0\0\0"s), "send 0500; failed refused 05070001000000000000");
  EXPECT_EQ(said(kHello + "\5\1\0\2\xc0\0\2\1\0\x50"s), "send 0500; failed refused 05080001000000000000");
}

TEST(SocksServer, RefusesDestinationsThatAreNone) {
  EXPECT_EQ(said(kHello + "\5\1\0\3\0\0\x50"s), "send 0500; failed invalid 05010001000000000000");
  EXPECT_EQ(said(kHello + "\5\1\0\3\3a b\0\x50"s), "send 0500; failed invalid 05010001000000000000");
  EXPECT_EQ(said(kHello + "\5\1\0\3\3a\0b\0\x50"s), "send 0500; failed invalid 05010001000000000000");
  EXPECT_EQ(said(kHello + "\5\1\0\1\xc0\0\2\1\0\0"s), "send 0500; failed invalid 05010001000000000000");
  EXPECT_EQ(said("\4\1\1\xbb\0\0\0\1me\0a/b\0"s), "failed invalid 005b000000000000");
  EXPECT_EQ(said(kHello + "\4\1\0\1\xc0\0\2\1\0\x50"s), "send 0500; failed invalid ");
}

TEST(SocksServer, NeverWaitsForAnEndThatDoesNotCome) {
  EXPECT_EQ(said("\4\1\1\xbb\0\0\0\1"s + std::string(256, 'u')), "failed invalid 005b000000000000");
  EXPECT_EQ(said("\4\1\1\xbb\0\0\0\1\0"s + std::string(256, 'n')), "failed invalid 005b000000000000");
  EXPECT_EQ(said("\4\1\1\xbb\0\0\0\1"s + std::string(255, 'u')), "wait");
  EXPECT_EQ(said("\4"s), "wait");
  EXPECT_EQ(said(""s), "wait");
  EXPECT_EQ(said("GET / HTTP/1.1\r\n"s), "failed invalid ");
}

TEST(SocksServer, RepliesInTheClientsOwnVersion) {
  Server five(Auth::kNone);
  five.feed(kHello + kRequest);
  (void)five.next();
  ASSERT_TRUE(std::holds_alternative<Server::Request>(*five.next()));
  EXPECT_EQ(hex_encode(five.granted()), "05000001000000000000");
  EXPECT_EQ(hex_encode(five.refused(Refusal::kConnectionRefused)), "05050001000000000000");
  Server four(Auth::kNone);
  four.feed("\4\1\0\x50\xc0\0\2\1\0"s);
  ASSERT_TRUE(std::holds_alternative<Server::Request>(*four.next()));
  EXPECT_EQ(hex_encode(four.granted()), "005a000000000000");
  EXPECT_EQ(hex_encode(four.refused(Refusal::kConnectionRefused)), "005b000000000000");
}

}  // namespace
}  // namespace sluice::socks
