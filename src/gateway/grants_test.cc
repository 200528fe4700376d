// Grants, wherever they lie, and as a running program sees them: what is recognised, and what has ended.
#include "gateway/grants.h"

#include <gtest/gtest.h>

#include "gateway/credential.h"
#include "gateway/test_rows.h"

namespace sluice::gateway {
namespace {

constexpr std::int64_t kHour = 3'600'000;

class GrantsTest : public RowsTest {
 protected:
  void SetUp() override {
    RowsTest::SetUp();
    clock_.advance(std::chrono::hours(1'000));
    grants_.set_options({.server = "sluice", .default_token = "the-token", .needs_token = true});
    grants_.set_profiles([this](const std::string& grant) {
      shown_ = grant;
      return &profile_;
    });
  }

  std::int64_t now() { return unix_ms(clock_.wall()); }
  // Its token. Made by another process: through a connection of its own.
  std::string create(const std::string& name, std::int64_t expires_ms = 0, const std::string& server = "sluice") {
    Grant grant;
    grant.name = name;
    grant.server = server;
    grant.expires_ms = expires_ms;
    grant.created_ms = now();
    const std::string token = make_credential(kGrantPrefix, entropy_);
    grant.hash = credential_hash(token);
    EXPECT_TRUE(others_.create(grant));
    return token;
  }
  std::string who(std::optional<std::string_view> token) {
    const auto found = grants_.identify(token);
    return found ? found->caller.grant : "";
  }

  FakeClock clock_;
  SeededEntropy entropy_{3};
  mcp::ServerProfile profile_;
  std::string shown_;
  const std::unique_ptr<GateRows> rows_ = open(), other_rows_ = open();
  GrantStore store_{*rows_}, others_{*other_rows_};
  Grants grants_{clock_, store_};
};
INSTANTIATE_EVERYWHERE(GrantsTest);

TEST_P(GrantsTest, ATokenChoosesItsGrantAndNothingElseDoes) {
  EXPECT_EQ(who("the-token"), "default") << "before there is a file";
  EXPECT_FALSE(std::filesystem::exists(path_)) << "looking makes none";
  const std::string one = create("one"), two = create("two");
  EXPECT_EQ(who(one), "one");
  EXPECT_EQ(shown_, "one");
  EXPECT_EQ(who(two), "two");
  EXPECT_EQ(who("the-token"), "default");
  const std::string hash = credential_hash(one);
  for (const std::string& wrong : {std::string(), std::string("the-toke"), one + "x", one.substr(1), hash}) {
    EXPECT_EQ(who(wrong), "") << wrong;
  }
  EXPECT_EQ(who(std::nullopt), "");
}

TEST_P(GrantsTest, OnlyHashesAreKept) {
  const std::string token = create("one");
  const std::string all = kept();
  EXPECT_NE(all.find(credential_hash(token)), std::string::npos);
  EXPECT_EQ(all.find(token), std::string::npos);
  EXPECT_EQ(all.find(token.substr(kGrantPrefix.size())), std::string::npos);
}

TEST_P(GrantsTest, RevocationAndExpiryEndItAtOnceForWhoeverHoldsIt) {
  const std::string one = create("one"), brief = create("brief", now() + kHour);
  const Caller first = grants_.identify(one)->caller, second = grants_.identify(brief)->caller;
  EXPECT_TRUE(grants_.is_valid(first) && grants_.is_valid(second));
  ASSERT_TRUE(others_.revoke("one", now()));
  clock_.advance(std::chrono::seconds(1));
  EXPECT_FALSE(grants_.is_valid(first));
  EXPECT_EQ(who(one), "");
  clock_.advance(std::chrono::hours(1));
  EXPECT_FALSE(grants_.is_valid(second));
  EXPECT_EQ(who(brief), "");
  EXPECT_FALSE(others_.create({.name = "one"})) << "the name in the audit stays of one";
}

TEST_P(GrantsTest, AClockThatStepsBackRevivesNothing) {
  const std::string brief = create("brief", now() + kHour);
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(who(brief), "");
  clock_.advance(-std::chrono::hours(2));
  EXPECT_EQ(who(brief), "");
}

TEST_P(GrantsTest, ARotatedTokenCountsForItsGraceAlone) {
  const std::string before = create("one");
  const Caller held = grants_.identify(before)->caller;
  const std::string after = make_credential(kGrantPrefix, entropy_);
  ASSERT_TRUE(others_.rotate("one", credential_hash(after), now(), now() + 60'000));
  EXPECT_EQ(who(before), "one");
  EXPECT_EQ(who(after), "one");
  EXPECT_TRUE(grants_.is_valid(held));
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(who(before), "");
  EXPECT_EQ(who(after), "one");
  EXPECT_FALSE(grants_.is_valid(held)) << "streams that the old token opened end with it";
  const std::string last = make_credential(kGrantPrefix, entropy_);
  ASSERT_TRUE(others_.rotate("one", credential_hash(last), now(), 0));
  EXPECT_EQ(who(after), "");
  EXPECT_EQ(who(last), "one");
}

TEST_P(GrantsTest, AnotherServersGrantIsNobodyHere) {
  EXPECT_EQ(who(create("files", 0, "files")), "");
  EXPECT_FALSE(grants_.identify_stdio("files", "x"));
}

TEST_P(GrantsTest, WithoutAuthenticationAGrantsTokenNeverBecomesTheDefault) {
  grants_.set_options({.server = "sluice", .default_token = "", .needs_token = false});
  const std::string one = create("one");
  EXPECT_EQ(who(std::nullopt), "default");
  EXPECT_EQ(who("whatever a client sends"), "default");
  EXPECT_EQ(who(one), "one");
  ASSERT_TRUE(others_.revoke("one", now()));
  EXPECT_EQ(who(one), "") << "not something larger";
}

TEST_P(GrantsTest, OnStdioTheNameNeedsItsTokenUnlessItHasNone) {
  const std::string one = create("one");
  Grant local{.name = "local", .created_ms = now(), .stdio = true};
  ASSERT_TRUE(others_.create(local));
  EXPECT_NE(grants_.identify_stdio("one", "").error().message.find("SLUICE_GRANT_TOKEN"), std::string::npos);
  EXPECT_EQ(grants_.identify_stdio("one", one)->caller.grant, "one");
  EXPECT_EQ(grants_.identify_stdio("local", "")->caller.grant, "local");
  EXPECT_TRUE(grants_.is_valid(grants_.identify_stdio("local", "")->caller));
  const std::string wrong = grants_.identify_stdio("one", "wrong").error().message;
  EXPECT_EQ(grants_.identify_stdio("nobody", "wrong").error().message.replace(11, 6, "one"), wrong);
  EXPECT_FALSE(grants_.is_valid({.grant = "one"})) << "its name alone is nothing";
  EXPECT_FALSE(grants_.is_valid({.grant = "nobody"}));
}

TEST_P(GrantsTest, A44UnreadableGrantsEndAndTheDefaultGoesOn) {
  const std::string one = create("one");
  const Caller held = grants_.identify(one)->caller;
  int told = 0;
  grants_.on_error([&](std::string_view) { ++told; });
  spoil();
  clock_.advance(std::chrono::seconds(1));
  EXPECT_FALSE(grants_.is_valid(held));
  EXPECT_EQ(who(one), "");
  EXPECT_EQ(who("the-token"), "default");
  EXPECT_EQ(told, 1) << "once";
  EXPECT_NE(grants_.unusable(), "");
  mend();
  EXPECT_EQ(who(one), "one") << "and back";
}

TEST_P(GrantsTest, SeveralServersBehindOneEndpointHaveTheirGrantsAndItsOwn) {
  grants_.set_options({.server = "gateway", .default_token = "t", .needs_token = true, .also = {"files", "web"}});
  EXPECT_EQ(who(create("all", 0, "gateway")), "all");
  EXPECT_EQ(who(create("one", 0, "web")), "one");
  EXPECT_EQ(who(create("other", 0, "elsewhere")), "");
  EXPECT_EQ(who(create("ours", 0, "sluice")), "");
}

// One grant, at the end of a long line.
class FarRows final : public GateRows {
 public:
  explicit FarRows(FakeClock& clock) : clock_(clock) {}
  Result<std::int64_t> revision(Part) override {
    clock_.advance(way);
    ++looks;
    return static_cast<std::int64_t>(rows.size());
  }
  Result<std::vector<Grant>> grants() override { return rows; }
  Result<std::string> admin_hash() override { return std::string(); }
  Result<std::optional<Approval>> standing_approval(const std::string&, const std::string&, std::int64_t) override {
    return std::optional<Approval>();
  }
  Result<Waiting> count_waiting(const std::string&, std::int64_t) override { return Waiting(); }
  Result<std::vector<Approval>> live_approvals(std::int64_t, Arguments) override { return std::vector<Approval>(); }
  Result<std::optional<Approval>> approval(const std::string&) override { return std::optional<Approval>(); }
  Result<std::vector<Pin>> pins(const std::string&, const std::string&) override { return std::vector<Pin>(); }
  Status put(const Grant&) override { return {}; }
  Status put(const Approval&) override { return {}; }
  Status put(const Pin&) override { return {}; }
  Status erase(const Pin&) override { return {}; }
  Status put_admin_hash(const std::string&) override { return {}; }
  Status retire_approvals(std::int64_t, std::int64_t) override { return {}; }

  Duration way{};
  int looks = 0;
  std::vector<Grant> rows{{.name = "one", .stdio = true}};

 private:
  Status transact(std::optional<Part>, const std::function<Status()>& work) override { return work(); }
  FakeClock& clock_;
};

TEST(FarGrantsTest, AListAsksOnceHoweverFarAwayTheyAreAndARevocationCountsWithinASecond) {
  FakeClock clock;
  clock.advance(std::chrono::hours(1));
  FarRows rows(clock);
  GrantStore store(rows);
  Grants grants(clock, store);
  for (const int way_ms : {0, 6, 20, 400}) {
    rows.way = std::chrono::milliseconds(way_ms);
    clock.advance(std::chrono::seconds(1));
    rows.looks = 0;
    for (int tool = 0; tool < 100; ++tool) EXPECT_TRUE(grants.is_valid({.grant = "one"}));
    EXPECT_EQ(rows.looks, 1) << way_ms;
    clock.advance(std::chrono::milliseconds(250));
    EXPECT_TRUE(grants.is_valid({.grant = "one"}));
    EXPECT_EQ(rows.looks, 2) << way_ms;
  }
}

class StrangersTest : public ::testing::Test {
 protected:
  StrangersTest() {
    clock_.advance(std::chrono::hours(1));
    grants_.set_options({.default_token = "the-token"});
    grants_.set_profiles([this](const std::string&) { return &profile_; });
  }
  // Its token.
  std::string create(const std::string& name) {
    const std::string token = make_credential(kGrantPrefix, entropy_);
    rows_.rows.push_back({.name = name, .hash = credential_hash(token)});
    return token;
  }
  std::string stranger() { return make_credential(kGrantPrefix, entropy_); }
  std::string who(std::optional<std::string_view> token) {
    const auto found = grants_.identify(token);
    return found ? found->caller.grant : "";
  }
  FakeClock clock_;
  SeededEntropy entropy_{7};
  mcp::ServerProfile profile_;
  FarRows rows_{clock_};
  GrantStore store_{rows_};
  Grants grants_{clock_, store_};
};

TEST_F(StrangersTest, AttackTokensThatNobodyHasCostALookNowAndThen) {
  for (const int way_ms : {0, 1, 20}) {
    rows_.way = std::chrono::milliseconds(way_ms);
    clock_.advance(std::chrono::seconds(10));
    rows_.looks = 0;
    for (int i = 0; i < 1'000; ++i) {
      EXPECT_EQ(who(stranger()), "");
      clock_.advance(std::chrono::milliseconds(1));
    }
    EXPECT_GE(rows_.looks, 8) << "one of them might have been new";
    EXPECT_LE(rows_.looks, 20) << way_ms;
  }
}

TEST_F(StrangersTest, WhatCannotBeAGrantsTokenCostsNoLookAtAll) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(who("junk" + std::to_string(i)), "");
  EXPECT_EQ(who(std::nullopt), "");
  EXPECT_EQ(who(""), "");
  EXPECT_EQ(who("the-token"), "default");
  EXPECT_EQ(rows_.looks, 0);
}

TEST_F(StrangersTest, ANewGrantIsKnownAtOnceHoweverManyAreMade) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(who(create("new" + std::to_string(i))), "new" + std::to_string(i));
}

TEST_F(StrangersTest, AmongManyStrangersANewGrantIsKnownWithinAQuarterOfASecond) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(who(stranger()), "");
  const std::string token = create("new");
  MonoTime made = clock_.mono();
  while (who(token).empty()) {
    EXPECT_EQ(who(stranger()), "");
    clock_.advance(std::chrono::milliseconds(1));
    ASSERT_LE(clock_.mono() - made, std::chrono::milliseconds(250));
  }
}

TEST_F(StrangersTest, AmongManyStrangersARevokedGrantIsNobodyAtOnce) {
  const std::string token = create("one");
  EXPECT_EQ(who(token), "one");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(who(stranger()), "");
  rows_.rows.back().revoked_ms = 1;
  rows_.rows.back().hash.clear();
  rows_.rows.push_back({.name = "another"});  // the revision
  EXPECT_EQ(who(token), "");
}

TEST_P(GrantsTest, NamesAreChecked) {
  for (const std::string_view good : {"a", "ci-runner.2", "0_x"}) EXPECT_TRUE(check_grant_name(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("A"), std::string("-a"), std::string("default"), std::string("owner"),
        std::string("a b"), std::string("a/b"), std::string("ä"), std::string(65, 'a')}) {
    EXPECT_FALSE(check_grant_name(bad)) << bad;
  }
}

TEST_P(GrantsTest, TheAdminCredentialIsReplacedByWhoKnowsTheOldOne) {
  EXPECT_EQ(*store_.admin_hash(), "");
  ASSERT_TRUE(store_.set_admin_hash("", "first"));
  EXPECT_FALSE(others_.set_admin_hash("", "second")) << "two at once";
  EXPECT_TRUE(others_.set_admin_hash("first", "second"));
  EXPECT_EQ(*store_.admin_hash(), "second");
}

}  // namespace
}  // namespace sluice::gateway
