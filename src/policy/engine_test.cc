// Precedence, names, rule ids and messages. gate.md 3, policy.md 1.5, 1.9.
#include "policy/engine.h"

#include "policy/memory_store.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

TEST(Names, HiddenUnlistedAndListed) {
  const auto engine = make_engine(R"({"version":"1","default":"deny","hide":["secret_*","gone"],
      "risk":{"srv__read_*":"read","srv__*":"destructive","srv__read_all":"financial"},
      "tools":{"exact":{},"pre_*":{},"risk:read":{},"risk:financial":{},"gone":{}}})");
  const auto name = [&](std::string_view tool, std::optional<RiskClass> risk = RiskClass::kWrite) {
    return engine->judge_name(tool, risk);
  };
  EXPECT_EQ(name("exact"), NameAnswer::kListed);
  EXPECT_EQ(name("pre_x"), NameAnswer::kListed);
  EXPECT_EQ(name("other"), NameAnswer::kUnlisted);
  EXPECT_EQ(name("other", RiskClass::kRead), NameAnswer::kListed) << "its class has an entry";
  EXPECT_EQ(name("gone"), NameAnswer::kHidden) << "an entry does not undo hide";
  EXPECT_EQ(name("secret_read", RiskClass::kRead), NameAnswer::kHidden);
  EXPECT_EQ(name("srv__read_one", std::nullopt), NameAnswer::kUnlisted) << "the strictest matching pattern counts";
  EXPECT_EQ(name("srv__read_all", std::nullopt), NameAnswer::kListed) << "an exact name before patterns";
  EXPECT_EQ(name("foreign", std::nullopt), NameAnswer::kUnlisted) << "no class entry allows the unclassified";
  EXPECT_EQ(decide(*engine, "other").rule, "(default deny)");
  EXPECT_EQ(decide(*engine, "other").message, "Tool \"other\" is not permitted by policy");
  EXPECT_EQ(decide(*engine, "gone").rule, "(hidden)");
  EXPECT_EQ(decide(*engine, "gone").message, "Tool \"gone\" is hidden by policy");
}

TEST(Names, A5AreComparedOctetByOctet) {
  const auto engine = make_engine(R"({"version":"1","default":"deny","tools":{"Tool":{},"*_x":{}}})");
  EXPECT_EQ(engine->judge_name("tool", RiskClass::kRead), NameAnswer::kUnlisted);
  EXPECT_EQ(engine->judge_name("Tool ", RiskClass::kRead), NameAnswer::kUnlisted);
  EXPECT_EQ(engine->judge_name("a_x", RiskClass::kRead), NameAnswer::kListed);
  EXPECT_EQ(engine->judge_name("_xy", RiskClass::kRead), NameAnswer::kUnlisted);
  EXPECT_TRUE(matches_name("*", "") && matches_name("a*b*c", "aXbYbZc") && !matches_name("a*b", "aXc"));
}

TEST(Precedence, AnExactEntryLiftsNothing) {
  const auto engine = make_engine(R"({"version":"1","default":"allow","tools":{
      "t":{}, "*":{"deny_if":[{"conditions":[{"path":"args.n","op":"gt","value":5}],"on_deny":"by pattern"}]},
      "risk:write":{"deny_if":[{"conditions":[{"path":"args.n","op":"gt","value":3}],"on_deny":"by class"}]}}})");
  EXPECT_EQ(decide(*engine, "t", R"({"n":6})").message, "by pattern");
  EXPECT_EQ(decide(*engine, "t", R"({"n":4})").message, "by class");
  EXPECT_EQ(decide(*engine, "t", R"({"n":4})").rule, "/tools/risk:write/deny_if/args.n-gt");
  EXPECT_EQ(decide(*engine, "t", R"({"n":4})", RiskClass::kRead).verdict, Verdict::kAllow);
  EXPECT_EQ(decide(*engine, "t", R"({"n":4})", std::nullopt).message, "by class")
      << "every class holds for the unclassified";
}

TEST(Precedence, ADenialBeforeApprovalBeforeLimits) {
  const auto engine = make_engine(R"({"version":"1","default":"deny","tools":{
      "t":{"require_approval":{"when":[{"path":"args.n","op":"gte","value":1}],"message":"Ask."},
           "limits":[{"counter":"c","window":"minute","max":1}]},
      "t*":{"deny_if":[{"conditions":[{"path":"args.n","op":"gte","value":2}]}]}}})");
  EXPECT_EQ(decide(*engine, "t", R"({"n":2})").verdict, Verdict::kDeny);
  const Decision asked = decide(*engine, "t", R"({"n":1})");
  EXPECT_EQ(asked.verdict, Verdict::kAskPerson);
  EXPECT_EQ(asked.rule, "/tools/t/require_approval");
  EXPECT_EQ(asked.approval->message, "Ask.");
  const Decision allowed = decide(*engine, "t", R"({"n":0})");
  EXPECT_EQ(allowed.verdict, Verdict::kAllow);
  EXPECT_EQ(allowed.uses.size(), 1u);
  EXPECT_EQ(decide(*engine, "t", R"({"n":"2"})").verdict, Verdict::kDeny);
}

