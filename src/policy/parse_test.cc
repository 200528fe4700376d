#include <algorithm>

#include "policy/explain.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

// gate.md 3, "One complete example".
constexpr std::string_view kComplete =
    R"({ "version": "1", "description": "review bot", "default": "deny", "mode": "enforce",
  "hide": ["proxy_delete_session"], "hidden_reply": "denied",
  "risk": {"files__delete_file": "destructive", "files__read_*": "read"},
  "methods": {"resources/read": "allow", "prompts/get": "deny"},
  "args": "closed", "pins": "enforce", "own_only": true,
  "egress": {"host_in": ["*.example.com"], "ports": [80, 443], "cidr": ["10.0.0.0/8"]},
  "max_in_flight": 32, "max_denials": {"window": "minute", "max": 600},
  "all_tools": {"limits": [{"counter": "calls", "window": "hour", "max": 1000, "scope": "grant"}]},
  "tools": {
    "risk:read": {},
    "proxy_replay_session": {
      "require": [{"conditions": [{"path": "args.mode", "op": "in", "value": ["dry_run", "execute"]}]}],
      "deny_if": [{"any_of": [[{"path": "args.limit", "op": "gt", "value": 50}],
                              [{"path": "args[\"exchange_ids\"][*]", "op": "regex", "value": "^har_"}]], "on_deny": "too much"}],
      "require_approval": {"when": [{"path": "args.mode", "op": "eq", "value": "execute"}], "timeout": "30m", "approvers": ["admin"], "message": "Replay sends real requests."},
      "limits": [{"counter": "replays", "window": "minute", "sliding": true, "max": 10, "scope": "grant", "increment_from": "args.limit"}],
      "result": {"redact": [{"path": "$..token"}, {"pattern": "sk_live_[A-Za-z0-9]+"}], "block": [{"op": "contains", "value": "BEGIN PRIVATE KEY", "on_deny": "key in answer"}], "max_bytes": 200000, "raw": false} } } })";

TEST(Parse, TheCompleteExampleOfTheContractIsTakenWhole) {
  const Parsed parsed = parse_policy(kComplete);
  ASSERT_TRUE(parsed.document) << (parsed.errors.empty() ? "" : to_string(parsed.errors[0], "p"));
  const Document& document = *parsed.document;
  EXPECT_EQ(document.description, "review bot");
  EXPECT_EQ(document.hide[0].name, "proxy_delete_session");
  EXPECT_EQ(document.risk.size(), 2u);
  EXPECT_EQ(document.methods.size(), 2u);
  EXPECT_TRUE(document.closed_args && document.own_only && document.egress && document.pins == "enforce");
  EXPECT_EQ(document.egress->ports, (std::vector<std::uint16_t>{80, 443}));
  EXPECT_EQ(document.max_in_flight, 32u);
  EXPECT_EQ(document.max_denials->max, 600u);
  const Entry& replay = document.tools.at(1);
  EXPECT_EQ(replay.approval->timeout, std::chrono::minutes(30));
  EXPECT_TRUE(replay.limits[0].sliding);
  EXPECT_EQ(replay.limits[0].increment_from, "args.limit");
  EXPECT_EQ(replay.result->redact.size(), 2u);
  EXPECT_EQ(replay.result->max_bytes, 200'000u);
  EXPECT_EQ(replay.result->raw, false);
  EXPECT_TRUE(unenforced(document).empty());
  std::vector<std::string> refused;
  for (const Problem& problem : unenforced(document, Tools::kOthers)) refused.push_back(problem.path);
  EXPECT_EQ(refused, (std::vector<std::string>{"/egress"}));
}

TEST(Parse, TheCataloguesOneLinersAreTaken) {
  for (
      const char* text :
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"limits":[{"counter":"proxy_start_rate","window":"minute","max":10,"scope":"grant"}]}}})",
       R"({"version":"1","default":"allow","hide":["delete_account"],"all_tools":{"limits":[]},"tools":{"create_charge":{"require":[],"deny_if":[],"limits":[]}}})",
       R"({"version":"1","default":"deny","hide":["*"]})",
       R"({"version":"1","default":"deny","tools":{"create_refund":{"deny_if":[{"conditions":[],"on_deny":"Requires human approval."}]}}})"}) {
    EXPECT_TRUE(make_engine(text)) << text;
  }
}

