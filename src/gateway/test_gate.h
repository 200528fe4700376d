// A whole gate in memory for tests: fake engine and disk, real ring and rules, some tools made for the test.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "base/fake_file.h"
#include "base/text.h"
#include "gateway/dispatcher.h"
#include "gateway/test_run.h"
#include "tools/fake_engine.h"

namespace sluice::gateway {

// Says no to what its name says.
class TestPolicy final : public Policy {
 public:
  bool may_see(const Caller&, std::string_view, std::string_view name, std::optional<tools::Risk>) const override {
    return name != hidden;
  }
  Decision judge_method(const Caller&, std::string_view method) const override {
    Decision decision;
    decision.allow = method != closed;
    decision.would_deny = method == observed;
    return decision;
  }
  Decision judge_name(const Caller&, std::string_view, std::string_view name,
                      std::optional<tools::Risk>) const override {
    Decision decision;
    if (name == hidden) decision = {.allow = false, .rule = "(hidden)", .as_unknown = true};
    return decision;
  }
  Decision decide(const Subject& subject) override {
    Decision decision;
    decision.revision = 7;
    if (subject.name == denied) {
      decision.allow = false;
      decision.rule = "/tools/x/deny_if/0";
      decision.message = "not today";
    }
    if (subject.name == asked) {
      ++asks;
      decision.allow = false;
      decision.pending = PendingApproval{"apr_1", 0, std::chrono::seconds(60), "waits", "may it?", question, decided};
      return decision;
    }
    decision.reserved.parts.push_back({"key", 0, 1, 1, 1});
    return decision;
  }
  Withdraw decide_later(const Subject& subject, Decided told) override {
    if (!later) return Policy::decide_later(subject, std::move(told));
    in_flight.push_back(subject.in_flight);
    undecided.push_back([this, subject, told = std::move(told)] { told(decide(subject)); });
    return [this] {
      ++withdrawn;
      undecided.clear();
    };
  }
  bool take_answer(const Subject&, std::string_view state, const Json& responses) override {
    taken = {std::string(state), responses};
    asked.clear();
    return true;
  }
  void give_back(policy::Reservation& reserved) override {
    given_back += !reserved.parts.empty();
    reserved.parts.clear();
  }
  std::optional<std::int64_t> decisions() override { return decided; }
  Pins pins(const Caller&) const override { return pinned; }
  std::string hidden, denied, closed, asked;
  std::string observed;                // a method that passes only because nothing is enforced
  std::string question;                // the state of what the caller's user is asked; empty: it is not
  std::pair<std::string, Json> taken;  // that, and what the user said
  int given_back = 0, asks = 0;
  std::optional<std::int64_t> decided;
  Pins pinned = Pins::kOff;
  bool later = false;  // whoever calls one of these decides
  std::vector<std::function<void()>> undecided;
  std::vector<std::size_t> in_flight;
  int withdrawn = 0;
};

// What the test tools leave behind.
struct Traces {
  std::atomic<int> runs{0};
  std::atomic<bool> stopped{false};
};
inline Traces& traces() {
  static Traces one;  // reached from plain functions
  return one;
}

inline tools::ToolResult echo_tool(const Json& arguments, tools::CallContext& context) {
  ++traces().runs;
  return Json{{"text", arguments.value("text", "")}, {"grant", context.grant}};
}
inline tools::ToolResult failing_tool(const Json&, tools::CallContext&) { return fail(Code::kConflict, "Error: no."); }
inline tools::ToolResult throwing_tool(const Json&, tools::CallContext&) { throw std::logic_error("a bug"); }
inline tools::ToolResult waiting_tool(const Json&, tools::CallContext& context) {
  ++traces().runs;
  double step = 0;
  while (!context.stop.stop_requested()) {
    if (context.progress) context.progress(++step, 100, "waiting");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // it is the cancellation that ends this, not the time
  }
  traces().stopped = true;
  return fail(Code::kCancelled, "The call was cancelled.");
}

inline std::vector<tools::Tool> test_tools() {
  using tools::Risk;
  std::vector<tools::Tool> tools = tools::all_tools();
  const std::vector<tools::Field> text = {{.name = "text", .meaning = "", .default_value = ""}};
  tools.push_back({.name = "echo",
                   .title = "Echo",
                   .summary = "Says it again.",
                   .group = "test",
                   .risk = Risk::kRead,
                   .fields = text,
                   .result = {{"text", "string", ""}, {"grant", "string", ""}},
                   .function = echo_tool});
  tools.push_back(
      {.name = "slow_echo",
       .title = "Echo",
       .summary = "Later.",
       .group = "test",
       .risk = Risk::kWrite,
       .hints = tools::kSlow | tools::kReturnsTraffic,
       .fields = {text[0], {.name = "show_secrets", .type = tools::FieldType::kBoolean, .default_value = false}},
       .result = {{"text", "string", ""}, {"grant", "string", ""}},
       .function = echo_tool});
  tools.push_back({.name = "failing",
                   .title = "Fails",
                   .summary = "Fails.",
                   .group = "test",
                   .risk = Risk::kRead,
                   .function = failing_tool});
  tools.push_back({.name = "throwing",
                   .title = "Throws",
                   .summary = "Throws.",
                   .group = "test",
                   .risk = Risk::kRead,
                   .hints = tools::kSlow,
                   .function = throwing_tool});
  tools.push_back({.name = "waiting",
                   .title = "Waits",
                   .summary = "Waits to be stopped.",
                   .group = "test",
                   .risk = Risk::kRead,
                   .hints = tools::kSlow,
                   .function = waiting_tool});
  return tools;
}

class TestGate {
 public:
  explicit TestGate(DispatcherLimits limits = {}) {
    traces().runs = 0;
    traces().stopped = false;
    disk.add_directory("/home");
    audit =
        *AuditLog::create(disk, clock, entropy, {.directory = "/home/audit", .key_file = "/home/audit.key", .pid = 42});
    dispatcher.emplace(DispatcherDeps{io.get_executor(), clock, entropy, &services, registry, policy, presenter, *audit,
                                      [this](std::string_view) { ++bugs; }},
                       limits);
  }