TEST(Precedence, EveryEntryThatAsksForAPersonCounts) {
  const auto engine = make_engine(R"({"version":"1","default":"deny","tools":{
      "t":{"require_approval":{"timeout":"10m","wait":"5s","approvers":["caller"]}},
      "t*":{"require_approval":{"timeout":"1h","approvers":["admin","caller"],"message":"Second."}},
      "u":{"require_approval":{"approvers":["caller"]}},
      "risk:destructive":{"require_approval":{"when":[{"path":"args.n","op":"gt","value":1}],"timeout":"5m"}}}})");
  const Decision both = decide(*engine, "t", "{}");
  EXPECT_EQ(both.rule, "/tools/t/require_approval");
  EXPECT_EQ(both.approval->timeout, std::chrono::minutes(10));
  EXPECT_EQ(both.approval->wait, std::chrono::seconds(0));
  EXPECT_EQ(both.approval->message, "Second.");
  EXPECT_TRUE(both.approval->caller);
  EXPECT_NE(both.approval->rules, decide(*engine, "u", "{}").approval->rules);
  const Decision all = decide(*engine, "t", R"({"n":2})", RiskClass::kDestructive);
  EXPECT_FALSE(all.approval->caller) << "one of them says admin";
  EXPECT_EQ(all.approval->timeout, std::chrono::minutes(5));
}

TEST(Rules, AllOfRequireAndAnyOfDenyIf) {
  const auto engine = make_engine(policy_of(R"({
      "require":[{"conditions":[{"path":"args.a","op":"exists","value":true},{"path":"args.b","op":"eq","value":1}]},
                 {"conditions":[{"path":"args.c","op":"neq","value":"x"}],"on_deny":"not x"}],
      "deny_if":[{"conditions":[{"path":"args.d","op":"eq","value":1},{"path":"args.e","op":"eq","value":1}]},
                 {"conditions":[{"path":"args.f","op":"eq","value":1}],"any_of":[[{"path":"args.g","op":"eq","value":1}],
                                [{"path":"args.h","op":"eq","value":1}]]},
                 {"any_of":[[{"path":"args.i","op":"eq","value":1}],[{"path":"args.j","op":"eq","value":1}]]}]})"));
  const std::pair<std::string_view, std::string_view> rows[] = {
      {R"({"a":1,"b":1,"c":"y"})", ""},
      {R"({"b":1,"c":"y"})", "/tools/t/require/args.a-exists"},
      {R"({"a":1,"b":2,"c":"y"})", "/tools/t/require/args.b-eq"},
      {R"({"a":1,"b":1,"c":"x"})", "/tools/t/require/args.c-neq"},
      {R"({"a":1,"b":1})", "/tools/t/require/args.c-neq"},
      {R"({"a":1,"b":1,"c":"y","d":1})", ""},
      {R"({"a":1,"b":1,"c":"y","d":1,"e":1})", "/tools/t/deny_if/args.d-eq"},
      {R"({"a":1,"b":1,"c":"y","f":1})", ""},
      {R"({"a":1,"b":1,"c":"y","f":1,"h":1})", "/tools/t/deny_if/args.f-eq"},
      {R"({"a":1,"b":1,"c":"y","j":1})", "/tools/t/deny_if/args.j-eq"}};
  for (const auto& [arguments, rule] : rows) EXPECT_EQ(decide(*engine, "t", arguments).rule, rule) << arguments;
  EXPECT_EQ(decide(*engine, "t", R"({"a":1,"b":1,"c":"x"})").message, "not x");
  EXPECT_EQ(decide(*engine, "t", "{}").message, "Denied by rule \"/tools/t/require/args.a-exists\"");
}

TEST(Rules, IdsAreEscapedAndUnique) {
  const auto engine = make_engine(R"({"version":"1","default":"deny","tools":{"a/b~c":{
      "deny_if":[{"conditions":[{"path":"args.n","op":"eq","value":1}]},{"conditions":[{"path":"args.n","op":"eq","value":2}]},
                 {"conditions":[{"path":"args[\"x/y\"][*]","op":"eq","value":2}]},{"conditions":[]}]}}})");
  EXPECT_EQ(decide(*engine, "a/b~c", R"({"n":1})").rule, "/tools/a~1b~0c/deny_if/args.n-eq");
  EXPECT_EQ(decide(*engine, "a/b~c", R"({"n":2})").rule, "/tools/a~1b~0c/deny_if/args.n-eq#2");
  EXPECT_EQ(decide(*engine, "a/b~c", R"({"x/y":[2]})").rule, "/tools/a~1b~0c/deny_if/args[\"x~1y\"][*]-eq");
  EXPECT_EQ(decide(*engine, "a/b~c", "{}").rule, "/tools/a~1b~0c/deny_if/3");
}

