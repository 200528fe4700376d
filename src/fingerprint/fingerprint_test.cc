#include "fingerprint/fingerprint.h"

#include <gtest/gtest.h>

#include <charconv>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace sluice::fingerprint {
namespace {

const Json& vectors() {
  static const Json kVectors = [] {
    SystemFileSystem files;
    return *parse_json(*files.load_file(SLUICE_VECTORS "/fingerprints.json"));
  }();
  return kVectors;
}

std::uint16_t number(const Json& hex) {
  const auto& text = hex.get_ref<const std::string&>();
  std::uint16_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

template <class T>
std::vector<T> numbers(const Json& object, const char* key) {
  std::vector<T> values;
  if (const Json* list = find_member(object, key)) {
    for (const Json& value : *list) values.push_back(static_cast<T>(number(value)));
  }
  return values;
}

tls::ClientHello hello_of(const Json& vector) {
  tls::ClientHello hello;
  hello.legacy_version = number(vector["version"]);
  hello.cipher_suites = numbers<std::uint16_t>(vector, "ciphers");
  for (const std::uint16_t type : numbers<std::uint16_t>(vector, "extensions")) hello.extensions.push_back({type, ""});
  hello.supported_groups = numbers<std::uint16_t>(vector, "groups");
  hello.point_formats = numbers<std::uint8_t>(vector, "point_formats");
  hello.supported_versions = numbers<std::uint16_t>(vector, "supported_versions");
  hello.signature_algorithms = numbers<std::uint16_t>(vector, "signature_algorithms");
  if (const Json* protocols = find_member(vector, "alpn")) {
    for (const Json& protocol : *protocols) hello.alpn.push_back(*hex_decode(protocol.get<std::string>()));
  }
  return hello;
}

TEST(Fingerprint, MakesJa3AsPublished) {
  for (const Json& vector : vectors()["ja3"]) {
    const Print print = ja3(hello_of(vector));
    EXPECT_EQ(print.text, vector["text"].get<std::string>());
    EXPECT_EQ(print.hash, vector["hash"].get<std::string>());
  }
}

TEST(Fingerprint, MakesJa3sAsPublished) {
  for (const Json& vector : vectors()["ja3s"]) {
    tls::ServerHello hello;
    hello.legacy_version = number(vector["version"]);
    hello.cipher_suite = number(vector["cipher"]);
    for (const std::uint16_t type : numbers<std::uint16_t>(vector, "extensions"))
      hello.extensions.push_back({type, ""});
    EXPECT_EQ(ja3s(hello).text, vector["text"].get<std::string>());
    EXPECT_EQ(ja3s(hello).hash, vector["hash"].get<std::string>());
  }
}

TEST(Fingerprint, MakesJa4AsSpecified) {
  for (const Json& vector : vectors()["ja4"]) {
    const Print print = ja4(hello_of(vector));
    EXPECT_EQ(print.hash, vector["hash"].get<std::string>());
    EXPECT_EQ(print.text, vector["raw"].get<std::string>());
  }
}

TEST(Fingerprint, Ja4TakesTheEndsOfTheFirstProtocol) {
  for (const Json& vector : vectors()["ja4_alpn"]) {
    tls::ClientHello hello;
    hello.alpn = {*hex_decode(vector[0].get<std::string>()), "h2"};
    EXPECT_EQ(ja4(hello).hash.substr(8, 2), vector[1].get<std::string>()) << vector[0];
  }
  EXPECT_EQ(ja4({}).hash, "t00i000000_000000000000_000000000000");
}

TEST(Fingerprint, Ja4CountsNoFurtherThanTwoDigits) {
  tls::ClientHello hello;
  for (std::uint16_t i = 0; i < 120; ++i) {
    hello.cipher_suites.push_back(static_cast<std::uint16_t>(0xc000 + i));
    hello.extensions.push_back({static_cast<std::uint16_t>(0xff02 + i), ""});
  }
  EXPECT_EQ(ja4(hello).hash.substr(4, 4), "9999");
}

TEST(Fingerprint, Ja4IsTheSameWhateverTheOrder) {
  tls::ClientHello one, two;
  one.cipher_suites = {0x1301, 0xc02b, 0x1302};
  two.cipher_suites = {0x1302, 0x1301, 0xc02b};
  one.extensions = {{43, ""}, {10, ""}, {0, ""}};
  two.extensions = {{0, ""}, {43, ""}, {10, ""}};
  EXPECT_EQ(ja4(one).hash, ja4(two).hash);
  EXPECT_NE(ja3(one).hash, ja3(two).hash);
}

// The published vectors (contracts: Chrome, Safari).
TEST(Fingerprint, Http2IsWhatAkamaiPublished) {
  Http2Hello chrome;
  chrome.settings = {{1, 65536}, {2, 0}, {4, 6291456}, {6, 262144}};
  chrome.window_increment = 15663105;
  chrome.pseudo_order = "masp";
  EXPECT_EQ(http2(chrome).text, "1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p");
  EXPECT_EQ(http2(chrome).hash, "52d84b11737d980aef856699f885ca86");
  Http2Hello safari;
  safari.settings = {{4, 4194304}, {3, 100}};
  safari.window_increment = 10485760;
  safari.pseudo_order = "mspa";
  EXPECT_EQ(http2(safari).hash, "dda308d35f4e5db7b52a61720ca1b122");
}

TEST(Fingerprint, Http2NamesPriorityFramesAndAMissingWindowUpdate) {
  Http2Hello hello;
  hello.settings = {{1, 65536}};
  hello.priorities = {{3, false, 0, 201}, {5, true, 3, 101}};
  hello.pseudo_order = "mpas";
  EXPECT_EQ(http2(hello).text, "1:65536|00|3:0:0:201,5:1:3:101|m,p,a,s");
}

}  // namespace
}  // namespace sluice::fingerprint
