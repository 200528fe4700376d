#include "policy/simulate.h"

#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

std::string decided(std::string_view policy, std::string_view tool, std::vector<std::string> arguments = {}) {
  const auto engine = make_engine(policy);
  const auto decision = decide_by_names(*engine, "g", "sluice", tool, RiskClass::kWrite, arguments);
  if (!decision) return "needs values";
  return decision->verdict == Verdict::kAllow ? "allow" : decision->rule;
}

TEST(Simulate, NamesDecideWhatTheyCanAndNoMore) {
  EXPECT_EQ(decided(policy_of("{}"), "t"), "allow");
  EXPECT_EQ(decided(policy_of("{}"), "u"), "(default deny)");
  EXPECT_EQ(decided(R"({"version":"1","default":"allow","hide":["t"]})", "t"), "(hidden)");
  EXPECT_EQ(decided(policy_of(R"({"deny_if":[{"conditions":[]}]})"), "t"), "/tools/t/deny_if/0");
  EXPECT_EQ(decided(policy_of(R"({"require":[{"conditions":[{"path":"args.a","op":"exists","value":true}]}],
                                  "deny_if":[{"conditions":[]}]})"),
                    "t"),
            "/tools/t/deny_if/0");
  EXPECT_EQ(decided(policy_of(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1}]}]})"), "t"),
            "needs values");
  EXPECT_EQ(decided(policy_of(R"({"limits":[{"counter":"c","window":"day","max":1,"increment_from":"args.n"}]})"), "t"),
            "needs values");
  EXPECT_EQ(decided(policy_of(R"({"limits":[{"counter":"c","window":"day","max":1}]})"), "t"), "allow");
}

TEST(Simulate, AClassAndAPatternCountAndWhetherSecretsWereToBeShownIsAValue) {
  const char* policy =
      R"({"version":"1","default":"deny","tools":{"t":{},"risk:write":{"deny_if":[{"conditions":[]}]}}})";
  EXPECT_EQ(decided(policy, "t"), "/tools/risk:write/deny_if/0");
  EXPECT_EQ(decided(policy_of("{}"), "t", {"limit", "show_secrets"}), "needs values");
  EXPECT_EQ(decided(policy_of(R"({"result":{"raw":true}})"), "t", {"limit", "show_secrets"}), "allow");
}

}  // namespace
}  // namespace sluice::policy
