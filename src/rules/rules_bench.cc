// What rules cost one request: engine.md 6 allows 1 µs for 10,000 exact hosts, 15 µs for 10,000 URL patterns.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "rules/rules.h"

namespace sluice::rules {
namespace {

constexpr std::uint32_t kRules = 10'000;

template <class Fill>
RuleBookPtr book_of(std::uint32_t count, Fill fill) {
  std::vector<RulePtr> rules;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto rule = std::make_shared<Rule>();
    rule->number = i + 1;
    fill(i, rule->spec);
    rules.push_back(std::move(rule));
  }
  auto book = RuleBook::compile(std::move(rules));
  if (!book) std::abort();
  return *std::move(book);
}

std::string host(std::uint32_t i) { return "host" + std::to_string(i) + ".example.com"; }

void exact_host(std::uint32_t i, RuleSpec& spec) { spec.matcher.hostname = host(i); }
void suffix(std::uint32_t i, RuleSpec& spec) { spec.matcher.host_pattern = "*." + host(i); }
void url(std::uint32_t i, RuleSpec& spec) {
  spec.matcher.url_pattern = "host" + std::to_string(i) + R"(\.example\.com/api/v\d+/users/[0-9a-f]+)";
}
void anchored_url(std::uint32_t i, RuleSpec& spec) {
  spec.matcher.url_pattern = "^https?://host" + std::to_string(i) + R"(\.example\.com/api/v\d+/users/[0-9a-f]+)";
}
void path(std::uint32_t i, RuleSpec& spec) {
  spec.matcher.url_pattern = "/api/v" + std::to_string(i) + R"(/users/\d+$)";
}

template <class Fill>
void match(benchmark::State& state, Fill fill, std::uint32_t count, const std::string& name) {
  const RuleBookPtr book = book_of(count, fill);
  http::FieldList fields;
  fields.append("Accept", "*/*");
  std::vector<std::string> targets;  // far more than the automata have seen: their states are made on the way
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    const std::uint32_t mixed = i * 2'654'435'761U;
    targets.push_back("/api/v" + std::to_string(mixed % 10'000) + "/users/" + std::to_string(mixed) +
                      "?page=" + std::to_string(mixed >> 20));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    const RuleBook::Subject subject{.method = "GET",
                                    .scheme = "https",
                                    .host = name,
                                    .target = targets[next++ % targets.size()],
                                    .port = 443,
                                    .fields = &fields};
    benchmark::DoNotOptimize(book->match(subject));
  }
}

void BM_NoRules(benchmark::State& state) { match(state, exact_host, 0, "host1.example.com"); }
void BM_ExactHostsHit(benchmark::State& state) { match(state, exact_host, kRules, host(9000)); }
void BM_ExactHostsMiss(benchmark::State& state) { match(state, exact_host, kRules, "www.example.org"); }
void BM_HostSuffixesHit(benchmark::State& state) { match(state, suffix, kRules, "a.b." + host(9000)); }
void BM_UrlPatternsHit(benchmark::State& state) { match(state, url, kRules, host(9000)); }
void BM_UrlPatternsMiss(benchmark::State& state) { match(state, url, kRules, "www.example.org"); }
void BM_AnchoredUrlPatternsHit(benchmark::State& state) { match(state, anchored_url, kRules, host(9000)); }
void BM_PathPatternsHit(benchmark::State& state) { match(state, path, kRules, host(9000)); }
void BM_TenUrlPatterns(benchmark::State& state) { match(state, url, 10, host(5)); }
BENCHMARK(BM_NoRules);
BENCHMARK(BM_ExactHostsHit);
BENCHMARK(BM_ExactHostsMiss);
BENCHMARK(BM_HostSuffixesHit);
BENCHMARK(BM_UrlPatternsHit);
BENCHMARK(BM_UrlPatternsMiss);
BENCHMARK(BM_AnchoredUrlPatternsHit);
BENCHMARK(BM_PathPatternsHit);
BENCHMARK(BM_TenUrlPatterns);

void BM_MayAnswer(benchmark::State& state) {
  const RuleBookPtr book = book_of(kRules, [](std::uint32_t i, RuleSpec& spec) {
    exact_host(i, spec);
    spec.handler.type = HandlerType::kDrop;
  });
  for (auto _ : state) benchmark::DoNotOptimize(book->may_answer("www.example.org"));
}
BENCHMARK(BM_MayAnswer);

void BM_CompileUrlPatterns(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(book_of(kRules, url));
}
void BM_CompileExactHosts(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(book_of(kRules, exact_host));
}
BENCHMARK(BM_CompileUrlPatterns)->Unit(benchmark::kMillisecond)->Iterations(3);
BENCHMARK(BM_CompileExactHosts)->Unit(benchmark::kMillisecond)->Iterations(3);

void add_url_patterns(RuleStore& store, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    RuleSpec spec;
    url(i, spec);
    if (!store.add(spec)) std::abort();
  }
}

// One more rule among many, each compiled before: what a live change costs.
void BM_AddOneToUrlPatterns(benchmark::State& state) {
  const SystemClock clock;
  RuleStore store(clock);
  add_url_patterns(store, static_cast<std::uint32_t>(state.range(0)));
  RuleSpec spec;
  exact_host(1, spec);
  for (auto _ : state) {
    const auto added = store.add(spec);
    if (!store.remove((*added)->id())) std::abort();
  }
}
// The same for a rule that has a pattern itself.
void BM_ChangeOneOfUrlPatterns(benchmark::State& state) {
  const SystemClock clock;
  RuleStore store(clock);
  add_url_patterns(store, static_cast<std::uint32_t>(state.range(0)));
  std::uint32_t next = 0;
  for (auto _ : state) {
    RuleStore::Update update;
    RuleSpec spec;
    url(++next, spec);
    update.matcher = spec.matcher;
    if (!store.update("rule_5", update)) std::abort();
  }
}
BENCHMARK(BM_ChangeOneOfUrlPatterns)->Unit(benchmark::kMillisecond)->Arg(10)->Arg(1000)->Arg(10'000);
BENCHMARK(BM_AddOneToUrlPatterns)->Unit(benchmark::kMillisecond)->Arg(10)->Arg(1000);

}  // namespace
}  // namespace sluice::rules
