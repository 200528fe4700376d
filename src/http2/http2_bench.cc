// The hot path: a request and its answer through two sessions, and a body the same way.
#include <benchmark/benchmark.h>

#include "http2/http2.h"

namespace sluice::http2 {
namespace {

// Gives `size` octets to every stream.
class Octets final : public BodySource {
 public:
  explicit Octets(std::size_t size) : size_(size) {}
  Pulled pull(StreamId stream, MutableBytes out) override {
    if (stream != stream_) given_ = 0;
    stream_ = stream;
    const std::size_t count = std::min(out.size(), size_ - given_);
    std::fill_n(out.data(), count, 'x');
    given_ += count;
    return {count, given_ == size_, nullptr};
  }

 private:
  std::size_t size_;
  StreamId stream_ = 0;
  std::size_t given_ = 0;
};

const http::RequestHead kRequest =
    http::make_request("GET", "/api/v1/things/12345?expand=owner&limit=50",
                       {{"host", "service.example.com"},
                        {"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
                        {"accept", "application/json, text/plain, */*"},
                        {"accept-language", "en-US,en;q=0.5"},
                        {"accept-encoding", "gzip, deflate, br"},
                        {"authorization", "Bearer 0123456789abcdef0123456789abcdef"},
                        {"cache-control", "no-cache"}});
const http::ResponseHead kAnswer = http::make_response(200, {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                                             {"content-type", "application/json; charset=utf-8"},
                                                             {"cache-control", "private, max-age=0"},
                                                             {"etag", "\"0123456789abcdef\""}});

// One client and one server, which answers whatever it is asked; `count_` octets came back.
struct Loop {
  Loop(std::size_t body, const Options& options)
      : source(body), client(Role::kClient, options, nothing), server(Role::kServer, options, source) {}

  void talk() {
    while (client.wants_output() || server.wants_output()) {
      for (Bytes out = client.output(); !out.empty(); out = client.output()) serve(out);
      for (Bytes out = server.output(); !out.empty(); out = server.output()) read(out);
    }
  }
  void serve(Bytes octets) {
    if (!server.feed(octets)) std::abort();
    while (auto event = server.next()) {
      if (const auto* head = std::get_if<HeadRead>(&*event)) {
        if (!server.submit_response(head->stream, kAnswer, Body::kPulled)) std::abort();
      }
    }
  }
  void read(Bytes octets) {
    if (!client.feed(octets)) std::abort();
    while (auto event = client.next()) {
      if (const auto* data = std::get_if<DataRead>(&*event)) {
        received += data->content.size();
        client.consumed(data->stream, data->content.size());
      } else if (std::holds_alternative<StreamEnded>(*event)) {
        ++answers;
      }
    }
  }

  Octets nothing{0};
  Octets source;
  Session client, server;
  std::size_t received = 0, answers = 0;
};

void BM_RequestAndAnswer(benchmark::State& state) {
  const auto at_once = static_cast<std::size_t>(state.range(0));
  Loop loop(100, {});
  std::size_t asked = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < at_once; ++i) {
      if (!loop.client.submit_request(kRequest, {}, Body::kNone)) std::abort();
    }
    asked += at_once;
    loop.talk();
  }
  if (loop.answers != asked) state.SkipWithError("an answer is missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(asked));
}
BENCHMARK(BM_RequestAndAnswer)->Arg(1)->Arg(50);

void BM_Body1MiB(benchmark::State& state) {
  constexpr std::size_t kSize = 1024 * 1024;
  Loop loop(kSize, {});
  std::size_t asked = 0;
  for (auto _ : state) {
    if (!loop.client.submit_request(kRequest, {}, Body::kNone)) std::abort();
    ++asked;
    loop.talk();
  }
  if (loop.received != asked * kSize) state.SkipWithError("octets are missing");
  state.SetBytesProcessed(static_cast<std::int64_t>(asked * kSize));
}
BENCHMARK(BM_Body1MiB);

void BM_NewConnection(benchmark::State& state) {
  for (auto _ : state) {
    Loop loop(100, {});
    if (!loop.client.submit_request(kRequest, {}, Body::kNone)) std::abort();
    loop.talk();
    if (loop.answers != 1) state.SkipWithError("an answer is missing");
  }
}
BENCHMARK(BM_NewConnection);

}  // namespace
}  // namespace sluice::http2
