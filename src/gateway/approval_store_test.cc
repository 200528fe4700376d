// Approvals, wherever they lie: one for each call, decided and used once, bounded, and ended by time and by their
// grant's end.
#include "gateway/approval_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "gateway/grant_store.h"
#include "gateway/test_rows.h"

namespace sluice::gateway {
namespace {

using State = ApprovalStore::State;

class ApprovalStoreTest : public RowsTest {
 protected:
  static Approval wanted(const std::string& digest, const std::string& grant = "bot", std::int64_t expires_ms = 1'000) {
    Approval approval;
    approval.id = "apr_" + grant + digest;
    approval.grant = grant;
    approval.server = "sluice";
    approval.tool = "t";
    approval.digest = digest;
    approval.arguments = R"({"secret":"value"})";
    approval.expires_ms = expires_ms;
    return approval;
  }
  State ask(const Approval& approval, std::int64_t now = 0) { return store_.ask(approval, now)->state; }

  const std::unique_ptr<GateRows> rows_ = open(), other_rows_ = open();
  ApprovalStore store_{*rows_}, others_{*other_rows_};
};
INSTANTIATE_EVERYWHERE(ApprovalStoreTest);

TEST_P(ApprovalStoreTest, IdenticalCallsAreOneAndADecisionOfAnotherProcessIsSeen) {
  const auto first = store_.ask(wanted("d"), 0);
  EXPECT_TRUE(first->is_new && first->state == State::kPending);
  Approval again = wanted("d");
  again.id = "apr_other";
  EXPECT_EQ(store_.ask(again, 1)->approval.id, "apr_botd");
  EXPECT_EQ(ask(wanted("e"), 1), State::kPending);
  const auto before = *store_.revision();
  ASSERT_TRUE(others_.decide("apr_botd", true, "admin", 2));
  EXPECT_NE(*store_.revision(), before);
  EXPECT_EQ(ask(wanted("d"), 3), State::kApproved);
  const auto waiting = others_.waiting(3);
  ASSERT_EQ(waiting->size(), 1u);
  EXPECT_EQ(waiting->front().id, "apr_bote");
  EXPECT_EQ(waiting->front().arguments, wanted("e").arguments) << "whole";
  EXPECT_EQ(ask(wanted("e"), 3), State::kPending) << "of no other call";
}

TEST_P(ApprovalStoreTest, A38AnApprovalIsUsedOnceByWhoeverComesFirst) {
  (void)ask(wanted("d"));
  EXPECT_FALSE(*store_.use("apr_botd", 1)) << "before it is decided";
  ASSERT_TRUE(store_.decide("apr_botd", true, "admin", 1));
  std::atomic<int> used{0};
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<GateRows>> rows;
  for (int i = 0; i < 8; ++i) rows.push_back(open());
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      ApprovalStore store(*rows[static_cast<std::size_t>(i)]);
      const auto got = store.use("apr_botd", 2);  // who waits too long on a busy machine gets an error
      used += got && *got;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(used, 1);
  EXPECT_EQ(store_.find("apr_botd")->arguments, "") << "nobody has to look at them any more";
  Approval again = wanted("d");
  again.id = "apr_again";
  EXPECT_EQ(ask(again, 3), State::kPending) << "the same call again is asked about again";
}

TEST_P(ApprovalStoreTest, A38AnotherGrantsApprovalIsNobodysElse) {
  (void)ask(wanted("d", "bot"));
  ASSERT_TRUE(store_.decide("apr_botd", true, "admin", 1));
  EXPECT_EQ(ask(wanted("d", "thief"), 2), State::kPending);
  EXPECT_NE(approval_digest("s", "t", "{}", "bot", ""), approval_digest("s", "t", "{}", "thief", ""));
  EXPECT_NE(approval_digest("s", "t", "{}", "b", "r"), approval_digest("s", "t", "{}", "br", ""));
  EXPECT_NE(approval_digest("s1", "t", "{}", "b", ""), approval_digest("s", "1t", "{}", "b", ""));
}

TEST_P(ApprovalStoreTest, TimeEndsItWhateverWasDecided) {
  (void)ask(wanted("d"));
  (void)ask(wanted("e"));
  ASSERT_TRUE(store_.decide("apr_botd", true, "admin", 999));
  EXPECT_EQ(store_.decide("apr_bote", true, "admin", 1'000).error().code, Code::kTimeout);
  EXPECT_FALSE(*store_.use("apr_botd", 1'000));
  Approval later = wanted("d", "bot", 3'000);
  later.id = "apr_later";
  EXPECT_EQ(store_.ask(later, 1'500)->approval.id, "apr_later");
  EXPECT_EQ(store_.find("apr_bote")->arguments, "") << "what has ended keeps no values";
}

TEST_P(ApprovalStoreTest, AClockThatIsBehindRevivesNothingThatHasEnded) {
  (void)ask(wanted("d"));
  (void)ask(wanted("e"));
  (void)ask(wanted("f"));
  ASSERT_TRUE(store_.decide("apr_bote", true, "admin", 1));
  ASSERT_TRUE(store_.decide("apr_botf", false, "admin", 1));
  ASSERT_TRUE(store_.ask(wanted("g", "bot", 9'000), 2'000)) << "which clears away what has ended";
  EXPECT_EQ(others_.decide("apr_botd", true, "admin", 500).error().code, Code::kTimeout);
  EXPECT_FALSE(*others_.use("apr_bote", 500));
  EXPECT_EQ(others_.find("apr_botd")->status, "expired");
  EXPECT_EQ(others_.find("apr_bote")->status, "expired");
  EXPECT_EQ(others_.find("apr_botf")->status, "denied");
}

TEST_P(ApprovalStoreTest, ADecisionIsMadeOnceAndADenialStands) {
  (void)ask(wanted("d"));
  ASSERT_TRUE(store_.decide("apr_botd", false, "admin", 1));
  EXPECT_EQ(store_.decide("apr_botd", true, "admin", 2).error().code, Code::kConflict);
  EXPECT_EQ(ask(wanted("d"), 3), State::kDenied);
  EXPECT_FALSE(*store_.use("apr_botd", 3));
  EXPECT_EQ(store_.decide("apr_none", true, "admin", 2).error().code, Code::kNotFound);
}

TEST_P(ApprovalStoreTest, SixteenWaitForAGrantAnd256InAll) {
  for (std::size_t i = 0; i < ApprovalStore::kMostOfGrant; ++i)
    EXPECT_EQ(ask(wanted(std::to_string(i))), State::kPending);
  EXPECT_EQ(ask(wanted("more")), State::kFull);
  EXPECT_EQ(ask(wanted("0")), State::kPending) << "the same again is none more";
  EXPECT_EQ(ask(wanted("more", "bot", 9'000), 1'000), State::kPending) << "those before have expired";
  for (std::size_t i = 1; i < ApprovalStore::kMost; ++i) {
    EXPECT_EQ(ask(wanted("x", "g" + std::to_string(i), 9'000), 1'000), State::kPending);
  }
  EXPECT_EQ(ask(wanted("x", "last", 9'000), 1'000), State::kFull);
}

TEST_P(ApprovalStoreTest, TheEndOfItsGrantVoidsIt) {
  GrantStore grants(*other_rows_);
  Grant grant;
  grant.name = "bot";
  ASSERT_TRUE(grants.create(grant));
  (void)ask(wanted("d"));
  (void)ask(wanted("e"));
  ASSERT_TRUE(store_.decide("apr_botd", true, "admin", 1));
  ASSERT_TRUE(grants.revoke("bot", 2));
  EXPECT_FALSE(*store_.use("apr_botd", 3));
  EXPECT_EQ(store_.decide("apr_bote", true, "admin", 3).error().code, Code::kConflict);
  EXPECT_EQ(store_.find("apr_bote")->status, "void");
}

}  // namespace
}  // namespace sluice::gateway
