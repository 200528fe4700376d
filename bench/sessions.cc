// What recordings cost and how fast they answer: makes one of COUNT exchanges (5 KB bodies) in a new folder under DIR,
// asks it what users ask, and prints a table. `./dev bench sessions [COUNT]`.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "analysis/body.h"
#include "analysis/export.h"
#include "base/beneath.h"
#include "session/session.h"
#include "session_maker.h"

namespace {

using namespace sluice;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "sluice_sessions: {}\n", why);
  std::exit(1);
}
template <class T>
T need(Result<T> result) {
  if (!result) die(result.error().message);
  return *std::move(result);
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
struct Took {
  double wall = 0, cpu = 0;  // seconds; what all threads did
};
Took took(const std::function<void()>& work) {
  const double cpu = cpu_seconds();
  const auto begun = Clock::now();
  work();
  return {std::chrono::duration<double>(Clock::now() - begun).count(), cpu_seconds() - cpu};
}
// By the clock, and by what one core did: on a machine that others keep busy the second says more.
std::string show(const Took& one) { return fmt::format("{:.1f} ms ({:.1f} of CPU)", one.wall * 1e3, one.cpu * 1e3); }
// By the clock, and the mean by the core.
std::string p95(std::vector<Took> all) {
  Took shown;
  for (const Took& one : all) shown.cpu += one.cpu / static_cast<double>(all.size());
  std::sort(all.begin(), all.end(), [](const Took& a, const Took& b) { return a.wall < b.wall; });
  shown.wall = all[std::min(all.size() - 1, all.size() * 95 / 100)].wall;
  return show(shown);
}
void row(std::string_view what, std::string_view measured, std::string_view target) {
  fmt::print("| {} | {} | {} |\n", what, measured, target);
  std::fflush(stdout);
}
std::string rate(double octets, double seconds) { return fmt::format("{:.0f} MB/s", octets / seconds / 1e6); }
std::string rates(const std::function<double()>& work) {
  double octets = 0;
  const Took one = took([&] { octets = work(); });
  return fmt::format("{} ({} of CPU)", rate(octets, one.wall), rate(octets, one.cpu));
}

// The files' pages leave the page cache: what comes next is read from the disk.
void make_cold(const fs::path& directory) {
  ::sync();
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) * 1024 / 1e6;
  }
  return 0;
}
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

struct Bench {
  std::string root;
  SystemClock clock;
  SystemEntropy entropy;
  std::unique_ptr<session::Store> store;

  explicit Bench(std::string at) : root(std::move(at)) { forget(); }
  static Result<session::Root> open_root(const std::string& path) {
    auto files = BeneathFileSystem::open(path, "", BeneathFileSystem::IfAbsent::kMake);
    if (!files) return fail(files.error());
    return session::Root{(*files)->path(), std::shared_ptr<FileSystem>(*std::move(files))};
  }
  // What was kept of earlier queries is gone.
  void forget() {
    store =
        std::make_unique<session::Store>(session::StoreDeps{clock, entropy, nullptr, nullptr, root, {}, open_root, {}});
  }

  // As proxy_search_session_bodies looks for a text; how many it found.
  std::size_t search(const std::string& id, const std::string& text, std::size_t limit,
                     std::uint64_t* octets = nullptr) {
    const auto reader = need(store->open(id));
    session::Query query;
    query.ascending = true;
    const capture::Needle needle(text);
    const auto without = reader->without_text(text);
    std::size_t found = 0;
    const auto rows = need(reader->match(query));
    const auto status = reader->visit_some(
        *rows, query.ascending, 0, [&](std::uint64_t seq) { return !without.holds_none(seq); },
        [&](std::uint64_t, const session::Row& one) {
          if (octets) *octets += one.request.stored + one.response.stored;
          if (!reader->look(one, needle, true, true).may_hold) return true;
          const auto exchange = reader->exchange(one);
          analysis::BodyOptions options;
          options.limit = options.budget = 8 * kMiB;
          options.measure = false;
          const auto window = analysis::read_window(*reader, *exchange, flow::Direction::kResponse, options);
          if (window && needle.is_in(window->octets)) ++found;
          return found < limit;
        });
    if (!status) die(status.error().message);
    return found;
  }
};

