#include "policy/intercept.h"

#include <algorithm>

#include "policy/memory_store.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

// As one finds them: rules of each kind, a shared rate, a cap that adds up an argument.
constexpr std::string_view kShop = R"(version: "1"
description: "shop"
default: allow
hide:
  - transfer_account
tools:
  create_charge:
    rules:
      - name: "largest charge"
        conditions:
          - path: "args.amount"
            op: "lte"
            value: 500
        on_deny: "At most 5.00."
      - name: "a day's charges"
        conditions:
          - path: "state.create_charge.spent"
            op: "lt"
            value: 1001
        state:
          counter: "spent"
          window: "day"
          increment_from: "args.amount"
      - name: "currencies"
        conditions:
          - path: args.currency
            op: in
            value: [usd, eur]
  delete_customer:
    rules:
      - name: "no deleting"
        action: deny
  list_customers:
    rules: []
  "*":
    rules:
      - name: "all calls"
        rate_limit: 3/minute
      - name: "who"
        conditions:
          - {path: args.who, op: exists, value: true}
)";

std::string problems(const std::vector<Problem>& list) {
  std::string out;
  for (const Problem& one : list) out += to_string(one, "p") + "\n";
  return out;
}

std::string refusal(std::string_view yaml) {
  const Parsed parsed = parse_policy(yaml);
  return parsed.document ? "taken" : problems(parsed.errors);
}

// A whole policy around the rules of tool `t`.
std::string with_rules(std::string_view rules, std::string_view tool = "t") {
  return "version: \"1\"\ndefault: deny\ntools:\n  " + std::string(tool) + ":\n    rules:\n" + std::string(rules);
}

std::string allowed(const Engine& engine, std::string_view tool, std::string_view arguments) {
  const Decision decision = decide(engine, tool, arguments, std::nullopt);
  return decision.verdict == Verdict::kAllow ? "allowed" : decision.rule + ": " + decision.message;
}

TEST(Intercept, AWholePolicyIsTakenAndDecides) {
  const auto engine = make_engine(kShop);
  ASSERT_TRUE(engine);
  EXPECT_EQ(allowed(*engine, "create_charge", R"({"amount":500,"currency":"usd","who":"x"})"), "allowed");
  EXPECT_EQ(allowed(*engine, "create_charge", R"({"amount":501,"currency":"usd","who":"x"})"),
            "/tools/create_charge/require/args.amount-lte: At most 5.00.");
  EXPECT_EQ(allowed(*engine, "create_charge", R"({"amount":5,"currency":"gbp","who":"x"})"),
            "/tools/create_charge/require/args.currency-in: Denied by rule \"currencies\"");
  EXPECT_EQ(allowed(*engine, "create_charge", R"({"amount":5,"currency":"usd"})"),
            "/tools/*/require/args.who-exists: Denied by rule \"who\"");
  EXPECT_EQ(allowed(*engine, "delete_customer", R"({"who":"x"})"),
            "/tools/delete_customer/deny_if/0: Denied by rule \"no deleting\"");
  EXPECT_EQ(allowed(*engine, "list_customers", R"({"who":"x"})"), "allowed");
  EXPECT_EQ(allowed(*engine, "transfer_account", R"({"who":"x"})"),
            "(hidden): Tool \"transfer_account\" is hidden by policy");
}

