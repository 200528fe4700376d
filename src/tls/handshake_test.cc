// What handshakes verify, how they fail and in which words; and TLS 1.2, against a bare OpenSSL peer.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <array>

#include "tls/certificate_builder.h"
#include "tls/hello.h"
#include "tls/test_world.h"

namespace sluice::tls {
namespace {

// --- verification ---

TEST_F(Tls, RefusesACertificateForAnotherName) {
  auto pair = connect(world(), {.client = {.server_name = "other.example"}});
  EXPECT_FALSE(pair->ok);
  EXPECT_EQ(pair->client->info().verdict, "hostname mismatch");
  EXPECT_FALSE(pair->client->info().verified);
  EXPECT_EQ(pair->client->info().chain[0].subject, "CN=example.com");
  EXPECT_EQ(pair->client->failure().text, "the origin's certificate is not trusted: hostname mismatch");
}

TEST_F(Tls, TrustsMoreWhereToldSoAndNowhereElse) {
  const auto stranger = *CertificateAuthority::create(world().clock, world().entropy);
  const LeafPtr theirs = *stranger->mint("example.com", KeyKind::kEcdsaP256, world().clock.wall());
  const auto trust = world().client->trust_also({"stranger.pem", stranger->certificate_pem()});
  ASSERT_TRUE(trust) << trust.error().message;
  EXPECT_TRUE(connect(world(), {.client = {.trust = *trust}, .leaf = theirs})->ok);
  EXPECT_TRUE(connect(world(), {.client = {.trust = *trust}})->ok) << "what is trusted anyway stays so";
  EXPECT_FALSE(connect(world(), {.leaf = theirs})->ok);
  EXPECT_EQ(fingerprint_of(**trust).size(), 64u);
  const auto message = [](const std::string& pem) {
    return world().client->trust_also({"x.pem", pem}).error().message;
  };
  EXPECT_EQ(message("nothing"), "x.pem: no PEM certificates could be read");
  EXPECT_EQ(message(stranger->certificate_pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "x.pem: a PEM certificate in it is damaged");
}

TEST_F(Tls, ATicketIsWorthNothingUnderAnotherTrust) {
  const auto trust = *world().client->trust_also({"ca.pem", world().authority->certificate_pem()});
  auto first = connect(world(), {.client = {.trust = trust}});
  ASSERT_TRUE(first->ok);
  std::array<char, 64> space;
  (void)first->server->write("x");
  (void)first->client->read(space);
  const ResumptionPtr ticket = first->client->resumption();
  ASSERT_TRUE(ticket);
  EXPECT_TRUE(connect(world(), {.client = {.resume = ticket, .trust = trust}})->client->info().resumed);
  EXPECT_FALSE(connect(world(), {.client = {.resume = ticket}})->client->info().resumed);
}

TEST_F(Tls, OnlyRecordsWhenToldSo) {
  auto pair = connect(world(), {.client = {.server_name = "other.example", .verify = Verify::kRecordOnly}});
  ASSERT_TRUE(pair->ok);
  EXPECT_FALSE(pair->client->info().verified);
  EXPECT_EQ(pair->client->info().verdict, "hostname mismatch");
  EXPECT_EQ(pair->client->info().chain.size(), 2u);
}

TEST_F(Tls, RefusesAnExpiredCertificate) {
  const LeafPtr old =
      *world().authority->mint("example.com", KeyKind::kEcdsaP256, world().clock.wall() - std::chrono::hours(24 * 300));
  auto pair = connect(world(), {.leaf = old});
  EXPECT_FALSE(pair->ok);
  EXPECT_EQ(pair->client->info().verdict, "certificate has expired");
}

TEST_F(Tls, RefusesAnUnknownIssuerAndASelfSignedCertificate) {
  auto client = *ClientContext::create({.system_store = false, .ca_files = {}}, "");
  Pipe pipe;
  auto server = *world().server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
  auto session = *client->connect(pipe.b(), to("example.com"));
  EXPECT_FALSE(shake_hands(*server, *session));
  EXPECT_EQ(session->info().verdict, "self-signed certificate in certificate chain");
  EXPECT_EQ(server->failure().alert, "unknown_ca");
  EXPECT_TRUE(server->failure().alert_from_peer);
  EXPECT_EQ(server->failure().text,
            "the client does not trust Sluice's CA (alert unknown_ca): install it, see http://sluice.setup/");

  PkeyPtr key = generate_key(KeyKind::kEcdsaP256);
  const WallTime now = world().clock.wall();
  X509Ptr certificate = build_authority(key.get(), "example.com",
                                        {now - std::chrono::hours(1), now + std::chrono::hours(1)}, pattern(16, 1));
  const auto own = std::make_shared<const Leaf>(std::move(certificate), std::move(key), now);
  auto pair = connect(world(), {.leaf = own});
  EXPECT_FALSE(pair->ok);
  EXPECT_EQ(pair->client->info().verdict, "self-signed certificate");
}

TEST_F(Tls, VerifiesAddressesAsAddresses) {
  for (const std::string address : {"127.0.0.1", "::1", "2001:db8::7"}) {
    EXPECT_TRUE(connect(world(), {.host = address})->ok) << address;
  }
  auto pair = connect(world(), {.host = "127.0.0.1", .client = {.server_name = "127.0.0.2"}});
  EXPECT_FALSE(pair->ok);
  EXPECT_EQ(pair->client->info().verdict, "IP address mismatch");
}

TEST_F(Tls, RefusesToConnectWithoutAName) {
  Pipe pipe;
  EXPECT_FALSE(world().client->connect(pipe.a(), to("")));
  EXPECT_FALSE(world().client->connect(pipe.a(), to(std::string("a\0b", 3))));
  EXPECT_FALSE(world().client->connect(pipe.a(), to(std::string(300, 'a'))));
  EXPECT_TRUE(world().client->connect(pipe.a(), to("under_score.example.")));
}

TEST_F(Tls, NamesACaFileThatCannotBeRead) {
  const auto missing = ClientContext::create({.ca_files = {"/nonexistent/ca.pem"}}, "");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nonexistent/ca.pem"), std::string::npos);
}

TEST_F(Tls, TrustsTheSystemsStore) { EXPECT_TRUE(ClientContext::create({}, "")); }

// --- the other implementation, and how handshakes fail ---

void drive(Session& session, RawPeer& peer, HandshakeStep& step) {
  for (int turn = 0; turn < 2000 && step == HandshakeStep::kWouldBlock; ++turn) {
    step = session.handshake();
    peer.pump();
    (void)SSL_do_handshake(peer.ssl());
    peer.pump();
  }
}

TEST_F(Tls, SpeaksTls12ToClients) {
  for (const KeyKind kind : {KeyKind::kEcdsaP256, KeyKind::kRsa2048}) {
    Pipe pipe({.read_slice = 11, .write_slice = 13});
    auto server = *world().server->accept(pipe.a(), world().leaf("example.com", kind), "http/1.1", "scope");
    RawPeer peer(pipe.b(), TLS_client_method());
    SSL_CTX_set_max_proto_version(peer.context(), TLS1_2_VERSION);
    ASSERT_EQ(SSL_CTX_load_verify_file(peer.context(), world().ca_file.c_str()), 1);
    SSL_CTX_set_verify(peer.context(), SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(peer.context()), X509_V_FLAG_X509_STRICT);
    SSL_set_connect_state(peer.ssl());
    SSL_set1_host(peer.ssl(), "example.com");
    HandshakeStep step = HandshakeStep::kWouldBlock;
    drive(*server, peer, step);
    ASSERT_EQ(step, HandshakeStep::kDone) << server->failure().text;
    EXPECT_EQ(server->info().protocol, "TLSv1.2");
    EXPECT_EQ(SSL_get_verify_result(peer.ssl()), X509_V_OK);
    const char* const expected = kind == KeyKind::kRsa2048 ? "TLS_ECDHE_RSA_WITH" : "TLS_ECDHE_ECDSA_WITH";
    EXPECT_TRUE(server->info().cipher.starts_with(expected)) << server->info().cipher;
    EXPECT_EQ(SSL_write(peer.ssl(), "hello", 5), 5);
    peer.pump();
    std::string arrived, space(100, '\0');
    for (int turn = 0; turn < 100 && arrived.size() < 5; ++turn) arrived.append(space, 0, server->read(space).count);
    EXPECT_EQ(arrived, "hello");
    EXPECT_EQ(server->write("back").count, 4u);
    EXPECT_EQ(server->flush().status, IoStatus::kOk);
    peer.pump();
    EXPECT_EQ(SSL_read(peer.ssl(), space.data(), 100), 4);
    SSL_shutdown(peer.ssl());
    peer.pump();
    IoResult end;
    for (int turn = 0; turn < 100 && (end = server->read(space)).status == IoStatus::kWouldBlock;) ++turn;
    EXPECT_EQ(end.status, IoStatus::kEof);
  }
}

TEST_F(Tls, SpeaksTls12ToOriginsAndResumes) {
  ResumptionPtr ticket;
  RawPeer* first = nullptr;
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (const bool resumed : {false, true}) {
    Pipe pipe;
    const LeafPtr leaf = world().leaf("example.com");
    auto peer = std::make_unique<RawPeer>(pipe.b(), TLS_server_method());
    SSL_CTX_set_max_proto_version(peer->context(), TLS1_2_VERSION);
    if (first != nullptr) {  // the ticket's key
      char keys[80];
      SSL_CTX_get_tlsext_ticket_keys(first->context(), keys, sizeof keys);
      SSL_CTX_set_tlsext_ticket_keys(peer->context(), keys, sizeof keys);
    }
    SSL_CTX_set_session_id_context(peer->context(), reinterpret_cast<const unsigned char*>("x"), 1);
    SSL_CTX_use_certificate(peer->context(), leaf->certificate());
    SSL_CTX_use_PrivateKey(peer->context(), leaf->key());
    SSL_set_accept_state(peer->ssl());
    ClientOptions options = to("example.com");
    options.resume = ticket;
    auto client = *world().client->connect(pipe.a(), options);
    HandshakeStep step = HandshakeStep::kWouldBlock;
    drive(*client, *peer, step);
    ASSERT_EQ(step, HandshakeStep::kDone) << client->failure().text;
    EXPECT_EQ(client->info().protocol, "TLSv1.2");
    EXPECT_EQ(client->info().resumed, resumed);
    EXPECT_TRUE(client->info().verified);
    EXPECT_EQ(client->info().chain.size(), 1u);
    EXPECT_EQ(parse_server_hello(client->take_server_hello())->selected_version, 0x0303);
    ticket = client->resumption();
    if (first == nullptr) first = peer.get();
    peers.push_back(std::move(peer));
  }
}

TEST_F(Tls, SaysThatTheClientSpeaksOnlyOldVersions) {
  Pipe pipe;
  auto server = *world().server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
  RawPeer peer(pipe.b(), TLS_client_method());
  SSL_CTX_set_security_level(peer.context(), 0);
  SSL_CTX_set_min_proto_version(peer.context(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(peer.context(), TLS1_1_VERSION);
  SSL_set_connect_state(peer.ssl());
  (void)SSL_do_handshake(peer.ssl());
  peer.pump();
  EXPECT_EQ(server->handshake(), HandshakeStep::kFailed);
  EXPECT_EQ(server->failure().text,
            "the client does not speak TLS 1.2 or 1.3: --min-client-tls lets older versions in");
  EXPECT_EQ(server->failure().alert, "protocol_version");
  EXPECT_FALSE(server->failure().alert_from_peer);
  peer.pump();  // and the client is told
  EXPECT_NE(SSL_do_handshake(peer.ssl()), 1);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  ERR_clear_error();
}

TEST_F(Tls, NoticesAClientThatLeavesRightAfterOurCertificate) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const bool reset : {false, true}) {
      Pipe pipe;
      auto server = *world().server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
      RawPeer peer(pipe.b(), TLS_client_method());
      SSL_CTX_set_max_proto_version(peer.context(), version);
      SSL_set_connect_state(peer.ssl());
      (void)SSL_do_handshake(peer.ssl());
      peer.pump();
      EXPECT_EQ(server->handshake(), HandshakeStep::kWouldBlock);
      if (reset) {
        pipe.a().broken = true;
      } else {
        pipe.b().close_write();
      }
      EXPECT_EQ(server->handshake(), HandshakeStep::kFailed);
      EXPECT_TRUE(
          server->failure().text.starts_with("the client closed the connection right after Sluice's certificate"))
          << server->failure().text;
      EXPECT_EQ(server->failure().alert, "");
      EXPECT_TRUE(server->failure().closed_after_certificate);
    }
  }
}

TEST_F(Tls, NoticesAClientThatLeavesBeforeAnything) {
  Pipe pipe;
  auto server = *world().server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
  pipe.b().close_write();
  EXPECT_EQ(server->handshake(), HandshakeStep::kFailed);
  EXPECT_EQ(server->failure().text, "the client closed the connection during the TLS handshake");
}

TEST_F(Tls, SaysThatAnOriginDoesNotSpeakTls) {
  Pipe pipe;
  auto client = *world().client->connect(pipe.a(), to("example.com"));
  EXPECT_EQ(client->handshake(), HandshakeStep::kWouldBlock);
  EXPECT_EQ(client->handshake_waits_for(), WaitFor::kRead);
  (void)pipe.b().write("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(client->handshake(), HandshakeStep::kFailed);
  EXPECT_EQ(client->failure().text, "the origin does not speak TLS on this connection");
}

TEST_F(Tls, NamesTheAlertsOfOrigins) {
  Pipe pipe;
  auto client = *world().client->connect(pipe.a(), to("example.com"));
  EXPECT_EQ(client->handshake(), HandshakeStep::kWouldBlock);
  (void)pipe.b().write(std::string("\x15\x03\x03\x00\x02\x02\x70", 7));
  EXPECT_EQ(client->handshake(), HandshakeStep::kFailed);
  EXPECT_EQ(client->failure().alert, "unrecognized_name");
  EXPECT_TRUE(client->failure().alert_from_peer);
  EXPECT_EQ(client->failure().text, "the origin does not serve this host name (alert unrecognized_name)");
}

TEST_F(Tls, RefusesWorkBeforeTheHandshake) {
  Pipe pipe;
  auto client = *world().client->connect(pipe.a(), to("example.com"));
  std::string space(10, '\0');
  EXPECT_EQ(client->write("x").status, IoStatus::kError);
  EXPECT_EQ(client->read(space).status, IoStatus::kError);
}

TEST_F(Tls, WritesTheKeyLogForItsOwnerOnly) {
  const std::string path = world().directory.path() + "/keys";
  auto server = *ServerContext::create(path);
  auto client = *ClientContext::create({.system_store = false, .ca_files = {world().ca_file}}, path);
  Pipe pipe;
  auto a = *server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
  auto b = *client->connect(pipe.b(), to("example.com"));
  ASSERT_TRUE(shake_hands(*a, *b));
  std::ifstream file(path);
  std::string line;
  int lines = 0, traffic = 0;
  while (std::getline(file, line)) {
    ++lines;
    traffic += line.starts_with("CLIENT_TRAFFIC_SECRET_0 ") ? 1 : 0;
  }
  EXPECT_EQ(lines, 10);
  EXPECT_EQ(traffic, 2);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(ServerContext::create("/nonexistent/keys"));
}

}  // namespace
}  // namespace sluice::tls