void queries(Bench& bench, const std::string& id) {
  const std::vector<std::pair<std::string, session::Query>> filters{
      {"none", {}},
      {"host", {.host_contains = "api7."}},
      {"part of the URL, common", {.url_contains = "page=3"}},
      {"part of the URL, rare", {.url_contains = "customers/4711/"}},
      {"status", {.status = 500}},
      {"text that is nowhere", {.text = "nowhere to be found"}},
  };
  std::vector<Took> pages;
  Took worst;
  std::string slowest;
  const auto first_total = [&] { (void)need(need(bench.store->open(id))->count({})); };
  row("exact total, first time, cold", show(took(first_total)), "");
  bench.forget();
  for (const auto& [name, query] : filters) {
    std::uint64_t total = 0;
    const Took first = took([&] { total = need(need(bench.store->open(id))->count(query)); });
    if (first.wall > worst.wall) {
      worst = first;
      slowest = name;
    }
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t offset = total == 0 ? 0 : total * static_cast<std::uint64_t>(i) / 40;
      pages.push_back(took([&] {
        const auto reader = need(bench.store->open(id));
        (void)need(reader->count(query));
        (void)reader->visit(query, offset, 50, [](const session::Row&) { return true; });
      }));
    }
  }
  row("exact total, first time, warm, slowest of six filters", fmt::format("{}: {}", show(worst), slowest), "200 ms");
  row("query page of 50 with its total, anywhere, p95", p95(pages), "10 ms");
}

void searches(Bench& bench, const std::string& id, std::uint64_t exchanges) {
  const std::uint64_t words = std::max<std::uint64_t>(1, exchanges / bench::kRareEvery);
  const auto rare = [&](std::uint64_t n) {
    const std::string word = bench::rare_word(n % words);
    if (bench.search(id, word, 10) == 0) die(word + " was not found");
  };
  std::vector<Took> cold, warm;
  for (std::uint64_t i = 0; i < 10; ++i) {
    make_cold(bench.root);
    bench.forget();
    cold.push_back(took([&] { rare(i); }));
  }
  for (std::uint64_t i = 0; i < 40; ++i) warm.push_back(took([&] { rare(i); }));
  row("body search, sealed, rare term, warm, p95", p95(warm), "300 ms");
  row("body search, sealed, rare term, cold, p95", p95(cold), "1 s");
  std::vector<Took> common;
  for (int i = 0; i < 20; ++i) common.push_back(took([&] { (void)bench.search(id, "\"status\":\"active\"", 10); }));
  row("body search, first page of a common term, p95", p95(common), "100 ms");
}

void export_har(Bench& bench, const std::string& id) {
  const auto reader = need(bench.store->open(id));
  forget_peak();
  const std::string speed = rates([&] {
    ByteCount written = 0;
    session::Query query;
    query.ascending = true;
    const auto status = reader->visit(query, 0, 200'000, [&](const session::Row& one) {
      const auto exchange = reader->exchange(one);
      if (!exchange) return true;
      analysis::ExportSink sink([&](Bytes octets) -> Status {
        written += octets.size();
        return {};
      });
      (void)analysis::write_export(analysis::ExportFormat::kHar, {*reader, *exchange, nullptr, {}, true}, sink);
      return sink.finish().has_value();
    });
    if (!status) die(status.error().message);
    return static_cast<double>(written);
  });
  row("HAR export", speed, "100 MB/s");
  row("… peak RSS", fmt::format("{:.0f} MB", peak_rss_mb()), "100 MB");
}