TEST(Limits, A15AmountsComeFromArgumentsAndWhatIsNoneDenies) {
  const auto engine =
      make_engine(policy_of(R"({"limits":[{"counter":"spent","window":"day","max":100,"increment_from":"args.n"}]})"));
  EXPECT_EQ(decide(*engine, "t", R"({"n":2.5})").uses[0].amount, 2'500'000);
  EXPECT_EQ(decide(*engine, "t", R"({"n":0})").uses[0].amount, 0);
  for (const char* bad :
       {"{}", R"({"n":null})", R"({"n":-1})", R"({"n":"5"})", R"({"n":1e400})", R"({"n":1e30})", R"({"n":[1]})"}) {
    const Decision decision = decide(*engine, "t", bad);
    EXPECT_EQ(decision.verdict, Verdict::kDeny) << bad;
    EXPECT_EQ(decision.rule, "/tools/t/limits/spent");
  }
}

TEST(Limits, AreThoseOfEveryEntryAndOfAllTools) {
  const auto engine = make_engine(
      R"({"version":"1","default":"allow","all_tools":{"limits":[{"counter":"calls","window":"hour","max":9}]},
      "tools":{"t":{"limits":[{"counter":"c","window":"minute","max":1}]},"t*":{"limits":[{"counter":"c","window":"minute","max":5,"scope":"all"}]}}})");
  const Decision decision = decide(*engine, "t");
  ASSERT_EQ(decision.uses.size(), 3u);
  EXPECT_NE(decision.uses[0].key, decision.uses[1].key);
  EXPECT_EQ(*decision.limit_rules[2], "/all_tools/limits/calls");
  MemoryStore store;
  FakeClock clock;
  ASSERT_TRUE(std::holds_alternative<Reservation>(*store.reserve(decision.uses, clock.wall())));
  const auto again = *store.reserve(decision.uses, clock.wall());
  const Decision denied = Engine::limit_reached(decision, std::get<LimitReached>(again));
  EXPECT_EQ(denied.rule, "/tools/t/limits/c");
  EXPECT_EQ(denied.message,
            "Rate limit exceeded for c: at most 1 a minute; this window ends at 2023-11-14T22:14:00.000Z");
  EXPECT_EQ(decide(*engine, "unlisted").uses.size(), 1u) << "all_tools counts tools that are not named";
  const LimitReached of_all{2, 0, clock.wall()};
  EXPECT_NE(Engine::limit_reached(decision, of_all).message.find("at most 9 an hour; "), std::string::npos);
}

TEST(Secrets, AreShownOnlyWhereThePolicySaysRaw) {
  const char* show = R"({"show_secrets":true})";
  EXPECT_EQ(decide(*make_engine(policy_of("{}")), "t", show).rule, "/tools/t/result/raw");
  EXPECT_EQ(decide(*make_engine(policy_of("{}")), "t", R"({"show_secrets":false})").verdict, Verdict::kAllow);
  EXPECT_EQ(decide(*make_engine(policy_of(R"({"result":{"raw":true}})")), "t", show).verdict, Verdict::kAllow);
  const auto both = make_engine(
      R"({"version":"1","default":"allow","tools":{"*":{"result":{"raw":true}},"risk:write":{"result":{"raw":false}}}})");
  EXPECT_EQ(decide(*both, "t", show).rule, "/tools/risk:write/result/raw");
  EXPECT_EQ(decide(*both, "t", show, RiskClass::kRead).verdict, Verdict::kAllow);
  EXPECT_EQ(decide(*make_engine(policy_of("{}")), "t", show, std::nullopt).verdict, Verdict::kAllow)
      << "a foreign tool's own matter";
}

TEST(Methods, H16AreClosedByDefaultUnderDefaultDeny) {
  const auto closed = make_engine(R"({"version":"1","default":"deny","methods":{"resources/read":"allow"}})");
  EXPECT_TRUE(closed->allows_method("resources/read"));
  EXPECT_FALSE(closed->allows_method("resources/list"));
  EXPECT_TRUE(closed->allows_method("tools/list"));
  const auto open = make_engine(R"({"version":"1","default":"allow","methods":{"prompts/get":"deny"}})");
  EXPECT_TRUE(open->allows_method("resources/list"));
  EXPECT_FALSE(open->allows_method("prompts/get"));
}

TEST(Revision, FollowsTheContentNotTheBlanks) {
  const auto one = make_engine(R"({"version":"1","default":"deny"})");
  EXPECT_EQ(one->revision(), make_engine("{ \"version\": \"1\",\n\"default\": \"deny\" }")->revision());
  EXPECT_NE(one->revision(), make_engine(R"({"version":"1","default":"allow"})")->revision());
  EXPECT_LT(one->revision(), std::uint64_t{1} << 48);
}

}  // namespace
}  // namespace sluice::policy