TEST(Parse, AllErrorsAreSaidAtOnceWithLineAndPathAndSuggestion) {
  const Parsed parsed = parse_policy(
      "{\"version\": 1,\n \"defualt\": \"deny\",\n \"mode\": \"monitr\",\n \"tools\": {\n  \"a/b\": {\"limit\": []},\n"
      "  \"risk:reed\": {},\n  \"t\": {\"deny_if\": [{\"conditions\": [{\"path\": \"arg.x\", \"op\": \"gte\", "
      "\"value\": \"1\"},\n"
      "    {\"path\": \"args.x\", \"op\": \"equals\", \"value\": 1}]}],\n   \"limits\": [{\"counter\": \"c\", "
      "\"windw\": \"minute\", \"max\": -1}]}}}");
  EXPECT_FALSE(parsed.document);
  std::vector<std::string> said;
  for (const Problem& problem : parsed.errors) said.push_back(to_string(problem, "p"));
  const auto has = [&](std::string_view wanted) {
    return std::find_if(said.begin(), said.end(), [&](const std::string& one) { return one.starts_with(wanted); }) !=
           said.end();
  };
  EXPECT_TRUE(has("p:1: needs \"default\""));
  EXPECT_TRUE(has("p:1: /version: the version is the string \"1\""));
  EXPECT_TRUE(has("p:2: /defualt: unknown key \"defualt\", did you mean \"default\"?"));
  EXPECT_TRUE(has("p:3: /mode: unknown \"monitr\", did you mean \"monitor\"?"));
  EXPECT_TRUE(has("p:5: /tools/a~1b/limit: unknown key \"limit\", did you mean \"limits\"?"));
  EXPECT_TRUE(has("p:6: /tools/risk:reed: unknown class, did you mean \"risk:read\"?"));
  EXPECT_TRUE(has("p:7: /tools/t/deny_if/0/conditions/0/path: a path begins with args."));
  EXPECT_TRUE(has("p:7: /tools/t/deny_if/0/conditions/0/value: gte takes a number"));
  EXPECT_TRUE(has("p:8: /tools/t/deny_if/0/conditions/1/op: expected"));
  EXPECT_TRUE(has("p:9: /tools/t/limits/0/windw: unknown key \"windw\", did you mean \"window\"?"));
  EXPECT_TRUE(has("p:9: /tools/t/limits/0/max: expected a number"));
  EXPECT_TRUE(has("p:9: /tools/t/limits/0: a limit needs \"window\""));
}