TEST(Intercept, ItsCountersCountAsTheyDidThere) {
  const auto engine = make_engine(kShop);
  MemoryStore store;
  const WallTime now{std::chrono::hours(480'000)};
  const auto fits = [&](std::string_view tool, std::string_view arguments, std::string_view grant) {
    const Spelled spelled(arguments);
    const Decision decision = engine->decide({.grant = grant, .server = "s", .tool = tool, .arguments = spelled.json});
    const auto reserved = store.reserve(decision.uses, now);
    return decision.verdict == Verdict::kAllow && std::holds_alternative<Reservation>(*reserved);
  };
  // `lt 1001` of an amount: 1000 fit in a day, whoever calls; and three calls of anything in a minute.
  EXPECT_TRUE(fits("create_charge", R"({"amount":500,"currency":"usd","who":"x"})", "a"));
  EXPECT_TRUE(fits("create_charge", R"({"amount":500,"currency":"usd","who":"x"})", "b"));
  EXPECT_FALSE(fits("create_charge", R"({"amount":1,"currency":"usd","who":"x"})", "a"));
  EXPECT_TRUE(fits("list_customers", R"({"who":"x"})", "a"));
  EXPECT_FALSE(fits("list_customers", R"({"who":"x"})", "a"));
}

TEST(Intercept, ItsWildcardDoesNotAllowWhatTheDefaultDenies) {
  const auto engine = make_engine(R"(version: "1"
default: deny
tools:
  a: {}
  "*":
    rules:
      - {name: who, conditions: [{path: args.who, op: exists, value: true}]}
      - {name: never on sundays, action: deny}
)");
  ASSERT_TRUE(engine);
  EXPECT_EQ(allowed(*engine, "b", R"({"who":1})"), "(default deny): Tool \"b\" is not permitted by policy");
  EXPECT_NE(allowed(*engine, "a", R"({"who":1})").find("/tools/a/deny_if/0"), std::string::npos);
  EXPECT_NE(allowed(*engine, "a", "{}").find("/tools/a/require/args.who-exists"), std::string::npos);
}

// A misspelt key was dropped there, and `default: deny` with it.
TEST(Intercept, H17UnknownKeysAreRefusedWithLinePathAndSuggestion) {
  EXPECT_EQ(refusal("version: \"1\"\ndefualt: deny\ntools: {}\n"),
            "p:1: needs \"default\": write `default: allow`, which is what Intercept does without it, or deny\n"
            "p:2: /defualt: unknown key \"defualt\", did you mean \"default\"?\n");
  EXPECT_NE(refusal(with_rules("      - {name: x, condition: []}\n"))
                .find("p:6: /tools/t/rules/0/condition: unknown key \"condition\", did you mean \"conditions\"?"),
            std::string::npos);
  EXPECT_NE(refusal("version: 1\ndefault: deny\n").find("p:1: /version: the version is the text \"1\""),
            std::string::npos);
  EXPECT_NE(refusal("version: \"1\"\ndefault: deny\napprovals: {url: x}\n").find("p:3: /approvals: where approvals"),
            std::string::npos);
  EXPECT_NE(refusal("a: [").find("not valid YAML: line 1"), std::string::npos);
  EXPECT_NE(refusal("just text").find("expected an object"), std::string::npos);
}

TEST(Intercept, EveryMistakeThatItsOwnCheckNamesIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"      - {action: deny}\n", "a rule needs a name"},
      {"      - {name: x, action: dney}\n", "did you mean \"deny\""},
      {"      - {name: x, action: deny, conditions: [{path: args.a, op: eq, value: 1}]}\n",
       "action: deny excludes conditions"},
      {"      - {name: x}\n", "needs at least one condition"},
      {"      - {name: x, conditions: [{path: arg.a, op: eq, value: 1}]}\n", "begins with args. or state."},
      {"      - {name: x, conditions: [{path: args.a, op: equals, value: 1}]}\n", "/op: "},
      {"      - {name: x, conditions: [{path: args.a, op: host_in, value: [a]}]}\n", "/op: "},
      {"      - {name: x, conditions: [{path: args.a, op: in, value: 1}]}\n", "/value: "},
      {"      - {name: x, conditions: [{path: args.a, op: lt, value: \"1\"}]}\n", "/value: "},
      {"      - {name: x, conditions: [{path: args.a, op: exists, value: \"true\"}]}\n", "/value: "},
      {"      - {name: x, conditions: [{path: args.a, op: regex, value: \"(\"}]}\n", "/value: "},
      {"      - {name: x, conditions: [{path: args.a, op: eq}]}\n", "a condition needs \"value\""},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: 1}], state: {counter: \"\", window: day}}\n",
       "a counter needs a name"},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: 1}], state: {counter: c, window: week}}\n",
       "/window: "},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: 1}], state: {counter: c, window: day, "
       "increment_from: amount}}\n",
       "begins with args."},
      {"      - {name: x, conditions: [{path: state.t.d, op: lte, value: 1}], state: {counter: c, window: day}}\n",
       "reads a counter that this rule does not count"},
      {"      - {name: x, conditions: [{path: state.u.c, op: lte, value: 1}]}\n",
       "reads a counter that this rule does not count"},
      {"      - {name: x, conditions: [{path: state.t.c, op: gt, value: 1}], state: {counter: c, window: day}}\n",
       "bounded by lt or lte"},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: 1.5}], state: {counter: c, window: day}}\n",
       "a whole number"},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: -1}], state: {counter: c, window: day}}\n",
       "a whole number"},
      {"      - {name: x, conditions: [{path: args.a, op: eq, value: a}], state: {counter: c, window: day}}\n",
       "counts nothing"},
      {"      - {name: x, conditions: [{path: state.t.c, op: lte, value: 1}], state: {counter: c, window: day, "
       "increment: -1}}\n",
       "a whole number"},
      {"      - {name: x, rate_limit: 0/minute}\n", "expected a rate such as"},
      {"      - {name: x, rate_limit: 5/week}\n", "expected a rate such as"},
      {"      - {name: x, rate_limit: 5}\n", "expected a string"},
      {"      - {name: x, rate_limit: 5/day, state: {counter: c, window: day}}\n", "rate_limit excludes state"},
      {"      - {name: x, action: deny, rate_limit: 5/day}\n", "action: deny excludes rate_limit"},
      {"      - {name: x, rate_limit: 5/day}\n      - {name: y, rate_limit: 6/day}\n", "defined twice"},
      {"      - {name: x, spend: {daily: 5}, action: deny}\n", "spend cannot be said here"},
      {"      - {name: x, action: deny, approval_timeout: 5m}\n", "only with action: require_approval"},
      {"      - {name: x, action: require_approval}\n      - {name: y, action: require_approval}\n", "a second rule"},
  };
  for (const auto& [rules, wanted] : cases) {
    const std::string said = refusal(with_rules(rules));
    EXPECT_NE(said.find(wanted), std::string::npos) << rules << said;
  }
  EXPECT_NE(refusal(with_rules("", "a*")).find("a pattern would mean more"), std::string::npos);
  EXPECT_NE(refusal(with_rules("", "\"risk:read\"")).find("would mean a class"), std::string::npos);
  EXPECT_NE(refusal("version: \"1\"\ndefault: allow\nhide: [a, a]\n").find("twice"), std::string::npos);
  EXPECT_NE(refusal("version: \"1\"\ndefault: allow\nhide: [\" \"]\n").find("empty"), std::string::npos);
}

