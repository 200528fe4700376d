// Any policy, JSON or Intercept's YAML: parsing, compiling, explaining, warning and deciding never crash; errors say
// something; what was parsed, printed and parsed again decides the same; and so does what Intercept's YAML can say.
// Input: a policy, a NUL, arguments.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/engine.h"
#include "policy/explain.h"
#include "policy/intercept.h"
#include "policy/memory_store.h"

namespace {

using namespace sluice::policy;

bool same(const Decision& a, const Decision& b) {
  return a.verdict == b.verdict && a.rule == b.rule && a.message == b.message && a.uses.size() == b.uses.size();
}

std::shared_ptr<const Engine> compile(Document document) {
  auto engine = Engine::compile(std::move(document));
  if (!engine) std::abort();  // what parses compiles
  return *std::move(engine);
}

// What is written in Intercept's format is read again, and says the same as often as one likes.
void check_yaml(const Document& document) {
  const Written first = to_intercept(document);
  if (first.yaml.empty() == first.refused.empty()) std::abort();
  if (first.yaml.empty()) return;
  const Parsed read = parse_policy(first.yaml);
  if (!read.document || to_intercept(*read.document).yaml != first.yaml) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const Parsed parsed = parse_policy(input.substr(0, end));
  if (!parsed.document) {
    if (parsed.errors.empty()) std::abort();
    for (const Problem& problem : parsed.errors) {
      if (problem.message.empty() || problem.line == 0) std::abort();
    }
    return 0;
  }
  const KnownTool tools[] = {{"t", RiskClass::kRead, {"a", "b"}}};
  (void)explain(*parsed.document);
  (void)lint(*parsed.document, tools);
  (void)unenforced(*parsed.document);
  check_yaml(*parsed.document);
  Parsed again = parse_policy(dump_source(parsed.document->source, sluice::JsonStyle::kIndented));
  if (!again.document) std::abort();
  const auto first = compile(*parsed.document), second = compile(*std::move(again.document));
  if (first->revision() != second->revision()) std::abort();
  auto source = parse_source(end == std::string_view::npos ? "{}" : input.substr(end + 1));
  if (!source || !source->is(Node::Kind::kObject)) source = parse_source("{}");
  const sluice::Json arguments = to_json(*source);
  const Spellings spellings = spellings_of(*source, arguments);
  for (const std::string_view tool : {"t", "srv__x"}) {
    const auto risk = tool == "t" ? std::optional(RiskClass::kRead) : std::nullopt;
    if (first->judge_name(tool, risk) != second->judge_name(tool, risk)) std::abort();
    const Call call{.tool = tool, .risk = risk, .arguments = arguments, .spellings = &spellings};
    const Decision decision = first->decide(call);
    if (!same(decision, second->decide(call))) std::abort();
    if (decision.verdict != Verdict::kAllow && decision.rule.empty()) std::abort();
    MemoryStore store;
    if (!store.reserve(decision.uses, sluice::WallTime(std::chrono::hours(480'000)))) std::abort();
  }
  return 0;
}
