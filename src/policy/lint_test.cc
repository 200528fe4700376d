// What `check` warns of where names are concerned, and `explain` of what a person is asked.
#include <gtest/gtest.h>

#include "policy/explain.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

const std::vector<KnownTool> kTools = {
    {"proxy_start", RiskClass::kExecute, {}, false, {"start_proxy"}},
    {"start_proxy", RiskClass::kExecute, {}, false, {"proxy_start"}},
    {"proxy_get_exchange", RiskClass::kRead, {}, false, {"inspect_flow", "inspect_flows"}},
    {"inspect_flow", RiskClass::kRead, {}, false, {"proxy_get_exchange"}},
    {"inspect_flows", RiskClass::kRead, {}, false, {"proxy_get_exchange"}}};

std::vector<std::string> warnings(std::string_view text, std::string_view server = "") {
  const Parsed parsed = parse_policy(text);
  EXPECT_TRUE(parsed.document) << text;
  std::vector<std::string> out;
  for (const Problem& one : lint(*parsed.document, kTools, server)) out.push_back(one.path + ": " + one.message);
  return out;
}
using Lines = std::vector<std::string>;

TEST(Lint, WarnsOnceOfATwinThatStaysOpenHoweverTheOtherIsClosed) {
  const Lines hidden = {"/hide: proxy_start is closed, but start_proxy, which does the same, is open"};
  EXPECT_EQ(warnings(R"({"version":"1","default":"allow","hide":["proxy_start"]})"), hidden);
  EXPECT_EQ(warnings(R"({"version":"1","default":"deny","hide":["proxy_*"],"tools":{"risk:execute":{}}})"), hidden);
  EXPECT_EQ(warnings(R"({"version":"1","default":"allow","tools":{"start_proxy":{"deny_if":[{"conditions":[]}]}}})"),
            Lines{"/tools/start_proxy/deny_if: start_proxy is closed, but proxy_start, which does the same, is open"});
  EXPECT_EQ(warnings(R"({"version":"1","default":"allow","tools":{"start_*":{"limits":[
      {"counter":"c","window":"minute","max":0}]}}})")
                .back(),
            "/tools/start_*/limits: start_proxy is closed, but proxy_start, which does the same, is open");
  EXPECT_EQ(warnings(R"({"version":"1","default":"allow","hide":["proxy_get_exchange"]})").size(), 2u);
}

TEST(Lint, SaysNothingOfTwinsThatAreClosedTogetherOrWereNeverOpen) {
  for (const char* text :
       {R"({"version":"1","default":"allow","hide":["proxy_start","start_proxy"]})",
        R"({"version":"1","default":"allow","tools":{"risk:execute":{"deny_if":[{"conditions":[]}]}}})",
        R"({"version":"1","default":"deny","tools":{"proxy_start":{}}})",
        R"({"version":"1","default":"deny","hide":["proxy_start"],"tools":{"risk:read":{}}})"}) {
    EXPECT_EQ(warnings(text), Lines{}) << text;
  }
}

TEST(Lint, APolicyForAnotherServerIsNotComparedWithOurTools) {
  EXPECT_EQ(
      warnings(R"({"version":"1","default":"deny","hide":["move_file"],"tools":{"read_file":{},"write_file":{}}})"),
      Lines{});
  // Of names that are mostly ours, or like ours, each is.
  EXPECT_EQ(warnings(R"({"version":"1","default":"deny","tools":{"proxy_strat":{}}})"),
            Lines{"/tools/proxy_strat: Sluice has no such tool; did you mean proxy_start?"});
  EXPECT_EQ(warnings(R"({"version":"1","default":"deny","tools":{"proxy_start":{},"inspect_flow":{},"read_file":{}}})"),
            Lines{"/tools/read_file: Sluice has no such tool"});
}

TEST(Lint, ANamedServersToolsAreTheMeasure) {
  EXPECT_EQ(
      warnings(R"({"version":"1","default":"deny","tools":{"read_file":{},"a__b":{},"proxy_start":{}}})", "files"),
      (Lines{"/tools/read_file: files has no such tool", "/tools/a__b: files has no such tool"}));
}

TEST(Lint, ArgumentsAreNotComparedWhereNothingIsKnownOfThem) {
  const std::vector<KnownTool> open = {{"t", RiskClass::kUnclassified, {}, true}};
  const Parsed parsed = parse_policy(
      R"({"version":"1","default":"deny","tools":{"t":{"require":[{"conditions":[{"path":"args.x","op":"exists","value":true}]}]}}})");
  EXPECT_TRUE(lint(*parsed.document, open, "s").empty());
  EXPECT_EQ(lint(*parsed.document, std::vector<KnownTool>{{"t", RiskClass::kUnclassified, {}}}, "s").size(), 1u);
}

TEST(UnknownNames, AreThoseWithoutPatternsAndClassesEachOnce) {
  const Parsed parsed = parse_policy(
      R"({"version":"1","default":"deny","hide":["a","x","y_*"],"tools":{"a":{},"x":{},"b":{},"risk:read":{}}})");
  EXPECT_EQ(unknown_names(*parsed.document, {"b"}, 9), (Lines{"a", "x"}));
  EXPECT_EQ(unknown_names(*parsed.document, {"b"}, 1), Lines{"a"});
}

TEST(Explain, SaysClassesMessagesAndOneOfAThing) {
  const Parsed parsed = parse_policy(R"({"version":"1","default":"deny","max_in_flight":1,
      "max_denials":{"window":"minute","max":1},"risk":{"pay_*":"financial"},
      "tools":{"pay_now":{"require_approval":{"message":"It costs."},
                          "result":{"redact":[{"path":"$.a"}],"block":[{"op":"contains","value":"k"}]}}}})");
  std::string said;
  for (const std::string& line : explain(*parsed.document)) said += line + "\n";
  for (const char* part : {"Other servers' tools named pay_* are of the class financial.\n",
                           "A person must approve (by admin, within 1800 s). They are told: \"It costs.\".\n",
                           "1 kind of text is masked in answers.\n", "Answers are withheld by 1 rule.\n",
                           "At most 1 call of a grant runs at once.\n", "After 1 denial in a minute"}) {
    EXPECT_NE(said.find(part), std::string::npos) << part << said;
  }
}

}  // namespace
}  // namespace sluice::policy
