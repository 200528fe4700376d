// Checksums of what segments hold: a frame, a head, a small body, a record of a large one.
#include <benchmark/benchmark.h>

#include <string>

#include "base/crc32c.h"

namespace sluice {
namespace {

void Checksum(benchmark::State& state) {
  const std::string octets(static_cast<std::size_t>(state.range(0)), 'x');
  std::uint32_t crc = 0;
  for (auto _ : state) benchmark::DoNotOptimize(crc = crc32c(octets, crc));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Checksum)->Arg(20)->Arg(300)->Arg(1'024)->Arg(16'384)->Arg(262'144)->MinTime(0.05);

void ChecksumByTable(benchmark::State& state) {
  const std::string octets(static_cast<std::size_t>(state.range(0)), 'x');
  std::uint32_t crc = 0;
  for (auto _ : state) benchmark::DoNotOptimize(crc = detail::crc32c_by_table(octets, crc));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ChecksumByTable)->Arg(262'144)->MinTime(0.05);

}  // namespace
}  // namespace sluice