// In turns, so that what else the machine does meets both alike; the best of three.
void encryption(FileSystem& files, const std::string& root, std::uint64_t count) {
  SystemEntropy entropy;
  std::string octets(32, '\0');
  entropy.fill(octets);
  const auto key = need(session::OperatorKey::parse(octets));
  for (const auto& [body, exchanges] : {std::pair<std::size_t, std::uint64_t>{512, count}, {5'000, count / 4}}) {
    double clear = 1e9, sealed = 1e9;
    for (int round = 0; round < 3; ++round) {
      for (const bool encrypted : {false, true}) {
        const auto made = bench::make_session(files, root, exchanges, body, encrypted ? key : nullptr);
        double& best = encrypted ? sealed : clear;
        best = std::min(best, made.writer_cpu_seconds / static_cast<double>(made.exchanges) * 1e6);
        fs::remove_all(root + "/" + made.id);
      }
    }
    row(fmt::format("the writer's CPU, bodies of {:.1f} KB, encrypted", static_cast<double>(body) / 1e3),
        fmt::format("{:.1f} µs each, {:.2f} times that in clear", sealed, sealed / clear), "");
  }
}

void list_many(const std::string& directory) {
  fs::create_directories(directory);
  Bench bench(directory);
  SystemFileSystem files;
  for (int i = 0; i < 10'000; ++i) {
    session::Manifest manifest;
    const WallTime when = bench.clock.wall() - std::chrono::minutes(i);
    manifest.id = session::make_session_id(when, bench.entropy);
    manifest.started_ms = unix_ms(when);
    manifest.root = directory;
    const std::string place = directory + "/" + manifest.id;
    fs::create_directories(session::segments_path(place));
    std::ofstream(session::manifest_path(place)) << dump_json(session::manifest_json(manifest), JsonStyle::kIndented);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));  // what changed a moment ago is read each time
  std::vector<Took> pages, lists;
  for (int i = 0; i < 50; ++i) {
    pages.push_back(took([&] {
      if (need(bench.store->list(static_cast<std::size_t>(i) * 200, 100)).sessions.size() != 100)
        die("some are missing");
    }));
  }
  row("a page of 100 of 10,000 sessions, as proxy_list_sessions reads it, p95", p95(pages), "100 ms");
  for (int i = 0; i < 20; ++i) {
    lists.push_back(took([&] {
      if (need(bench.store->list()).size() != 10'000) die("some are missing");
    }));
  }
  row("all 10,000, first of a process", show(lists.front()), "");
  lists.erase(lists.begin());
  row("… again, p95", p95(lists), "");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) die("usage: sluice_sessions DIR [COUNT]");
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  std::error_code missing;
  std::string root = fs::canonical(argv[1], missing).string() + "/sluice-sessions-XXXXXX";
  if (missing) die("there is no such folder");
  if (!::mkdtemp(root.data())) die("no folder can be made there");
  SystemFileSystem files;
  fmt::print("| {} exchanges | measured | target |\n|---|--:|--:|\n", count);
  {
    const auto small = bench::make_session(files, root, std::min<std::uint64_t>(count, 300'000), 512);
    row("ingest of small exchanges (0.5 KB)",
        fmt::format("{:.0f}/s ({:.1f} µs CPU each)", static_cast<double>(small.exchanges) / small.seconds,
                    small.cpu_seconds / static_cast<double>(small.exchanges) * 1e6),
        "50,000/s");
    fs::remove_all(root + "/" + small.id);
  }
  encryption(files, root, std::min<std::uint64_t>(count, 100'000));
  const auto made = bench::make_session(files, root, count, 5'000);
  row("ingest of the session",
      fmt::format("{:.0f}/s, {}, {} lost", static_cast<double>(made.exchanges) / made.seconds,
                  rate(static_cast<double>(made.segment_octets), made.seconds), made.lost),
      "");
  Bench bench(root);
  const auto recover = [&] {
    (void)need(bench.store->recover(made.id));
    return static_cast<double>(made.segment_octets);
  };
  row("recovery (index rebuilt)", rates(recover), "200 MB/s");
  make_cold(root);
  row("opening, cold", show(took([&] { (void)need(bench.store->open(made.id)); })), "200 ms");
  queries(bench, made.id);
  const auto scan = [&] {
    std::uint64_t octets = 0;
    (void)bench.search(made.id, "this stands nowhere", 1, &octets);
    return static_cast<double>(octets);
  };
  row("body search, unsealed (scan), cold", rates(scan), "");
  row("body search, unsealed (scan), warm", rates(scan), "500 MB/s per core");
  row("sealing, one core", rates([&] { return static_cast<double>(need(bench.store->seal(made.id))); }), "100 MB/s");
  ByteCount beside = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/" + made.id)) {
    if (entry.is_regular_file() && entry.path().extension() != ".seg") beside += entry.file_size();
  }
  row("index and filters, of the segments' size",
      fmt::format("{:.0f} %", 100.0 * static_cast<double>(beside) / static_cast<double>(made.segment_octets)), "");
  searches(bench, made.id, count);
  export_har(bench, made.id);
  list_many(root + "/many");
  fs::remove_all(root);
  return 0;
}
