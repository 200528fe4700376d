// What TLS costs without sockets: handshakes, both ends together; bulk, one direction; a leaf.
#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "tls/session.h"
#include "tls/test_peers.h"

namespace sluice::tls {
namespace {

struct World {
  SystemClock clock;
  SystemEntropy entropy;
  std::shared_ptr<const CertificateAuthority> authority = *CertificateAuthority::create(clock, entropy);
  LeafPtr leaf = *authority->mint("example.com", KeyKind::kEcdsaP256, clock.wall());
  std::shared_ptr<ServerContext> server = *ServerContext::create("");
  std::shared_ptr<ClientContext> client;
  World() {
    char path[] = "/tmp/sluice-bench-XXXXXX";
    ::close(::mkstemp(path));
    std::ofstream(path) << authority->certificate_pem();
    client = *ClientContext::create({.system_store = false, .ca_files = {path}}, "");
    ::unlink(path);
  }
};

struct Pair {
  Pair(World& world, ResumptionPtr resume) {
    server = *world.server->accept(pipe.a(), world.leaf, "", "scope");
    ClientOptions options;
    options.server_name = "example.com";
    options.resume = std::move(resume);
    client = *world.client->connect(pipe.b(), options);
    while (client->handshake() != HandshakeStep::kDone || server->handshake() != HandshakeStep::kDone) {
      (void)server->handshake();
    }
  }
  Pipe pipe;
  std::unique_ptr<Session> server;
  std::unique_ptr<ClientSession> client;
};

void full_handshake(benchmark::State& state) {
  World world;
  for (auto _ : state) Pair pair(world, nullptr);
}
BENCHMARK(full_handshake)->Unit(benchmark::kMicrosecond);

void resumed_handshake(benchmark::State& state) {
  World world;
  Pair first(world, nullptr);
  char space[10];
  (void)first.server->write("x");
  (void)first.client->read(space);
  const ResumptionPtr ticket = first.client->resumption();
  for (auto _ : state) Pair pair(world, ticket);
}
BENCHMARK(resumed_handshake)->Unit(benchmark::kMicrosecond);

void write_and_read(benchmark::State& state) {
  World world;
  Pair pair(world, nullptr);
  const std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  std::string space(data.size(), '\0');
  for (auto _ : state) {
    (void)pair.server->write(data);
    for (std::size_t have = 0; have < data.size();) have += pair.client->read(space).count;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(write_and_read)->Arg(1024)->Arg(64 * 1024)->Unit(benchmark::kMicrosecond);

void mint(benchmark::State& state) {
  World world;
  int number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        world.authority->mint(std::to_string(++number) + ".example", KeyKind::kEcdsaP256, world.clock.wall()));
  }
}
BENCHMARK(mint)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::tls
