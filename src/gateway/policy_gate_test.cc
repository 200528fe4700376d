#include "gateway/policy_gate.h"

#include <gtest/gtest.h>

#include "policy/memory_store.h"

namespace sluice::gateway {
namespace {

using tools::Risk;

class PolicyGateTest : public ::testing::Test {
 protected:
  void use(std::string_view text) {
    policy::Parsed parsed = policy::parse_policy(text);
    ASSERT_TRUE(parsed.document) << text;
    gate_.set_policy(*policy::Engine::compile(*std::move(parsed.document)));
  }
  Decision decide(std::string_view tool, const Json& arguments = Json::object(), const std::string& grant = "default",
                  std::size_t in_flight = 0) {
    const Caller caller{grant, "", false};
    return gate_.decide({caller, "sluice", "tools/call", tool, Risk::kWrite, arguments, in_flight});
  }

  class Broken final : public policy::StateStore {
   public:
    Result<std::variant<policy::Reservation, policy::LimitReached>> reserve(std::span<const policy::LimitUse>,
                                                                            WallTime) override {
      return fail(Code::kIo, "the disk is full");
    }
    Status give_back(policy::Reservation&) override { return {}; }
  };
  FakeClock clock_;
  policy::MemoryStore store_;
  PolicyGate gate_{clock_, store_};
};

TEST_F(PolicyGateTest, TheOwnerIsNotLimitedAndOtherGrantsHaveNoPolicy) {
  use(R"({"version":"1","default":"deny","hide":["x"]})");
  EXPECT_TRUE(decide("x", Json::object(), "owner").allow);
  EXPECT_TRUE(gate_.may_see({"owner", "", true}, "sluice", "x", Risk::kRead));
  EXPECT_EQ(decide("x", Json::object(), "stranger").rule, "(no policy)");
  EXPECT_FALSE(gate_.may_see({"stranger", "", false}, "sluice", "y", Risk::kRead));
  EXPECT_EQ(gate_.judge_name({"stranger", "", false}, "sluice", "y", Risk::kRead).rule, "(no policy)");
  EXPECT_EQ(gate_.judge_method({"stranger", "", false}, "resources/read").rule, "(no policy)");
  EXPECT_EQ(decide("x").rule, "(hidden)");
  PolicyGate empty(clock_, store_);
  EXPECT_EQ(empty.judge_name({}, "sluice", "y", Risk::kRead).rule, "(no policy)") << "before there is one";
}

// Says who has ended.
class TestIdentities final : public Identities {
 public:
  std::optional<Identity> identify(std::optional<std::string_view>) override { return std::nullopt; }
  bool is_valid(const Caller& caller) override { return caller.grant != ended; }
  std::string_view unusable() const override { return why; }
  std::string ended, why;
};

TEST_F(PolicyGateTest, AGrantHasItsOwnPolicyUntilItEnds) {
  use(R"({"version":"1","default":"allow"})");
  policy::Parsed parsed = policy::parse_policy(R"({"version":"1","default":"deny","tools":{"x":{}}})");
  gate_.set_grant_policies({{"bot", *policy::Engine::compile(*std::move(parsed.document))}});
  TestIdentities identities;
  gate_.set_identities(identities);
  EXPECT_TRUE(decide("x", Json::object(), "bot").allow);
  EXPECT_EQ(decide("y", Json::object(), "bot").rule, "(default deny)");
  EXPECT_FALSE(gate_.is_open("bot", "resources/read"));
  EXPECT_TRUE(gate_.is_open("default", "resources/read"));
  identities.ended = "bot";
  EXPECT_EQ(decide("x", Json::object(), "bot").rule, "(grant ended)");
  EXPECT_FALSE(gate_.may_see({"bot", "", false}, "sluice", "x", Risk::kRead));
  EXPECT_TRUE(decide("y").allow) << "the default's";
  identities.why = "Redis cannot be used: it is down";
  const Decision denied = decide("x", Json::object(), "bot");
  EXPECT_EQ(denied.rule, "(grants unusable)") << "nobody is told that the grant has ended";
  EXPECT_NE(denied.message.find(identities.why), std::string::npos);
  EXPECT_TRUE(decide("y").allow);
}

TEST_F(PolicyGateTest, AGrantOfSeveralServersNamesTheirToolsWithTheirServers) {
  use(R"({"version":"1","default":"allow"})");
  policy::Parsed parsed = policy::parse_policy(
      R"({"version":"1","default":"deny","hide":["web__x"],"all_tools":{"limits":[{"counter":"c","window":"day","max":2}]},
          "tools":{"files__x":{},"web__*":{}}})");
  const auto engine = *policy::Engine::compile(*std::move(parsed.document));
  gate_.set_grant_policies({{"all", engine}, {"one", engine}});
  gate_.set_endpoint("gateway", {"all"});
  const Caller all{"all", "", false}, one{"one", "", false};
  const Json none = Json::object();
  const auto asks = [&](const Caller& caller, const char* server, const char* tool) {
    return gate_.decide({caller, server, "tools/call", tool, std::nullopt, none, 0});
  };
  EXPECT_TRUE(gate_.may_see(all, "files", "x", std::nullopt));
  EXPECT_FALSE(gate_.may_see(all, "files", "y", std::nullopt));
  EXPECT_FALSE(gate_.may_see(all, "web", "x", std::nullopt));
  EXPECT_FALSE(gate_.may_see(one, "files", "x", std::nullopt)) << "of one server: its tools' own names";
  EXPECT_EQ(gate_.judge_name(all, "web", "x", std::nullopt).rule, "(hidden)");
  EXPECT_TRUE(asks(all, "files", "x").allow);
  EXPECT_TRUE(asks(all, "web", "y").allow);
  EXPECT_EQ(asks(all, "files", "x").rule, "/all_tools/limits/c") << "one count for all of them";
  EXPECT_EQ(asks(one, "files", "x").rule, "(default deny)");
}

TEST_F(PolicyGateTest, AClosedGateDeniesWhateverAPolicySaysButTheOwner) {
  use(R"({"version":"1","default":"allow","mode":"monitor"})");
  bool closed = true;
  gate_.set_closed([&] { return closed; });
  EXPECT_EQ(decide("x").rule, "(gate closed)");
  EXPECT_EQ(gate_.judge_name({}, "sluice", "x", Risk::kRead).rule, "(gate closed)");
  EXPECT_FALSE(gate_.judge_method({}, "resources/read").allow);
  EXPECT_TRUE(decide("x", Json::object(), "owner").allow);
  EXPECT_TRUE(gate_.may_see({}, "sluice", "x", Risk::kRead)) << "lists stay as they were";
  closed = false;
  EXPECT_TRUE(decide("x").allow);
}

TEST_F(PolicyGateTest, WithoutAStoreForApprovalsNobodyIsAskedAndTheCallIsDenied) {
  use(R"({"version":"1","default":"deny","tools":{"t":{"require_approval":{}}}})");
  const Decision decision = decide("t");
  EXPECT_FALSE(decision.allow);
  EXPECT_FALSE(decision.pending);
  EXPECT_EQ(decision.rule, "/tools/t/require_approval");
}

TEST_F(PolicyGateTest, HiddenNamesAreDeniedOrUnknown) {
  use(R"({"version":"1","default":"allow","hide":["x"]})");
  EXPECT_FALSE(gate_.judge_name({}, "sluice", "x", Risk::kRead).as_unknown);
  use(R"({"version":"1","default":"allow","hide":["x"],"hidden_reply":"unknown"})");
  const Decision hidden = gate_.judge_name({}, "sluice", "x", Risk::kRead);
  EXPECT_TRUE(!hidden.allow && hidden.as_unknown);
  EXPECT_EQ(hidden.rule, "(hidden)");
  EXPECT_FALSE(gate_.may_see({}, "sluice", "x", Risk::kRead));
}

TEST_F(PolicyGateTest, CountsAcrossRevisionsAndGivesBack) {
  use(R"({"version":"1","default":"deny","tools":{"t":{"limits":[{"counter":"c","window":"minute","max":2}]}}})");
  Decision first = decide("t");
  EXPECT_TRUE(first.allow && decide("t").allow);
  use(R"({"version":"1","default":"allow","tools":{"t":{"limits":[{"counter":"c","window":"minute","max":2}]}}})");
  const Decision third = decide("t");
  EXPECT_EQ(third.rule, "/tools/t/limits/c") << "an edit keeps the counters";
  EXPECT_NE(third.revision, first.revision);
  gate_.give_back(first.reserved);
  EXPECT_TRUE(decide("t").allow);
}

TEST_F(PolicyGateTest, MonitorLetsPassAndSaysWhatItWouldHaveDone) {
  use(R"({"version":"1","default":"deny","mode":"monitor","hide":["h"],"tools":{"t":{
      "limits":[{"counter":"c","window":"minute","max":1}]}}})");
  for (const auto& [tool, rule] : {std::pair{"h", "(hidden)"}, {"other", "(default deny)"}}) {
    EXPECT_TRUE(gate_.may_see({}, "sluice", tool, Risk::kRead));
    EXPECT_TRUE(gate_.judge_name({}, "sluice", tool, Risk::kRead).allow);
    const Decision decision = decide(tool);
    EXPECT_TRUE(decision.allow && decision.would_deny);
    EXPECT_EQ(decision.rule, rule);
  }
  EXPECT_FALSE(decide("t").would_deny);
  EXPECT_EQ(decide("t").rule, "/tools/t/limits/c");
  EXPECT_TRUE(gate_.judge_method({}, "resources/read").allow);
}

