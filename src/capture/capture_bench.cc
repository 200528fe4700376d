// What recording costs: on the worker (per exchange and per megabyte of body), on the capture thread (with a real
// disk), and what lists cost their readers. Times are per exchange, per megabyte, per call.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr int kAtOnce = 1'000;  // exchanges between two pumps

struct Disk {
  std::string root;
  SystemFileSystem files;
  SystemClock clock;
  SystemEntropy entropy;
  std::unique_ptr<Ring> ring;
  std::thread writer;

  explicit Disk(Ring::Options options = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
    root = ::mkdtemp(name.data());
    options.spool_directory = root + "/1-bench";
    ring = std::make_unique<Ring>(std::move(options), files, clock, entropy);
    if (!ring->open()) std::abort();
    ring->set_disk_thread(true);
    writer = std::thread([this] { ring->write_until_stopped(); });
  }
  ~Disk() {
    ring->set_disk_thread(false);
    writer.join();
    ring.reset();
    std::filesystem::remove_all(root);
  }
};

constexpr std::string_view kRequestHead =
    "GET /api/v1/items?page=3 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    "Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef\r\n\r\n";
constexpr std::string_view kResponseHead =
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Fri, 20 Nov 2026 13:30:07 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: 1024\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n";

void report_exchange(flow::Sink& sink, const flow::ConnectionPtr& connection, const flow::UpstreamPtr& upstream,
                     int number) {
  char target[] = "/api/v1/items?page=0000";
  for (int i = 0, n = number; i < 4; ++i, n /= 10) target[sizeof(target) - 2 - i] = static_cast<char>('0' + n % 10);
  flow::Opened opened;
  opened.connection = connection;
  opened.method = "GET";
  opened.scheme = "https";
  opened.host = "www.example.com";
  opened.target = target;
  opened.port = 443;
  opened.head = kRequestHead;
  const ExchangeSeq seq = sink.opened(opened);
  flow::Responded responded;
  responded.status = 200;
  responded.head = kResponseHead;
  responded.upstream = upstream;
  sink.responded(seq, responded);
  const MutableBytes space = sink.read_space(64 * kKiB);
  sink.body(seq, flow::Direction::kResponse, Bytes(space.data(), 1'024));
  flow::Ended ended;
  ended.request_ended = ended.response_ended = true;
  sink.ended(seq, ended);
}

enum Side : std::int64_t { kWorker, kCaptureThread };

// One small exchange (1 KB answer): the time of the side that is asked for.
void Exchange(benchmark::State& state) {
  Disk disk;
  flow::Sink& sink = disk.ring->sink(0);
  const auto connection = RingFixture::connection();
  const auto upstream = std::make_shared<flow::Upstream>();
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kAtOnce; ++i) report_exchange(sink, connection, upstream, i);
    const auto middle = std::chrono::steady_clock::now();
    disk.ring->pump();
    const auto end = std::chrono::steady_clock::now();
    state.SetIterationTime(Seconds(state.range(0) == kWorker ? middle - begin : end - middle).count());
  }
  const Counters counters = disk.ring->counters();
  state.counters["each"] = benchmark::Counter(static_cast<double>(state.iterations()) * kAtOnce,
                                              benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["lost"] = static_cast<double>(counters.records_lost + counters.bodies_cut);
}
BENCHMARK(Exchange)->ArgName("side")->Arg(kWorker)->Arg(kCaptureThread)->UseManualTime()->MinTime(0.05);

// A megabyte of body in pieces of one TLS record.
void Megabyte(benchmark::State& state) {
  Disk disk;
  flow::Sink& sink = disk.ring->sink(0);
  for (auto _ : state) {
    const ExchangeSeq seq = sink.opened({.connection = RingFixture::connection(), .head = kRequestHead});
    const auto begin = std::chrono::steady_clock::now();
    for (ByteCount left = kMiB; left > 0; left -= 16 * kKiB) {
      const MutableBytes space = sink.read_space(16 * kKiB);
      sink.body(seq, flow::Direction::kResponse, Bytes(space.data(), 16 * kKiB));
    }
    const auto middle = std::chrono::steady_clock::now();
    sink.ended(seq, {});
    disk.ring->pump();
    const auto end = std::chrono::steady_clock::now();
    state.SetIterationTime(Seconds(state.range(0) == kWorker ? middle - begin : end - middle).count());
  }
  state.counters["cut"] = static_cast<double>(disk.ring->counters().bytes_cut);
}
BENCHMARK(Megabyte)->ArgName("side")->Arg(kWorker)->Arg(kCaptureThread)->UseManualTime()->MinTime(0.05);

void fill(Disk& disk) {
  const auto connection = RingFixture::connection();
  const auto upstream = std::make_shared<flow::Upstream>();
  for (int i = 0; i < 10'000; ++i) {
    report_exchange(disk.ring->sink(0), connection, upstream, i);
    if (i % 1'000 == 0) disk.ring->pump();
  }
  disk.ring->pump();
}

// A page of 50 of 10,000.
void List(benchmark::State& state, const Filter& filter) {
  Disk disk;
  fill(disk);
  for (auto _ : state) benchmark::DoNotOptimize(disk.ring->list(filter, -50, 50).total);
}
BENCHMARK_CAPTURE(List, all, Filter{})->MinTime(0.05)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(List, by_url, Filter{.url_contains = "page=77"})->MinTime(0.05)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(List, by_method_and_host, (Filter{.method = "get", .host_contains = "example"}))
    ->MinTime(0.05)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(List, since_the_last, Filter{.after_rev = 9'990})->MinTime(0.05)->Unit(benchmark::kMicrosecond);

void VisitAll(benchmark::State& state) {
  Disk disk;
  fill(disk);
  for (auto _ : state) {
    std::size_t seen = 0;
    disk.ring->for_each({}, [&](const flow::Exchange&) { return ++seen, true; });
    benchmark::DoNotOptimize(seen);
  }
}
BENCHMARK(VisitAll)->MinTime(0.05)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::capture
