// For tests: one CA with contexts that trust it, and pairs of sessions over a pipe.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <memory>
#include <string>

#include "tls/session.h"
#include "tls/test_peers.h"

namespace sluice::tls {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/sluice-tls-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TemporaryDirectory() { (void)SystemFileSystem().remove_tree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One CA and the contexts that trust it, for all tests of the program.
struct World {
  TemporaryDirectory directory;
  SystemClock clock;
  SystemEntropy entropy;
  std::shared_ptr<const CertificateAuthority> authority = *CertificateAuthority::create(clock, entropy);
  std::string ca_file = directory.path() + "/ca.pem";
  std::shared_ptr<ServerContext> server = *ServerContext::create("");
  std::shared_ptr<ClientContext> client;

  World() {
    std::ofstream(ca_file) << authority->certificate_pem();
    client = *ClientContext::create({.system_store = false, .ca_files = {ca_file}}, "");
  }
  LeafPtr leaf(const std::string& host, KeyKind kind = KeyKind::kEcdsaP256) {
    return *authority->mint(host, kind, clock.wall());
  }
};

class Tls : public testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<World>(); }
  static void TearDownTestSuite() { world_.reset(); }
  static World& world() { return *world_; }

  static ClientOptions to(const std::string& host) {
    ClientOptions options;
    options.server_name = host;
    return options;
  }

 private:
  static std::unique_ptr<World> world_;
};
inline std::unique_ptr<World> Tls::world_;

// Both ends by turns until both are done or one has failed.
inline bool shake_hands(Session& a, Session& b) {
  HandshakeStep of_a = HandshakeStep::kWouldBlock, of_b = HandshakeStep::kWouldBlock;
  for (int turn = 0; turn < 200'000; ++turn) {
    if (of_a == HandshakeStep::kWouldBlock) of_a = a.handshake();
    if (of_b == HandshakeStep::kWouldBlock) of_b = b.handshake();
    if (of_a == HandshakeStep::kFailed || of_b == HandshakeStep::kFailed) break;
    if (of_a == HandshakeStep::kDone && of_b == HandshakeStep::kDone) return true;
  }
  for (int turn = 0; turn < 200'000 && of_a == HandshakeStep::kWouldBlock; ++turn) of_a = a.handshake();
  for (int turn = 0; turn < 200'000 && of_b == HandshakeStep::kWouldBlock; ++turn) of_b = b.handshake();
  return false;
}

struct Pair {
  Pipe pipe;
  std::unique_ptr<Session> server;
  std::unique_ptr<ClientSession> client;
  bool ok = false;
};

struct PairOptions {
  std::string host = "example.com";
  std::string alpn;
  std::string scope = "scope";
  PipeOptions pipe;
  ClientOptions client;
  LeafPtr leaf;
};

inline std::unique_ptr<Pair> connect(World& world, PairOptions options) {
  auto pair = std::unique_ptr<Pair>(new Pair{Pipe(options.pipe), nullptr, nullptr, false});
  if (options.client.server_name.empty()) options.client.server_name = options.host;
  if (!options.leaf) options.leaf = world.leaf(options.host);
  pair->server = *world.server->accept(pair->pipe.a(), options.leaf, options.alpn, options.scope);
  pair->client = *world.client->connect(pair->pipe.b(), options.client);
  pair->ok = shake_hands(*pair->server, *pair->client);
  return pair;
}

inline std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string text(size, '\0');
  for (char& octet : text) {
    seed = seed * 1664525 + 1013904223;
    octet = static_cast<char>(seed >> 24);
  }
  return text;
}

}  // namespace sluice::tls
