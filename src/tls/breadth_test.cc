// Old clients, and origins that ask for a client certificate, against a bare OpenSSL peer.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/client_identity.h"
#include "tls/hello.h"
#include "tls/test_world.h"

namespace sluice::tls {
namespace {

void drive(Session& session, RawPeer& peer, HandshakeStep& step) {
  for (int turn = 0; turn < 200 && step == HandshakeStep::kWouldBlock; ++turn) {
    step = session.handshake();
    peer.pump();
    (void)SSL_do_handshake(peer.ssl());
    peer.pump();
  }
  ERR_clear_error();
}

// --- clients of before TLS 1.2 ---

struct OldClient {
  Pipe pipe;
  std::unique_ptr<Session> server;
  RawPeer peer;
  HandshakeStep step = HandshakeStep::kWouldBlock;

  // Offers `from` to `to` only.
  OldClient(World& world, ServerContext& context, int from, int to) : peer(pipe.b(), TLS_client_method()) {
    SSL_CTX_set_security_level(peer.context(), 0);
    SSL_CTX_set_min_proto_version(peer.context(), from);
    SSL_CTX_set_max_proto_version(peer.context(), to);
    SSL_CTX_load_verify_file(peer.context(), world.ca_file.c_str());
    SSL_CTX_set_verify(peer.context(), SSL_VERIFY_PEER, nullptr);
    SSL_set_connect_state(peer.ssl());
    server = *context.accept(pipe.a(), world.leaf("example.com", KeyKind::kRsa2048), "", "scope",
                             static_cast<std::uint16_t>(to));
  }
};

TEST_F(Tls, SpeaksOldVersionsToClientsThatKnowNothingBetterWhereTheMinimumSaysSo) {
  const auto context = *ServerContext::create("", Version::k1_0);
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    OldClient client(world(), *context, TLS1_VERSION, version);
    drive(*client.server, client.peer, client.step);
    ASSERT_EQ(client.step, HandshakeStep::kDone) << client.server->failure().text;
    EXPECT_EQ(client.server->info().protocol, version == TLS1_VERSION ? "TLSv1" : "TLSv1.1");
    EXPECT_TRUE(client.server->info().cipher.starts_with("TLS_ECDHE_RSA_WITH_AES_")) << client.server->info().cipher;
    EXPECT_EQ(SSL_get_verify_result(client.peer.ssl()), X509_V_OK);
  }
}

TEST_F(Tls, GivesOthersTheSameAsBeforeWhereOldClientsAreLetIn) {
  const auto context = *ServerContext::create("", Version::k1_0);
  OldClient client(world(), *context, TLS1_2_VERSION, TLS1_2_VERSION);
  SSL_set_cipher_list(client.peer.ssl(), "CAMELLIA:@SECLEVEL=0");  // for old clients alone
  drive(*client.server, client.peer, client.step);
  EXPECT_EQ(client.step, HandshakeStep::kFailed);
  OldClient better(world(), *context, TLS1_VERSION, TLS1_3_VERSION);
  drive(*better.server, better.peer, better.step);
  ASSERT_EQ(better.step, HandshakeStep::kDone);
  EXPECT_EQ(better.server->info().protocol, "TLSv1.3");
}

TEST_F(Tls, CatchesAClientThatWasMadeToFallBack) {
  const auto context = *ServerContext::create("", Version::k1_0);
  OldClient client(world(), *context, TLS1_VERSION, TLS1_1_VERSION);
  SSL_set_mode(client.peer.ssl(), SSL_MODE_SEND_FALLBACK_SCSV);  // RFC 7507: it could have done better
  drive(*client.server, client.peer, client.step);
  EXPECT_EQ(client.step, HandshakeStep::kFailed);
  EXPECT_EQ(client.server->failure().alert, "inappropriate_fallback");
}

TEST_F(Tls, SaysWhichVersionsItTakesAndHowToTakeMore) {
  struct Case {
    Version minimum;
    int from, to;
    const char* text;
  };
  const Case cases[] = {
      {Version::k1_1, TLS1_VERSION, TLS1_VERSION,
       "the client does not speak TLS 1.1 to 1.3: --min-client-tls lets older versions in"},
      {Version::k1_2, TLS1_VERSION, TLS1_1_VERSION,
       "the client does not speak TLS 1.2 or 1.3: --min-client-tls lets older versions in"},
      {Version::k1_3, TLS1_2_VERSION, TLS1_2_VERSION,
       "the client does not speak TLS 1.3: --min-client-tls lets older versions in"},
  };
  for (const Case& one : cases) {
    const auto context = *ServerContext::create("", one.minimum);
    OldClient client(world(), *context, one.from, one.to);
    drive(*client.server, client.peer, client.step);
    EXPECT_EQ(client.step, HandshakeStep::kFailed);
    EXPECT_EQ(client.server->failure().text, one.text);
    EXPECT_EQ(client.server->failure().alert, "protocol_version");
  }
}

// --- client certificates ---

class Identities : public Tls {
 protected:
  // PEM files of a certificate for `name`.
  static std::pair<std::string, std::string> files_of(const std::string& name, KeyKind kind = KeyKind::kEcdsaP256) {
    const LeafPtr leaf = world().leaf(name, kind);
    std::pair paths(world().directory.path() + "/" + name + ".pem", world().directory.path() + "/" + name + ".key");
    std::unique_ptr<FILE, int (*)(FILE*)> certificate(std::fopen(paths.first.c_str(), "w"), std::fclose);
    PEM_write_X509(certificate.get(), leaf->certificate());
    PEM_write_X509(certificate.get(), leaf->issuer());
    std::unique_ptr<FILE, int (*)(FILE*)> key(std::fopen(paths.second.c_str(), "w"), std::fclose);
    PEM_write_PrivateKey(key.get(), leaf->key(), nullptr, nullptr, 0, nullptr, nullptr);
    return paths;
  }
  static ClientIdentityPtr identity_of(const std::string& name) {
    const auto [certificate, key] = files_of(name);
    return *load_client_identity(certificate, key);
  }
};

struct AskingOrigin {
  Pipe pipe;
  RawPeer peer;
  std::unique_ptr<ClientSession> client;
  HandshakeStep step = HandshakeStep::kWouldBlock;

