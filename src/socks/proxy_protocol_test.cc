#include "socks/proxy_protocol.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::socks {
namespace {

using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const ProxiedAddresses kFour{{"192.0.2.1", 56324}, {"198.51.100.2", 443}};
const ProxiedAddresses kSix{{"2001:db8::1", 1}, {"2001:db8::2", 65535}};

// Whole, with anything behind it; and no part of it is enough, or wrong.
ProxyHeader parse(const std::string& octets) {
  const auto header = parse_proxy_header(octets + "GET / HTTP/1.1\r\n");
  EXPECT_TRUE(header && header->has_value()) << hex_encode(octets);
  if (!header || !*header) return {};
  EXPECT_EQ((*header)->size, octets.size());
  for (std::size_t cut = 0; cut < octets.size(); ++cut) {
    const auto part = parse_proxy_header(octets.substr(0, cut));
    EXPECT_TRUE(part && !part->has_value()) << hex_encode(octets) << " cut at " << cut;
  }
  return **header;
}

TEST(ProxyProtocol, ReadsTheTextOfVersionOne) {
  EXPECT_EQ(parse("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n").addresses, kFour);
  EXPECT_EQ(parse("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n").addresses, kSix);
  EXPECT_FALSE(parse("PROXY UNKNOWN\r\n").addresses);
  EXPECT_FALSE(parse("PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n").addresses);
}

TEST(ProxyProtocol, ReadsVersionTwoAndSkipsItsTlvs) {
  EXPECT_EQ(parse(*write_proxy_v2(kFour)).addresses, kFour);
  EXPECT_EQ(parse(*write_proxy_v2(kSix)).addresses, kSix);
  const std::string addresses = "\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"s;
  EXPECT_EQ(parse(kSignature + "\x21\x11\0\x13"s + addresses + "\4\0\4noop"s).addresses, kFour);
  EXPECT_FALSE(parse(kSignature + "\x20\0\0\0"s).addresses);                              // LOCAL
  EXPECT_FALSE(parse(kSignature + "\x20\x11\0\x0c"s + addresses).addresses);              // LOCAL, with addresses
  EXPECT_FALSE(parse(kSignature + "\x21\0\0\3abc"s).addresses);                           // UNSPEC
  EXPECT_FALSE(parse(kSignature + "\x21\x12\0\x0c"s + addresses).addresses);              // a datagram
  EXPECT_FALSE(parse(kSignature + "\x21\x31\0\xd8"s + std::string(216, 'u')).addresses);  // a Unix socket
}

TEST(ProxyProtocol, RefusesWhatIsMalformed) {
  const std::string table[] = {
      "GET / HTTP/1.1\r\n",
      "PROXZ",
      "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
      "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
      "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 name.example 1 2\r\n",
      "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
      "PROXY \r\n",
      "PROXY " + std::string(101, 'x'),
      "\r\n\r\nX",
      kSignature + "\x11\x11\0\x0c"s,  // another version
      kSignature + "\x22\x11\0\x0c"s,  // an unknown command
      kSignature + "\x21\x41\0\x0c"s,  // an unknown family
      kSignature + "\x21\x13\0\x0c"s,  // an unknown transport
      kSignature + "\x21\x11\0\x0b"s,  // no room for its addresses
      kSignature + "\x21\x21\0\x23"s,
  };
  for (const std::string& octets : table) {
    const auto header = parse_proxy_header(octets);
    ASSERT_FALSE(header) << hex_encode(octets);
    EXPECT_EQ(header.error().code, Code::kInvalid);
  }
}

TEST(ProxyProtocol, NobodyMakesUsGatherWithoutBound) {
  const auto header = parse_proxy_header(kSignature + "\x21\x11\xff\xff"s);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, Code::kTooLarge);
  const auto text = parse_proxy_header("PROXY UNKNOWN " + std::string(kMaxProxyHeaderV1, ' '));
  ASSERT_FALSE(text);
  EXPECT_TRUE(parse_proxy_header("PROXY UNKNOWN " + std::string(kMaxProxyHeaderV1 - 15, ' ')));
}

TEST(ProxyProtocol, WritesWhatItReads) {
  EXPECT_EQ(*write_proxy_v1(kFour), "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
  EXPECT_EQ(hex_encode(*write_proxy_v2(kFour)), "0d0a0d0a000d0a515549540a2111000cc0000201c6336402dc0401bb");
  for (const auto& addresses : {kFour, kSix}) {
    EXPECT_EQ(parse(*write_proxy_v1(addresses)).addresses, addresses);
    EXPECT_EQ(parse(*write_proxy_v2(addresses)).addresses, addresses);
  }
  EXPECT_FALSE(write_proxy_v1({{"192.0.2.1", 1}, {"2001:db8::1", 2}}));
  EXPECT_FALSE(write_proxy_v2({{"name.example", 1}, {"192.0.2.1", 2}}));
}

}  // namespace
}  // namespace sluice::socks
