// What watching costs: unmasking, reading frames of several sizes both ways, checking text, inflating.
#include <benchmark/benchmark.h>

#include "websocket/deflate.h"

namespace sluice::websocket {
namespace {

constexpr MaskKey kKey{'\x37', '\xfa', '\x21', '\x3d'};

void count_octets(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * each));
}

void BM_Unmask(benchmark::State& state) {
  const std::string octets(static_cast<std::size_t>(state.range(0)), 'x');
  std::string out(octets.size(), '\0');
  for (auto _ : state) {
    apply_mask(octets, kKey, 1, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  count_octets(state, octets.size());
}
BENCHMARK(BM_Unmask)->Arg(64)->Arg(64 * 1024);

void BM_UnmaskInPlace(benchmark::State& state) {
  std::string octets(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    apply_mask(octets, kKey, 1, octets.data());
    benchmark::DoNotOptimize(octets.data());
  }
  count_octets(state, octets.size());
}
BENCHMARK(BM_UnmaskInPlace)->Arg(64 * 1024);

// 64 KiB of frames of one size, as a read gives them.
void read_messages(benchmark::State& state, Sender sender, Opcode opcode) {
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  std::string octets;
  std::int64_t frames = 0;
  while (octets.size() < 64 * 1024) {
    append_frame(octets, opcode, payload, sender == Sender::kClient ? std::optional(kKey) : std::nullopt);
    ++frames;
  }
  std::string scratch(16 * 1024, '\0');
  MessageReader reader(sender, Reserved::kNone);
  for (auto _ : state) {
    reader.feed(octets, scratch);
    auto event = reader.next();
    while (event && !std::holds_alternative<NeedMore>(*event)) {
      benchmark::DoNotOptimize(event);
      event = reader.next();
    }
    if (!event) state.SkipWithError("a frame was refused");
  }
  count_octets(state, octets.size());
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * frames);
}
void BM_ReadClientBinary(benchmark::State& state) { read_messages(state, Sender::kClient, Opcode::kBinary); }
void BM_ReadServerBinary(benchmark::State& state) { read_messages(state, Sender::kServer, Opcode::kBinary); }
void BM_ReadServerText(benchmark::State& state) { read_messages(state, Sender::kServer, Opcode::kText); }
BENCHMARK(BM_ReadClientBinary)->Arg(64)->Arg(64 * 1024);
BENCHMARK(BM_ReadServerBinary)->Arg(64)->Arg(64 * 1024);
BENCHMARK(BM_ReadServerText)->Arg(64)->Arg(64 * 1024);

void BM_InflateJson(benchmark::State& state) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "{\"id\":" + std::to_string(i * 7919) + ",\"name\":\"somebody\"},";
  auto deflater = Deflater::create(Context::kTakenOver, 15);
  std::string payload;
  deflater->deflate(text, payload);
  Inflater inflater(Context::kFresh);
  std::string out;
  for (auto _ : state) {
    out.clear();
    inflater.begin(&out, 1 << 20);
    benchmark::DoNotOptimize(inflater.feed(payload));
    benchmark::DoNotOptimize(inflater.end());
  }
  if (out != text) state.SkipWithError("the text changed");
  count_octets(state, text.size());
}
BENCHMARK(BM_InflateJson);

}  // namespace
}  // namespace sluice::websocket