TEST_F(PolicyGateTest, TooManyAtOnceAreDeniedWithoutBeingCounted) {
  use(R"({"version":"1","default":"allow","max_in_flight":2,"tools":{"t":{
      "limits":[{"counter":"c","window":"minute","max":1}]}}})");
  EXPECT_EQ(decide("t", Json::object(), "default", 2).rule, "/max_in_flight");
  EXPECT_TRUE(decide("t", Json::object(), "default", 1).allow);
}

TEST_F(PolicyGateTest, WithoutItsStoreALimitedCallIsDeniedAndOthersGoOn) {
  Broken broken;
  PolicyGate gate(clock_, broken);
  policy::Parsed parsed = policy::parse_policy(
      R"({"version":"1","default":"allow","tools":{"t":{"limits":[{"counter":"c","window":"minute","max":1}]}}})");
  gate.set_policy(*policy::Engine::compile(*std::move(parsed.document)));
  const Json none = Json::object();
  const Caller caller;
  const Decision denied = gate.decide({caller, "sluice", "tools/call", "t", Risk::kRead, none});
  EXPECT_FALSE(denied.allow);
  EXPECT_EQ(denied.rule, "/tools/t/limits/c");
  EXPECT_TRUE(gate.decide({caller, "sluice", "tools/call", "other", Risk::kRead, none}).allow);
}