TEST(Parse, RefusesWhatWouldNotMeanWhatItSays) {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"require":[{}]})", "needs \"conditions\""},
      {R"({"require":[{"any_of":[]}]})", "any_of needs a list"},
      {R"({"deny_if":[{"any_of":[[]]}]})", "always hold"},
      {R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":null}]}]})", "exists"},
      {R"({"deny_if":[{"conditions":[{"path":"args.a","op":"in","value":[]}]}]})", "not empty"},
      {R"({"deny_if":[{"conditions":[{"path":"args.a","op":"gt","value":1e999}]}]})", "finite"},
      {R"_({"deny_if":[{"conditions":[{"path":"args.a","op":"regex","value":"(?=x)"}]}]})_", "RE2"},
      {R"_({"deny_if":[{"conditions":[{"path":"args.a","op":"regex","value":"((((a{100}){100}){100}){100})"}]}]})_",
       "RE2"},
      {R"({"limits":[{"counter":"c","window":"minute","max":1},{"counter":"c","window":"minute","max":2}]})",
       "already"},
      {R"({"limits":[{"counter":" ","window":"minute","max":1}]})", "needs a name"},
      {R"({"limits":[{"counter":"c","window":"week","max":1}]})", "expected \"minute\""},
      {R"({"limits":[{"counter":"c","window":"day","max":1,"increment":1,"increment_from":"args.n"}]})", "exclude"},
      {R"({"limits":[{"counter":"c","window":"day","max":1,"increment":0}]})", "above 0"},
      {R"({"limits":[{"counter":"c","window":"day","max":1,"increment_from":"args.n[*]"}]})", "one argument"},
      {R"({"limits":[{"counter":"c","window":"day","max":1,"scope":"organisation"}]})", "grant"},
      {R"({"require_approval":{"timeout":"soon"}})", "30m"},
      {R"({"require_approval":{"wait":"60s"}})", "50 s"},
      {R"({"require_approval":{"approvers":["me"]}})", "admin"},
      {R"({"result":{"redact":[{"path":"$.a","pattern":"b"}]}})", "one of"},
      {R"({"rate_limit":{"max":1}})", "limits"},
      {R"({"rules":[]})", "require"},
  };
  for (const auto& [entry, wanted] : rows) {
    const Parsed parsed = parse_policy(policy_of(entry));
    ASSERT_FALSE(parsed.errors.empty()) << entry;
    bool said = false;
    for (const Problem& problem : parsed.errors) said |= problem.message.find(wanted) != std::string::npos;
    EXPECT_TRUE(said) << entry << "\n" << parsed.errors[0].message;
  }
  for (const char* whole :
       {"", "[]", "{", "nul", "{\"version\":\"1\",\"version\":\"1\",\"default\":\"deny\"}", "\xEF\xBB\xBF{}",
        "{\"version\":\"1\",\"default\":\"deny\"} x", "{\"version\":\"2\",\"default\":\"deny\"}",
        "{\"version\":\"1\",\"default\":\"deny\",\"hide\":[\"\"]}",
        "{\"version\":\"1\",\"default\":\"deny\",\"hide\":[\"risk:read\"]}",
        "{\"version\":\"1\",\"default\":\"deny\",\"hide\":[\"a\",\"a\"]}",
        "{\"version\":\"1\",\"default\":\"deny\",\"methods\":{\"initialize\":\"deny\"}}",
        "{\"version\":\"1\",\"default\":\"deny\",\"egress\":{\"ports\":[0]}}",
        "{\"version\":\"1\",\"default\":\"deny\",\"all_tools\":{\"limits\":[{\"counter\":\"c\",\"window\":\"day\","
        "\"max\":1,\"increment_from\":\"args.n\"}]}}"}) {
    EXPECT_FALSE(parse_policy(whole).errors.empty()) << whole;
  }
}

TEST(Parse, WhatIsPrintedIsReadTheSame) {
  const Parsed once = parse_policy(kComplete);
  for (const JsonStyle style : {JsonStyle::kCompact, JsonStyle::kIndented}) {
    Parsed twice = parse_policy(dump_source(once.document->source, style));
    ASSERT_TRUE(twice.document);
    EXPECT_EQ((*Engine::compile(*once.document))->revision(), (*Engine::compile(*twice.document))->revision());
  }
}