TEST(Intercept, OddNamesInPathsAreTheSameArguments) {
  const auto engine =
      make_engine(with_rules("      - {name: x, conditions: [{path: \"args.a[0].b\", op: eq, value: v}]}\n"));
  ASSERT_TRUE(engine);
  EXPECT_EQ(allowed(*engine, "t", R"({"a[0]":{"b":"v"}})"), "allowed");
  EXPECT_NE(allowed(*engine, "t", R"({"a":[{"b":"v"}]})"), "allowed");
}

TEST(Intercept, WhereTypesAreComparedInAnotherWayIsNoted) {
  const auto noted = [](std::string_view op, std::string_view value) {
    return parse_policy(with_rules("      - {name: x, conditions: [{path: args.a, op: " + std::string(op) +
                                   ", value: " + std::string(value) + "}]}\n"))
        .notes.size();
  };
  EXPECT_EQ(noted("eq", "100"), 1u);
  EXPECT_EQ(noted("eq", "\"100\""), 1u);
  EXPECT_EQ(noted("eq", "\"1e2\""), 1u);
  EXPECT_EQ(noted("neq", "true"), 1u);
  EXPECT_EQ(noted("in", "[a, 1]"), 1u);
  EXPECT_EQ(noted("contains", "\"<nil>\""), 1u);
  EXPECT_EQ(noted("eq", "main"), 0u);
  EXPECT_EQ(noted("in", "[usd, eur]"), 0u);
  EXPECT_EQ(noted("lte", "100"), 0u);
  EXPECT_EQ(noted("exists", "true"), 0u);
}

TEST(Intercept, AskingAPersonIsKept) {
  const auto engine =
      make_engine(with_rules("      - {name: big, action: require_approval, approval_timeout: 10m, conditions: [{path: "
                             "args.n, op: gt, value: 5}]}\n"));
  ASSERT_TRUE(engine);
  EXPECT_EQ(decide(*engine, "t", R"({"n":6})").verdict, Verdict::kAskPerson);
  EXPECT_EQ(decide(*engine, "t", R"({"n":6})").approval->timeout, std::chrono::minutes(10));
  EXPECT_EQ(decide(*engine, "t", R"({"n":5})").verdict, Verdict::kAllow);
}

TEST(Intercept, ThereAndBackSaysTheSame) {
  const Parsed first = parse_policy(kShop);
  ASSERT_TRUE(first.document);
  const Written written = to_intercept(*first.document);
  ASSERT_TRUE(written.refused.empty()) << problems(written.refused);
  const Parsed second = parse_policy(written.yaml);
  ASSERT_TRUE(second.document) << written.yaml << problems(second.errors);
  EXPECT_EQ(dump_source(second.document->source), dump_source(first.document->source)) << written.yaml;
  EXPECT_NE(written.yaml.find("rate_limit: \"3/minute\""), std::string::npos);
  EXPECT_NE(written.yaml.find("- name: \"currencies\""), std::string::npos);
  const Parsed json = parse_policy(dump_source(first.document->source, JsonStyle::kIndented));
  ASSERT_TRUE(json.document);
  EXPECT_EQ(dump_source(json.document->source), dump_source(first.document->source));
}

