#include "tls/server_hello_reader.h"

#include <gtest/gtest.h>

namespace sluice::tls {
namespace {

std::string sized(std::size_t size, int octets) {
  std::string made;
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) made += static_cast<char>(size >> shift);
  return made;
}
std::string record(char type, const std::string& fragment) {
  return std::string(1, type) + "\x03\x03" + sized(fragment.size(), 2) + fragment;
}
std::string hello(const std::string& random) {
  const std::string extensions = std::string("\x00\x2b\x00\x02\x03\x04", 6);
  const std::string body = "\x03\x03" + random + std::string(1, '\0') + "\x13\x01" + std::string(1, '\0') +
                           sized(extensions.size(), 2) + extensions;
  return "\x02" + sized(body.size(), 3) + body;
}
const std::string kHello = hello(std::string(32, 'r'));
const std::string kRetry = hello(
    "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
    "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c");

ServerHelloReader read_in(const std::string& octets, std::size_t piece) {
  ServerHelloReader reader;
  for (std::size_t at = 0; at < octets.size(); at += piece) reader.feed(Bytes(octets).substr(at, piece));
  return reader;
}

TEST(ServerHelloReader, FindsTheHelloHoweverItIsCut) {
  const std::string whole = record(22, kHello) + record(20, "\x01") + record(23, std::string(500, 'x'));
  const std::string fragments = record(22, kHello.substr(0, 7)) + record(22, kHello.substr(7)) + record(23, "x");
  const std::string after_retry = record(22, kRetry) + record(20, "\x01") + whole;
  const std::string in_one_record = record(22, kHello + "\x0b" + sized(100, 3) + std::string(100, 'c'));
  for (const std::string& octets : {whole, fragments, after_retry, in_one_record}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{64}, octets.size()}) {
      const ServerHelloReader reader = read_in(octets, piece);
      EXPECT_TRUE(reader.done());
      ASSERT_TRUE(reader.hello()) << piece;
      EXPECT_EQ(reader.hello()->selected_version, 0x0304);
      EXPECT_EQ(reader.hello()->cipher_suite, 0x1301);
    }
  }
}

TEST(ServerHelloReader, WaitsForWhatIsNotThereYet) {
  const std::string whole = record(22, kHello);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const ServerHelloReader reader = read_in(whole.substr(0, cut), 1000);
    EXPECT_FALSE(reader.done()) << cut;
    EXPECT_FALSE(reader.hello());
  }
}

TEST(ServerHelloReader, GivesUpOnWhatIsNone) {
  const std::string alert = record(21, "\x02\x28");
  const std::string http = "HTTP/1.1 400 Bad Request\r\n\r\n";
  const std::string other_message = record(22, "\x01" + sized(4, 3) + "abcd");
  const std::string broken = record(22, "\x02" + sized(4, 3) + "abcd");
  std::string endless, empty_ones;
  for (int i = 0; i < 3; ++i) endless += record(22, (i == 0 ? "\x02\xff\xff\xff" : "") + std::string(16000, 'x'));
  for (int i = 0; i < 8000; ++i) empty_ones += record(22, "");
  for (const std::string& octets : {alert, http, other_message, broken, endless, empty_ones}) {
    const ServerHelloReader reader = read_in(octets, 4096);
    EXPECT_TRUE(reader.done());
    EXPECT_FALSE(reader.hello());
  }
}

}  // namespace
}  // namespace sluice::tls