TEST(Source, ReadsStringsStrictly) {
  EXPECT_EQ(parse_source(R"("\u00e4\ud83d\ude00\n\/")")->text, "ä😀\n/");
  for (const char* bad : {R"("\ud83d")", R"("\ude00")", R"("\u12")", R"("\x")", "\"\t\"", "\"", "01", "1.", "1e", "-",
                          "+1", ".5", "[1,]", "{\"a\":1,}", "{a:1}", "NaN", "tru", "\xff", "1 2"}) {
    EXPECT_FALSE(parse_source(bad)) << bad;
  }
  EXPECT_FALSE(parse_source(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(parse_source(std::string(2 * kMiB, ' ')));
}

TEST(Lint, WarnsOfWhatIsRightButOdd) {
  const KnownTool tools[] = {{"proxy_start", RiskClass::kExecute, {"port"}}, {"proxy_status", RiskClass::kRead, {}}};
  const auto warnings = [&](std::string_view text) {
    Parsed parsed = parse_policy(text);
    std::string all;
    if (!parsed.document) return std::string("invalid");
    for (const Problem& problem : lint(*parsed.document, tools)) all += problem.path + ": " + problem.message + "\n";
    return all;
  };
  const std::pair<const char*, const char*> rows[] = {
      {R"({"version":"1","default":"deny"})", "allows no tool"},
      {R"({"version":"1","default":"allow","hide":["*"]})", "allows no tool"},
      {R"({"version":"1","default":"allow","hide":["proxy_strat"]})", "did you mean proxy_start?"},
      {R"({"version":"1","default":"deny","tools":{"proxy_strat":{}}})", "did you mean proxy_start?"},
      {R"({"version":"1","default":"deny","tools":{"prоxy_start":{}}})", "no tool has such a name"},
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"require":[{"conditions":[]}]}}})",
       "requires nothing"},
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"require":[{"conditions":[{"path":"args.port","op":"regex","value":"^8"}]}]}}})",
       "not anchored"},
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"deny_if":[{"conditions":[{"path":"args.port","op":"gt","value":8}]}]}}})",
       "an absent argument passes"},
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"deny_if":[{"conditions":[{"path":"args.prt","op":"exists","value":true}]}]}}})",
       "did you mean \"port\"?"},
      {R"({"version":"1","default":"deny","hide":["proxy_start"],"tools":{"proxy_start":{}}})", "hidden"},
      {R"({"version":"1","default":"allow","risk":{"proxy_start":"read"}})", "ignored"},
      {R"({"version":"1","default":"deny","tools":{"proxy_start":{"limits":[{"counter":"c","window":"day","max":0}]}}})",
       "never"},
  };
  for (const auto& [text, wanted] : rows)
    EXPECT_NE(warnings(text).find(wanted), std::string::npos) << text << warnings(text);
  EXPECT_EQ(
      warnings(R"({"version":"1","default":"deny","tools":{"risk:read":{},"proxy_*":{},"files__read":{},"proxy_start":{
      "require":[{"conditions":[{"path":"args.port","op":"exists","value":true}]}],
      "deny_if":[{"conditions":[{"path":"args.port","op":"gt","value":8}]}]}}})"),
      "");
}

TEST(Explain, SaysEachMemberInASentence) {
  std::string all;
  for (const std::string& line : explain(*parse_policy(kComplete).document)) all += line + "\n";
  for (const char* wanted :
       {"Tools that are not named here are denied.", "Hidden, and denied: proxy_delete_session.",
        "Tools of the class read: allowed.", "Only if mode is one of [\"dry_run\",\"execute\"].",
        "Not if limit is above 50, or [\"exchange_ids\"][*] matches \"^har_\": \"too much\".",
        "A person must approve if mode is \"execute\" (by admin, within 1800 s).",
        "At most 10 of args.limit in any minute, for each grant (replays).", "Secrets are never shown.",
        "At most 1000 calls in each UTC hour, for each grant (calls).", "The method prompts/get is closed."}) {
    EXPECT_NE(all.find(wanted), std::string::npos) << wanted << "\n" << all;
  }
}

TEST(Parse, HandlesAreForSluicesOwnToolsAndRawUndoesThem) {
  const Parsed parsed = parse_policy(
      R"({"version":"1","default":"allow","handles":true,"tools":{"risk:read":{"result":{"raw":true}},"a":{"result":{"raw":false}}}})");
  ASSERT_TRUE(parsed.document);
  EXPECT_TRUE(parsed.document->handles);
  EXPECT_TRUE(unenforced(*parsed.document).empty());
  const auto refused = unenforced(*parsed.document, Tools::kOthers);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].path, "/handles");
  EXPECT_NE(refused[0].message.find("answers are not masked"), std::string::npos);
  const auto warnings = lint(*parsed.document, {});
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].path, "/tools/risk:read/result/raw");
  std::string all;
  for (const std::string& line : explain(*parsed.document)) all += line + "\n";
  EXPECT_NE(all.find("handles"), std::string::npos) << all;
}

}  // namespace
}  // namespace sluice::policy