TEST_F(PolicyGateTest, OwnOnlyDeniesChangesOfOthersRulesAndAllOfThemWithoutTheRules) {
  use(R"({"version":"1","default":"allow","own_only":true})");
  EXPECT_EQ(decide("t", {{"rule_id", "rule_1"}}).rule, "/own_only") << "nobody knows whose it is";
  rules::RuleStore rules(clock_);
  rules::RuleSpec spec;
  spec.description = "d";
  spec.grant = "owner";
  ASSERT_TRUE(rules.add(spec));
  spec.grant = "default";
  ASSERT_TRUE(rules.add(spec));
  gate_.set_rules(rules);
  EXPECT_EQ(decide("t", {{"rule_id", "rule_1"}}).rule, "/own_only");
  EXPECT_TRUE(decide("t", {{"rule_id", "rule_2"}}).allow);
  EXPECT_TRUE(decide("t", {{"rule_id", "rule_3"}}).allow) << "there is none: the tool says so";
  EXPECT_EQ(decide("t", {{"rules", Json::array()}, {"replace", true}}).rule, "/own_only");
  EXPECT_TRUE(decide("t", {{"rules", Json::array()}, {"replace", false}}).allow);
}

TEST_F(PolicyGateTest, BeyondMaxDenialsAGrantIsShutOutUntilTheWindowEnds) {
  use(R"({"version":"1","default":"deny","max_denials":{"window":"minute","max":2}})");
  EXPECT_FALSE(gate_.count_denial({}));
  EXPECT_FALSE(gate_.count_denial({}));
  const auto until = gate_.count_denial({});
  ASSERT_TRUE(until);
  EXPECT_GT(*until, clock_.wall());
  EXPECT_LE(*until, clock_.wall() + std::chrono::minutes(1));
  EXPECT_FALSE(gate_.count_denial({"owner", "", true}));
}

}  // namespace
}  // namespace sluice::gateway