TEST(Intercept, WhatItCannotSayIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("mode":"monitor")", "mode"},
      {R"("hidden_reply":"unknown")", "hidden_reply"},
      {R"("risk":{"a":"read"})", "risk"},
      {R"("methods":{"prompts/get":"deny"})", "methods"},
      {R"("args":"closed")", "args"},
      {R"("pins":"enforce")", "pins"},
      {R"("own_only":true)", "own_only"},
      {R"("handles":true)", "handles"},
      {R"("egress":{"ports":[80]})", "egress"},
      {R"("max_in_flight":3)", "max_in_flight"},
      {R"("max_denials":{"window":"day","max":1})", "max_denials"},
      {R"("hide":["a*"])", "a pattern"},
      {R"("tools":{"a*":{}})", "a pattern"},
      {R"("tools":{"*":{}})", "a pattern"},
      {R"("tools":{"risk:read":{}})", "a class of tools"},
      {R"("tools":{"t":{"result":{"raw":true}}})", "result"},
      {R"("tools":{"t":{"require":[{"any_of":[[{"path":"args.a","op":"eq","value":1}]]}]}})", "any_of"},
      {R"("tools":{"t":{"require":[{"conditions":[{"path":"args.a[0]","op":"eq","value":1}]}]}})", "an index"},
      {R"("tools":{"t":{"require":[{"conditions":[{"path":"args.a","op":"host_in","value":["h"]}]}]}})", "host_in"},
      {R"("tools":{"t":{"deny_if":[{"conditions":[{"path":"args.a","op":"gt","value":1}]}]}})",
       "a condition of deny_if"},
      {R"("tools":{"t":{"require_approval":{"when":[{"path":"args.a","op":"gt","value":1}]}}})",
       "when a person is asked"},
      {R"("tools":{"t":{"require_approval":{"approvers":["caller"]}}})", "approvers"},
      {R"("tools":{"t":{"limits":[{"counter":"c","window":"day","max":1,"sliding":true}]}})", "sliding"},
      {R"("tools":{"t":{"limits":[{"counter":"c","window":"day","max":1,"scope":"all"}]}})", "the scope all"},
      {R"("tools":{"t":{"limits":[{"counter":"c","window":"day","max":1.5}]}})", "a fraction"},
      {R"("tools":{"a.b":{"limits":[{"counter":"c","window":"day","max":1}]}})", "a tool with a dot"},
  };
  for (const auto& [member, wanted] : cases) {
    const Parsed parsed = parse_policy(R"({"version":"1","default":"deny",)" + std::string(member) + "}");
    ASSERT_TRUE(parsed.document) << member << problems(parsed.errors);
    const Written written = to_intercept(*parsed.document);
    EXPECT_TRUE(written.yaml.empty()) << member;
    EXPECT_NE(problems(written.refused).find(wanted), std::string::npos) << member << problems(written.refused);
  }
}

TEST(Intercept, WhatMustNotHoldIsSaidWhereItIsTheSame) {
  const Parsed parsed = parse_policy(policy_of(
      R"({"deny_if":[{"conditions":[{"path":"args.a","op":"not_in","value":["x"]}]},{"conditions":[{"path":"args.b","op":"exists","value":true}]},
          {"conditions":[{"path":"args.c","op":"neq","value":"y"}],"on_deny":"y only"}],"limits":[{"counter":"c","window":"day","max":2,"increment":3}]})"));
  ASSERT_TRUE(parsed.document);
  const Written written = to_intercept(*parsed.document);
  ASSERT_TRUE(written.refused.empty()) << problems(written.refused);
  EXPECT_NE(problems(written.notes).find("counts all callers together"), std::string::npos);
  const auto before = *Engine::compile(*parsed.document), after = make_engine(written.yaml);
  ASSERT_TRUE(after);
  for (const char* arguments :
       {"{}", R"({"a":"x","c":"y"})", R"({"a":"z","c":"y"})", R"({"a":"x","c":"y","b":1})", R"({"a":"x"})",
        R"({"a":1,"c":"y"})", R"({"a":"x","c":null})", R"({"a":"x","c":["y"]})"}) {
    EXPECT_EQ(decide(*before, "t", arguments).verdict, decide(*after, "t", arguments).verdict) << arguments;
  }
}

TEST(Intercept, RulesForEveryToolDoNotMultiplyWithoutBound) {
  std::string text = "version: \"1\"\ndefault: deny\ntools:\n";
  for (int i = 0; i < 600; ++i) text += "  t" + std::to_string(i) + ": {}\n";
  text += "  \"*\":\n    rules:\n";
  for (int i = 0; i < 600; ++i) text += "      - {name: n, action: deny}\n";
  EXPECT_NE(refusal(text).find("too many rules for too many tools"), std::string::npos);
}

}  // namespace
}  // namespace sluice::policy
