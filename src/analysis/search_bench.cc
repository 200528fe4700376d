// Searching a full ring: 10,000 exchanges, a kilobyte of JSON each.
#include <benchmark/benchmark.h>

#include "analysis/search.h"
#include "capture/capture_test_support.h"
#include "capture/needle.h"

namespace sluice::analysis {
namespace {

void Search(benchmark::State& state, const SearchQuery& query) {
  capture::RingFixture fixture;
  if (!fixture.open()) std::abort();
  std::string body;
  while (body.size() < 1'024) body += R"({"name":"someone","value":123,"next":null},)";
  for (int i = 0; i < 10'000; ++i) {
    fixture.exchange({.target = "/api/items?page=" + std::to_string(i), .response_body = body});
    if (i % 1'000 == 0) fixture.ring->pump();
  }
  fixture.ring->pump();
  for (auto _ : state) benchmark::DoNotOptimize(search(*fixture.ring, query)->total);
}
BENCHMARK_CAPTURE(Search, urls_and_headers, SearchQuery{.text = "page=7777", .in_bodies = false})
    ->MinTime(0.05)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, everywhere, SearchQuery{.text = "not there"})->MinTime(0.05)->Unit(benchmark::kMicrosecond);

void NeedleRate(benchmark::State& state) {
  std::string text;
  while (text.size() < kMiB) text += R"({"name":"someone","value":123,"next":null},)";
  const capture::Needle needle("somebody");
  for (auto _ : state) benchmark::DoNotOptimize(needle.find_in(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(NeedleRate)->MinTime(0.05);

}  // namespace
}  // namespace sluice::analysis
