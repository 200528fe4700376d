#include "tls/hello.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "tls/test_peers.h"

namespace sluice::tls {
namespace {

void put(std::string& to, std::size_t value, int octets) {
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) to += static_cast<char>(value >> shift);
}
std::string vector_of(Bytes content, int length_octets) {
  std::string made;
  put(made, content.size(), length_octets);
  return made.append(content);
}
std::string list(const std::vector<std::uint16_t>& values, int length_octets) {
  std::string content;
  for (const std::uint16_t value : values) put(content, value, 2);
  return vector_of(content, length_octets);
}
std::string extension(std::uint16_t type, Bytes data) {
  std::string made;
  put(made, type, 2);
  return made + vector_of(data, 2);
}
std::string name_of(Bytes host) { return extension(0, vector_of(std::string(1, '\0') + vector_of(host, 2), 2)); }

struct Parts {
  std::vector<std::uint16_t> suites{0x0a0a, 0x1301, 0xc02b, 0xc02f};
  std::string extensions;
};

std::string message_of(const Parts& parts) {
  std::string body = "\x03\x03" + std::string(32, 'r') + vector_of(std::string(32, 's'), 1) + list(parts.suites, 2) +
                     vector_of(Bytes("\0", 1), 1) + vector_of(parts.extensions, 2);
  return "\x01" + vector_of(body, 3);
}

std::string records_of(Bytes message, std::size_t fragment = 16 * 1024) {
  std::string made;
  while (!message.empty()) {
    made += "\x16\x03\x01" + vector_of(message.substr(0, fragment), 2);
    message.remove_prefix(std::min(fragment, message.size()));
  }
  return made;
}

Parts full_parts() {
  Parts parts;
  parts.extensions = extension(0x1a1a, "") + name_of("WWW.Example.com") + extension(10, list({0x2a2a, 29, 23}, 2)) +
                     extension(11, vector_of(Bytes("\0\1", 2), 1)) + extension(13, list({0x0403, 0x0804}, 2)) +
                     extension(16, vector_of(vector_of("h2", 1) + vector_of("http/1.1", 1), 2)) +
                     extension(43, list({0x3a3a, 0x0304, 0x0303}, 1)) + extension(0x4a4a, Bytes("\0", 1));
  return parts;
}

Code code_of(Bytes octets) {
  const auto parsed = parse_client_hello(octets);
  return parsed ? Code::kInternal : parsed.error().code;
}

TEST(ClientHello, IsReadAsItStood) {
  const std::string message = message_of(full_parts());
  const auto parsed = parse_client_hello(records_of(message) + "more");
  ASSERT_TRUE(parsed && *parsed);
  const ClientHello& hello = **parsed;
  EXPECT_EQ(hello.record_version, 0x0301);
  EXPECT_EQ(hello.legacy_version, 0x0303);
  EXPECT_EQ(hello.random, std::string(32, 'r'));
  EXPECT_EQ(hello.session_id, std::string(32, 's'));
  EXPECT_EQ(hello.cipher_suites, (std::vector<std::uint16_t>{0x0a0a, 0x1301, 0xc02b, 0xc02f}));
  EXPECT_EQ(hello.compression_methods, std::vector<std::uint8_t>{0});
  EXPECT_EQ(hello.extensions.size(), 8u);
  EXPECT_EQ(hello.extensions[0].type, 0x1a1a);
  EXPECT_EQ(hello.sni, "www.example.com");
  EXPECT_EQ(hello.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(hello.supported_versions, (std::vector<std::uint16_t>{0x3a3a, 0x0304, 0x0303}));
  EXPECT_EQ(hello.supported_groups, (std::vector<std::uint16_t>{0x2a2a, 29, 23}));
  EXPECT_EQ(hello.point_formats, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(hello.signature_algorithms, (std::vector<std::uint16_t>{0x0403, 0x0804}));
  EXPECT_EQ(hello.raw, message);
  EXPECT_TRUE(accepts_ecdsa(hello));
}

TEST(ClientHello, IsTheSameWhateverTheRecordsAndSegments) {
  const std::string message = message_of(full_parts());
  for (const std::size_t fragment : {1, 2, 3, 4, 5, 100, 16384}) {
    const std::string octets = records_of(message, fragment);
    for (std::size_t cut = 0; cut < octets.size(); ++cut) {
      const auto part = parse_client_hello(Bytes(octets).substr(0, cut));
      ASSERT_TRUE(part) << cut;
      ASSERT_FALSE(*part) << cut;
    }
    const auto whole = parse_client_hello(octets);
    ASSERT_TRUE(whole && *whole);
    EXPECT_EQ((*whole)->raw, message);
  }
}

TEST(ClientHello, MayHaveNoExtensionsAtAll) {
  const std::string body =
      "\x03\x01" + std::string(32, 'r') + vector_of("", 1) + list({0x002f}, 2) + vector_of(Bytes("\0", 1), 1);
  const auto parsed = parse_client_hello(records_of("\x01" + vector_of(body, 3)));
  ASSERT_TRUE(parsed && *parsed);
  EXPECT_TRUE((*parsed)->extensions.empty());
  EXPECT_FALSE(accepts_ecdsa(**parsed));
}

TEST(ClientHello, IsNotWaitedForWhereOtherProtocolsBegin) {
  EXPECT_EQ(code_of("GET / HTTP/1.1"), Code::kInvalid);
  EXPECT_EQ(code_of("S"), Code::kInvalid);
  EXPECT_EQ(code_of("\x16\x02"), Code::kInvalid);
  EXPECT_EQ(code_of(Bytes("\x16\x03\x01\x00\x00", 5)), Code::kInvalid);      // an empty fragment
  EXPECT_EQ(code_of(Bytes("\x16\x03\x01\x40\x01", 5)), Code::kInvalid);      // too long a fragment
  EXPECT_EQ(code_of(Bytes("\x16\x03\x01\x00\x10\x02", 6)), Code::kInvalid);  // a ServerHello
  EXPECT_EQ(code_of(Bytes("\x80\x2e\x01\x03\x01", 5)), Code::kInvalid);      // SSL 2
  EXPECT_FALSE(*parse_client_hello(""));
}

TEST(ClientHello, IsBounded) {
  Parts parts;
  parts.extensions = extension(21, std::string(60'000, '\0'));
  EXPECT_TRUE(*parse_client_hello(records_of(message_of(parts))));
  EXPECT_EQ(code_of(Bytes("\x16\x03\x01\x00\x10\x01\x01\x00\x00", 9)), Code::kTooLarge);  // told by its header
  const std::string dust = records_of(message_of(parts), 1);
  EXPECT_EQ(code_of(dust), Code::kInvalid);
}

TEST(ClientHello, IsRefusedWhereItsLengthsDisagree) {
  const std::string good = message_of(full_parts());
  const auto extensions = [](const std::string& content) {
    Parts parts;
    parts.extensions = content;
    return code_of(records_of(message_of(parts)));
  };
  EXPECT_EQ(extensions(name_of("a") + name_of("b")), Code::kInvalid);  // two of a kind
  EXPECT_EQ(extensions(Bytes("\0\0\0", 3).data()), Code::kInternal);   // none at all is fine
  EXPECT_EQ(extensions(std::string("\0\x10\0\x05x", 5)), Code::kInvalid);
  EXPECT_EQ(extensions(extension(10, std::string("\0\x03\0\x17\0", 5))), Code::kInvalid);  // half a group
  EXPECT_EQ(extensions(extension(16, std::string("\0\x03\x09h2", 5))), Code::kInvalid);
  EXPECT_EQ(extensions(extension(0, std::string("\0\x09\0\0\x01z", 6))), Code::kInvalid);
  std::string longer = good;
  longer[3] = static_cast<char>(longer[3] + 1);
  EXPECT_EQ(code_of(records_of(longer + "x")), Code::kInvalid);  // octets after the extensions
  std::string old = good;
  old[4] = 2;
  EXPECT_EQ(code_of(records_of(old)), Code::kInvalid);
}

TEST(ClientHello, OfOpenSslIsUnderstood) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pipe pipe;
    RawPeer peer(pipe.a(), TLS_client_method());
    SSL_CTX_set_max_proto_version(peer.context(), version);
    const unsigned char alpn[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(peer.context(), alpn, sizeof alpn - 1);
    SSL_set_tlsext_host_name(peer.ssl(), "example.com");
    SSL_set_connect_state(peer.ssl());
    (void)SSL_do_handshake(peer.ssl());
    peer.send();
    const auto parsed = parse_client_hello(pipe.b().incoming());
    ASSERT_TRUE(parsed && *parsed);
    EXPECT_EQ((*parsed)->sni, "example.com");
    EXPECT_EQ((*parsed)->alpn, (std::vector<std::string>{"h2", "http/1.1"}));
    EXPECT_EQ((*parsed)->supported_versions.empty(), version == TLS1_2_VERSION);
    EXPECT_TRUE(accepts_ecdsa(**parsed));
  }
}

TEST(ClientHello, TellsWhetherAP256LeafWillDo) {
  ClientHello hello;
  hello.legacy_version = 0x0303;
  hello.cipher_suites = {0xc02b, 0xc02f};
  EXPECT_TRUE(accepts_ecdsa(hello));  // TLS 1.2 without signature algorithms
  hello.supported_groups = {24};
  EXPECT_FALSE(accepts_ecdsa(hello));
  hello.supported_groups = {24, 23};
  EXPECT_TRUE(accepts_ecdsa(hello));
  hello.extensions = {{13, ""}};
  hello.signature_algorithms = {0x0401, 0x0804};
  EXPECT_FALSE(accepts_ecdsa(hello));
  hello.signature_algorithms = {0x0401, 0x0203};
  EXPECT_TRUE(accepts_ecdsa(hello));
  hello.cipher_suites = {0xc02f};
  EXPECT_FALSE(accepts_ecdsa(hello));
  hello.cipher_suites = {0x1301};
  hello.supported_versions = {0x0304};
  EXPECT_FALSE(accepts_ecdsa(hello));  // ECDSA with SHA-1 is not for TLS 1.3
  hello.signature_algorithms = {0x0403};
  EXPECT_TRUE(accepts_ecdsa(hello));
}

TEST(ClientHello, OfOldClientsAsksForAnRsaLeaf) {
  ClientHello hello;
  hello.legacy_version = 0x0301;
  hello.cipher_suites = {0xc009, 0xc013};  // ECDHE-ECDSA and ECDHE-RSA with AES-CBC
  hello.supported_groups = {23};
  EXPECT_FALSE(accepts_ecdsa(hello));
}

TEST(ClientHello, OffersAtMostItsHighestVersion) {
  ClientHello hello;
  hello.legacy_version = 0x0302;
  EXPECT_EQ(highest_version(hello), 0x0302);
  hello.legacy_version = 0x0303;
  hello.supported_versions = {0x7a7a, 0x0303, 0x0304};  // GREASE is no version
  EXPECT_EQ(highest_version(hello), 0x0304);
}

TEST(ServerHello, GivesVersionSuiteAndExtensions) {
  const std::string body = "\x03\x03" + std::string(32, 'r') + vector_of(std::string(32, 's'), 1) + "\x13\x02" +
                           std::string(1, '\0') + vector_of(extension(43, "\x03\x04") + extension(51, "key"), 2);
  const std::string message = "\x02" + vector_of(body, 3);
  const auto hello = parse_server_hello(message);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->legacy_version, 0x0303);
  EXPECT_EQ(hello->selected_version, 0x0304);
  EXPECT_EQ(hello->cipher_suite, 0x1302);
  EXPECT_EQ(hello->extensions.size(), 2u);
  for (std::size_t cut = 0; cut < message.size(); ++cut) EXPECT_FALSE(parse_server_hello(message.substr(0, cut)));
  EXPECT_FALSE(parse_server_hello(message + "x"));
}

TEST(Names, AreThoseOfTheRegistry) {
  EXPECT_EQ(version_name(0x0304), "TLSv1.3");
  EXPECT_EQ(version_name(0x7f1c), "0x7f1c");
  EXPECT_EQ(cipher_suite_name(0x1301), "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(cipher_suite_name(0xcca8), "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(cipher_suite_name(0x0a0a), "0x0a0a");
  EXPECT_TRUE(is_grease(0xfafa));
  EXPECT_FALSE(is_grease(0x0a1a));
}

}  // namespace
}  // namespace sluice::tls