  AskingOrigin(World& world, int version, ClientOptions options, bool demands = true)
      : peer(pipe.b(), TLS_server_method()) {
    const LeafPtr leaf = world.leaf("example.com");
    SSL_CTX_set_min_proto_version(peer.context(), version);
    SSL_CTX_set_max_proto_version(peer.context(), version);
    SSL_CTX_use_certificate(peer.context(), leaf->certificate());
    SSL_CTX_use_PrivateKey(peer.context(), leaf->key());
    SSL_CTX_set_session_id_context(peer.context(), reinterpret_cast<const unsigned char*>("x"), 1);
    SSL_CTX_set_verify(peer.context(), SSL_VERIFY_PEER | (demands ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       [](int, X509_STORE_CTX*) { return 1; });
    SSL_set_accept_state(peer.ssl());
    options.server_name = "example.com";
    client = *world.client->connect(pipe.a(), options);
    drive(*client, peer, step);
  }
  std::string subject() {
    const X509Ptr shown(SSL_get1_peer_certificate(peer.ssl()));
    return shown ? X509_NAME_oneline(X509_get_subject_name(shown.get()), text_, sizeof text_) : "";
  }

 private:
  char text_[256] = {};
};

TEST_F(Identities, AreGivenToOriginsThatAsk) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ClientOptions options;
    options.identity = identity_of("me.example");
    AskingOrigin origin(world(), version, options);
    ASSERT_EQ(origin.step, HandshakeStep::kDone) << origin.client->failure().text;
    EXPECT_EQ(origin.subject(), "/CN=me.example");
    EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(origin.peer.ssl())), 1) << "the chain goes with it";
    EXPECT_TRUE(origin.client->info().certificate_asked);
    EXPECT_TRUE(origin.client->info().certificate_given);
  }
}

