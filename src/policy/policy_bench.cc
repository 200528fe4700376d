// One decision under a policy of 1,000 rules, of which 20 apply to the called tool: exact name, patterns and class,
// five of them regular expressions on 256-octet strings; 4 KiB of arguments. Wanted: a p99 under 20 µs.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "policy/engine.h"
#include "policy/memory_store.h"

namespace sluice::policy {
namespace {

std::string condition(std::string_view path, std::string_view op, std::string_view value) {
  return fmt::format(R"({{"conditions":[{{"path":"args.{}","op":"{}","value":{}}}]}})", path, op, value);
}

// 1,000 rules: 980 of 196 other tools, 49 of their entries patterns; 20 that apply to "called_tool".
std::string thousand_rules() {
  std::string tools;
  for (int i = 0; i < 196; ++i) {
    tools += fmt::format(R"("{}_{}{}":{{"deny_if":[{},{},{},{},{}]}},)", "other_tool", i, i % 4 == 0 ? "_*" : "",
                         condition("limit", "gt", "50"), condition("mode", "eq", "\"x\""),
                         condition("host", "in", R"(["a","b"])"), condition("text", "contains", "\"zz\""),
                         condition("path", "regex", "\"^/etc\""));
  }
  tools += fmt::format(
      R"("called_tool":{{"require":[{},{},{}],"deny_if":[{},{},{},{},{}]}},)",
      condition("mode", "in", R"(["dry_run","execute"])"), condition("text_0", "exists", "true"),
      condition("text_0", "regex", R"("^[a-z ]{1,400}$")"), condition("limit", "gt", "50"),
      condition("text_1", "regex", R"_("(secret|token)[0-9]+")_"), condition("text_2", "regex", R"("rm +-rf")"),
      condition("host", "not_in", R"(["a.example.com","b.example.com"])"), condition("amount", "gte", "1000.5"));
  tools += fmt::format(
      R"("called_*":{{"deny_if":[{},{},{},{},{},{}]}},)", condition("text_3", "regex", R"("BEGIN [A-Z]+ KEY")"),
      condition("text_4", "contains", "\"forbidden\""), condition("nested.deep.value", "eq", "\"no\""),
      condition("list[*]", "eq", "99"), condition("limit", "lt", "0"), condition("flag", "eq", "true"));
  tools += fmt::format(
      R"("risk:execute":{{"deny_if":[{},{},{},{},{},{}]}})", condition("text_5", "regex", R"("[0-9]{13,19}")"),
      condition("url", "host_in", R"(["*.internal.test"])"), condition("address", "cidr", R"(["10.0.0.0/8"])"),
      condition("file", "path_within", R"("/etc")"), condition("mode", "eq", "\"force\""), condition("n", "gt", "5"));
  return R"({"version":"1","default":"deny","tools":{)" + tools + "}}";
}

Json four_kib() {
  Json arguments{{"mode", "execute"},
                 {"limit", 10},
                 {"host", "a.example.com"},
                 {"amount", 12.5},
                 {"flag", false},
                 {"n", 1},
                 {"url", "https://www.example.com/some/path"},
                 {"address", "192.168.1.1"},
                 {"file", "/srv/data/file"},
                 {"nested", Json{{"deep", Json{{"value", "yes"}}}}},
                 {"list", Json::array({1, 2, 3, 4, 5, 6, 7, 8})}};
  for (int i = 0; i < 14; ++i) arguments[fmt::format("text_{}", i)] = std::string(256, static_cast<char>('a' + i));
  return arguments;
}

// Of this thread's own time: what other programs take from the processor is not ours.
double cpu_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

std::shared_ptr<const Engine> engine() { return *Engine::compile(*parse_policy(thousand_rules()).document); }

void Decide(benchmark::State& state) {
  const auto compiled = engine();
  const Json arguments = four_kib();
  std::vector<double> microseconds;
  microseconds.reserve(1 << 20);
  for (auto _ : state) {
    const double begin = cpu_microseconds();
    const Decision decision =
        compiled->decide({.tool = "called_tool", .risk = RiskClass::kExecute, .arguments = arguments});
    const double end = cpu_microseconds();
    if (decision.verdict != Verdict::kAllow) state.SkipWithError(decision.rule.c_str());
    if (microseconds.size() < microseconds.capacity()) {
      microseconds.push_back(end - begin);
    }
  }
  std::sort(microseconds.begin(), microseconds.end());
  state.counters["bytes"] = static_cast<double>(dump_json(arguments).size());
  state.counters["p50_us"] = microseconds[microseconds.size() / 2];
  state.counters["p99_us"] = microseconds[microseconds.size() * 99 / 100];
}
BENCHMARK(Decide)->MinTime(0.5);

void JudgeName(benchmark::State& state) {
  const auto compiled = engine();
  for (auto _ : state) benchmark::DoNotOptimize(compiled->judge_name("called_tool", RiskClass::kExecute));
}
BENCHMARK(JudgeName)->MinTime(0.1);

void Reserve(benchmark::State& state) {
  MemoryStore store;
  std::vector<LimitUse> uses(2);
  for (LimitUse& use : uses) use.max = INT64_MAX / 2;
  uses[0].key = "one";
  uses[1].key = "two";
  uses[1].sliding = true;
  const WallTime now(std::chrono::hours(480'000));
  for (auto _ : state) benchmark::DoNotOptimize(store.reserve(uses, now));
}
BENCHMARK(Reserve)->MinTime(0.1);

void ParseAndCompile(benchmark::State& state) {
  const std::string text = thousand_rules();
  for (auto _ : state) benchmark::DoNotOptimize(Engine::compile(*parse_policy(text).document));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(ParseAndCompile)->MinTime(0.1);

}  // namespace
}  // namespace sluice::policy
