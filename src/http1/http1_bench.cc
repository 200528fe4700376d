// The hot path: a head that arrives whole is read and written again.
#include <benchmark/benchmark.h>

#include "http1/http1.h"

namespace sluice::http1 {
namespace {

constexpr Bytes kRequest =
    "GET /api/v1/things/12345?expand=owner&limit=50 HTTP/1.1\r\n"
    "Host: service.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: no-cache\r\n"
    "\r\n";
constexpr Bytes kAnswer =
    "HTTP/1.1 200 OK\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: 0\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: private, max-age=0\r\n"
    "ETag: \"0123456789abcdef\"\r\n"
    "\r\n";

void BM_RequestHeadReadAndWrite(benchmark::State& state) {
  RequestReader reader{HttpLimits{}};
  std::string out;
  for (auto _ : state) {
    reader.feed(kRequest);
    auto head = reader.next();
    out.clear();
    append_head(out, std::get<http::RequestHead>(*head));
    benchmark::DoNotOptimize(reader.next());  // MessageEnd
    benchmark::DoNotOptimize(out.data());
  }
  if (out != kRequest) state.SkipWithError("the head changed");
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kRequest.size()));
}
BENCHMARK(BM_RequestHeadReadAndWrite);

void BM_AnswerHeadReadAndWrite(benchmark::State& state) {
  ResponseReader reader{HttpLimits{}};
  std::string out;
  for (auto _ : state) {
    reader.begin("GET");
    reader.feed(kAnswer);
    auto head = reader.next();
    out.clear();
    append_head(out, std::get<http::ResponseHead>(*head));
    benchmark::DoNotOptimize(reader.next());
    benchmark::DoNotOptimize(out.data());
  }
  if (out != kAnswer) state.SkipWithError("the head changed");
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kAnswer.size()));
}
BENCHMARK(BM_AnswerHeadReadAndWrite);

void BM_ChunkedBody64KiB(benchmark::State& state) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (int i = 0; i < 16; ++i) append_chunk(body, std::string(4096, 'x'));
  append_last_chunk(body, {});
  const std::string octets = head + body;
  ResponseReader reader{HttpLimits{}};
  for (auto _ : state) {
    reader.begin("GET");
    reader.feed(octets);
    for (auto event = reader.next(); !std::holds_alternative<http::MessageEnd>(*event); event = reader.next()) {
      benchmark::DoNotOptimize(event);
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}
BENCHMARK(BM_ChunkedBody64KiB);

}  // namespace
}  // namespace sluice::http1
