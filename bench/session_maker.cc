#include "session_maker.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "capture/octets.h"
#include "capture/records.h"
#include "session/recording.h"

namespace bench {
namespace {

using namespace sluice;
using capture::OctetWriter;
using capture::RecordType;

constexpr int kRound = 500;  // exchanges between two pumps
constexpr int kHosts = 40;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Text as an API answers it: members that come again, words, numbers and identifiers that do not.
class Texts {
 public:
  Texts() {
    for (std::string& word : words_) {
      for (int i = 3 + static_cast<int>(random_() % 8); i > 0; --i) word += static_cast<char>('a' + random_() % 26);
    }
  }
  const std::string& next(std::size_t wanted, std::uint64_t number) {
    text_ = "{\"items\":[";
    if (number % kRareEvery == 7) text_ += fmt::format("{{\"note\":\"{}\"}},", rare_word(number / kRareEvery));
    const std::size_t size = wanted / 2 + random_() % wanted;
    while (text_.size() < size) {
      fmt::format_to(
          std::back_inserter(text_),
          "{{\"id\":{},\"name\":\"{} {}\",\"status\":\"active\",\"etag\":\"{:x}\",\"tags\":[\"{}\",\"{}\"]}},",
          random_() % 10'000'000, word(), word(), random_(), word(), word());
    }
    text_ += "{}]}";
    return text_;
  }

 private:
  const std::string& word() { return words_[random_() % words_.size()]; }
  std::mt19937_64 random_{1};
  std::array<std::string, 4'000> words_;
  std::string text_;
};

struct Feeder {
  session::Recording& recording;
  flow::ConnectionPtr connection;
  flow::UpstreamPtr upstream;
  Texts texts;
  std::string payload;
  std::uint64_t octets = 0;

  void feed(std::uint64_t number, std::size_t body) {
    capture::Uuid uuid{};
    for (std::size_t i = 0; i < 8; ++i) uuid[8 + i] = static_cast<char>((number * 0x9E3779B97F4A7C15u) >> (8 * i));
    for (std::size_t i = 0; i < 8; ++i) uuid[i] = static_cast<char>(number >> (8 * (7 - i)));
    uuid[6] = static_cast<char>(0x40 | (uuid[6] & 0x0F));
    uuid[8] = static_cast<char>(0x80 | (uuid[8] & 0x3F));
    const std::string host = fmt::format("api{}.example.com", number % kHosts);
    const std::string target = fmt::format("/v1/customers/{}/orders?page={}", number % 9'973, number % 31);
    const std::string head = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: application/json\r\n"
        "Accept-Encoding: gzip\r\nCookie: session=0123456789abcdef\r\n\r\n",
        target, host);
    flow::Opened opened;
    opened.connection = connection;
    opened.started = WallTime(std::chrono::seconds(1'790'000'000) + std::chrono::microseconds(number * 2'500));
    opened.method = number % 10 == 0 ? "POST" : "GET";
    opened.scheme = "https";
    opened.host = host;
    opened.target = target;
    opened.port = 443;
    opened.head = head;
    payload.resize(capture::opened_size(opened));
    capture::write_opened(OctetWriter(payload.data()), opened);
    recording.on_opened(number, Bytes(uuid.data(), uuid.size()), payload, connection);
    flow::Responded responded;
    responded.status = number % 97 == 0 ? 500 : 200;
    const std::string& text = texts.next(body, number);
    const std::string answer = fmt::format(
        "HTTP/1.1 {} OK\r\nServer: nginx\r\nDate: Fri, 20 Nov 2026 13:30:07 GMT\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n",
        responded.status, text.size());
    responded.head = answer;
    responded.upstream = upstream;
    payload.resize(capture::responded_size(responded));
    capture::write_responded(OctetWriter(payload.data()), responded);
    recording.on_record(RecordType::kResponded, number, payload, upstream);
    const Bytes pieces[] = {text};
    recording.on_body(RecordType::kResponseBody, number, pieces);
    octets += text.size();
    flow::Ended ended;
    ended.request_ended = ended.response_ended = true;
    ended.timings.request_end = 200;
    ended.timings.end = static_cast<std::int64_t>(1'000 + number % 400'000);
    payload.resize(capture::ended_size(ended));
    capture::write_ended(OctetWriter(payload.data()), ended, {0, 0});
    recording.on_record(RecordType::kEnded, number, payload, nullptr);
  }
};

}  // namespace

std::string rare_word(std::uint64_t number) { return fmt::format("Quixotic-{}-Zephyr", number); }

Made make_session(FileSystem& files, const std::string& root, std::uint64_t exchanges, std::size_t body,
                  const session::OperatorKeyPtr& key) {
  static SystemClock clock;
  static SystemEntropy entropy;
  session::RecordingOptions options;
  options.manifest.id = session::make_session_id(clock.wall(), entropy);
  options.manifest.name = "bench";
  options.manifest.profile = session::Profile::kFull;
  options.manifest.root = root;
  options.manifest.max_disk_mb = 1'000'000;
  options.directory = root + "/" + options.manifest.id;
  options.index = session::index_path(options.directory);
  if (key) {
    session::Manifest& own = options.manifest;
    options.key = *key->make(own.id, own.name, entropy, own.encryption);
  }
  auto recording = session::Recording::begin(std::move(options), files, clock, entropy);
  if (!recording) {
    fmt::print(stderr, "{}\n", recording.error().message);
    std::exit(1);
  }
  session::Recording& own = **recording;
  auto connection = std::make_shared<flow::Connection>();
  connection->id = ConnectionId{1};
  Feeder feeder{own, connection, std::make_shared<flow::Upstream>(), {}, {}, 0};
  const double cpu = cpu_seconds();
  const auto begun = std::chrono::steady_clock::now();
  std::atomic<bool> ended = false;
  double writer_cpu = 0;
  std::thread writer([&] {
    while (!ended) {
      own.work();
      own.wait(std::chrono::milliseconds(5));
    }
    writer_cpu = thread_cpu_seconds();
  });
  for (std::uint64_t number = 1; number <= exchanges; ++number) {
    feeder.feed(number, body);
    if (number % kRound != 0) continue;
    own.on_round_done();
    while (own.unwritten() > 8 * kMiB)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // not beyond the disk
  }
  ended = true;
  writer.join();
  writer_cpu -= thread_cpu_seconds();
  (void)own.finish();
  Made made;
  made.writer_cpu_seconds = writer_cpu + thread_cpu_seconds();
  made.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  made.cpu_seconds = cpu_seconds() - cpu;
  const session::Manifest last = own.manifest();
  made.id = last.id;
  made.exchanges = last.exchanges;
  made.body_octets = feeder.octets;
  made.segment_octets = last.bytes_written;
  made.lost = last.dropped_writes + last.bytes_cut;
  return made;
}

}  // namespace bench