  // Runs the control thread until the condition holds.
  template <class Condition>
  bool run_until(Condition condition) {
    return gateway::run_until(io, std::move(condition));
  }

  Result<Json> call(mcp::OperationBody operation, Caller caller = {}) {
    std::optional<Result<Json>> answer;
    dispatcher->call(caller, std::move(operation), {}, [&](Result<Json> got) { answer = std::move(got); });
    EXPECT_FALSE(answer) << "completions come later";
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    return answer ? *std::move(answer) : fail(Code::kInternal, "no answer");
  }
  Result<Json> call_tool(std::string name, Json arguments = Json::object(), Caller caller = {}) {
    return call(mcp::CallTool{std::move(name), std::move(arguments), {}}, std::move(caller));
  }
  // How many the audit has counted under this rule. Control thread.
  std::uint64_t counted(std::string_view rule) {
    dispatcher->each_second();
    std::uint64_t count = 0;
    for (const Json& line : audit_lines()) {
      if (line["type"] == "denials" && line["rule"] == rule) count += line["count"].get<std::uint64_t>();
    }
    return count;
  }
  std::vector<Json> audit_lines() const {
    std::vector<Json> lines;
    const std::string content = *disk.content(audit->path());
    for (const std::string_view line : split(content, '\n')) {
      if (!line.empty()) lines.push_back(*parse_json(line));
    }
    return lines;
  }

  boost::asio::io_context io;
  SystemClock clock;
  SeededEntropy entropy{7};
  FakeFileSystem disk;
  tools::FakeEngine engine;
  rules::RuleStore rules{clock};
  capture::Ring ring{capture::Ring::Options{{}, "/home/spool/1", 1}, disk, clock, entropy};
  std::shared_ptr<const tls::CertificateAuthority> authority = *tls::CertificateAuthority::create(clock, entropy);
  tools::Adoptions adoptions;
  tools::Services services{clock,
                           engine,
                           ring,
                           rules,
                           authority,
                           "/home/ca/ca-cert.pem",
                           tools::StartMode::kOpen,
                           {},
                           {},
                           std::chrono::milliseconds(10),
                           "/home/sessions",
                           &adoptions};
  Registry registry{tools::Toolset::kAll, test_tools()};
  TestPolicy policy;
  Redactor redactor{entropy};
  McpLimits limits;
  Presenter presenter{redactor, limits};
  std::unique_ptr<AuditLog> audit;
  std::atomic<int> bugs{0};
  std::optional<Dispatcher> dispatcher;
};

// content[0].text of a CallToolResult.
inline std::string text_of(const Result<Json>& result) {
  if (!result) return "error: " + result.error().message;
  return (*result)["content"][0]["text"].get<std::string>();
}

}  // namespace sluice::gateway
