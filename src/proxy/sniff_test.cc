#include "proxy/sniff.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

using namespace std::string_view_literals;

TEST(Sniff, KnowsWhatAConnectionSpeaks) {
  EXPECT_EQ(sniff("\x16\x03\x01\x02"sv), Sniffed::kTls);
  EXPECT_EQ(sniff("CONNECT a:1 HTTP/1.1"), Sniffed::kHttp);
  EXPECT_EQ(sniff("GET "), Sniffed::kHttp);
  EXPECT_EQ(sniff("\r\nM-SEARCH * HTTP/1.1"), Sniffed::kHttp);
  EXPECT_EQ(sniff("\x05\x01\x00"sv), Sniffed::kSocks5);
  EXPECT_EQ(sniff("\x04\x01\x00"sv), Sniffed::kSocks4);
  EXPECT_EQ(sniff("SSH-2.0-OpenSSH_9.2\r\n"), Sniffed::kOther);
  EXPECT_EQ(sniff(" GET"), Sniffed::kOther);
  EXPECT_EQ(sniff("\x16\x02"sv), Sniffed::kOther);
}

TEST(Sniff, WaitsForMoreOfWhatIsNotDecided) {
  EXPECT_EQ(sniff(""), Sniffed::kNeedMore);
  EXPECT_EQ(sniff("\x16"), Sniffed::kNeedMore);
  EXPECT_EQ(sniff("GE"), Sniffed::kNeedMore);
  EXPECT_EQ(sniff("\r\n"), Sniffed::kNeedMore);
  EXPECT_EQ(sniff("PRI * HTTP/2.0\r"), Sniffed::kNeedMore);
  EXPECT_EQ(sniff("PRI * HTTP/2.0\r\n"), Sniffed::kHttp);
  EXPECT_EQ(sniff("PRI /"), Sniffed::kHttp);
  EXPECT_EQ(sniff(std::string(40, 'A')), Sniffed::kOther);
}

}  // namespace
}  // namespace sluice::proxy