TEST_F(Identities, AreNotNeededWhereTheOriginOnlyAsks) {
  AskingOrigin origin(world(), TLS1_3_VERSION, {}, false);
  ASSERT_EQ(origin.step, HandshakeStep::kDone);
  EXPECT_TRUE(origin.client->info().certificate_asked);
  EXPECT_FALSE(origin.client->info().certificate_given);
}

TEST_F(Identities, AreMissedInPlainWords) {
  AskingOrigin old(world(), TLS1_2_VERSION, {});
  EXPECT_EQ(old.step, HandshakeStep::kFailed);
  EXPECT_EQ(old.client->failure().text, "the origin demands a client certificate (alert handshake_failure)");
  // In TLS 1.3 the origin's word comes when our side is through.
  AskingOrigin origin(world(), TLS1_3_VERSION, {});
  ASSERT_EQ(origin.step, HandshakeStep::kDone);
  char space[10];
  EXPECT_EQ(origin.client->read(space).status, IoStatus::kError);
  EXPECT_EQ(origin.client->failure().text, "the origin demands a client certificate (alert certificate_required)");
  EXPECT_TRUE(origin.client->info().certificate_asked);
}

TEST_F(Identities, AreMissedInPlainWordsAlsoWhereTheOriginHungUpOnTheRequest) {
  AskingOrigin origin(world(), TLS1_3_VERSION, {});
  ASSERT_EQ(origin.step, HandshakeStep::kDone);
  origin.pipe.a().close_write();  // nothing reaches the origin any more; its alert is on the way to us
  EXPECT_EQ(origin.client->write("GET / HTTP/1.1\r\n\r\n").status, IoStatus::kError);
  char space[10];
  EXPECT_EQ(origin.client->read(space).status, IoStatus::kError);
  EXPECT_EQ(origin.client->failure().text, "the origin demands a client certificate (alert certificate_required)");
}

TEST_F(Identities, AreNotTakenOverByTickets) {
  ClientOptions options;
  options.identity = identity_of("me.example");
  Pipe pipe;
  auto server = *world().server->accept(pipe.a(), world().leaf("example.com"), "", "scope");
  options.server_name = "example.com";
  auto first = *world().client->connect(pipe.b(), options);
  ASSERT_TRUE(shake_hands(*server, *first));
  (void)server->flush();
  char space[10];
  (void)first->read(space);
  const ResumptionPtr ticket = first->resumption();
  ASSERT_TRUE(ticket);
  for (const bool same : {true, false}) {
    ClientOptions again;
    again.resume = ticket;
    again.identity = same ? options.identity : identity_of("other.example");
    EXPECT_EQ(connect(world(), {.client = again})->client->info().resumed, same);
  }
}

TEST_F(Identities, AreRefusedAtOnceWhereTheyCannotWork) {
  const auto [certificate, key] = files_of("me.example");
  const auto [other, other_key] = files_of("other.example", KeyKind::kRsa2048);  // leaves of a kind share their key
  const std::string locked = world().directory.path() + "/locked.key";
  {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(locked.c_str(), "w"), std::fclose);
    char word[] = "word";
    PEM_write_PrivateKey(
        file.get(), world().leaf("me.example")->key(), EVP_aes_128_cbc(), nullptr, 0,
        [](char* out, int, int, void* text) {
          std::copy_n(static_cast<char*>(text), 4, out);
          return 4;
        },
        word);
  }
  EXPECT_EQ(load_client_identity(certificate, other_key).error().message,
            other_key + ": the key does not belong to the certificate");
  EXPECT_EQ(load_client_identity(certificate, certificate).error().message, certificate + ": no PEM key could be read");
  EXPECT_EQ(load_client_identity(key, key).error().message, key + ": no PEM certificate could be read");
  EXPECT_EQ(load_client_identity(certificate, locked).error().message,
            locked + ": the key has a passphrase; `openssl pkey` writes one without");
  EXPECT_FALSE(load_client_identity("/nonexistent/a.pem", key));
  EXPECT_NE(fingerprint_of(*identity_of("me.example")), fingerprint_of(*identity_of("other.example")));
}

}  // namespace
}  // namespace sluice::tls
