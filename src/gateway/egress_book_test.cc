#include "gateway/egress_book.h"

#include <gtest/gtest.h>

#include "policy/test_policy.h"

namespace sluice::gateway {
namespace {

namespace ip = net::asio::ip;

class EgressBookTest : public testing::Test {
 protected:
  static EgressBook::EnginePtr policy(std::string_view more) {
    return policy::make_engine(R"({"version":"1","default":"allow",)" + std::string(more) + "}");
  }
  bool reaches(std::string_view grant, std::string_view name, std::string_view address, std::uint16_t port = 443) {
    return book_.may_look_up(grant, name, port).has_value() &&
           book_.may_reach(grant, name, ip::make_address(address), port).has_value();
  }
  FakeClock clock_;
  EgressBook book_{clock_};
};

TEST_F(EgressBookTest, AGrantReachesWhatItsPolicyInForceLetsIt) {
  book_.set_default(policy(R"("egress":{"host_in":["a.test"]})"));
  book_.set_grants({{"bot", policy(R"("egress":{"cidr":["10.0.0.0/8"]})")}, {"free", policy(R"("tools":{})")}});
  EXPECT_TRUE(reaches("default", "a.test", "192.0.2.1"));
  EXPECT_FALSE(reaches("default", "b.test", "192.0.2.1"));
  EXPECT_TRUE(reaches("bot", "b.test", "10.0.0.1"));
  EXPECT_TRUE(reaches("bot", "b.test", "::ffff:10.0.0.1"));
  EXPECT_FALSE(reaches("bot", "b.test", "192.0.2.1"));
  EXPECT_TRUE(reaches("free", "b.test", "192.0.2.1"));
  EXPECT_TRUE(reaches("owner", "b.test", "192.0.2.1"));
  const Status refused = book_.may_look_up("default", "b.test", 443);
  EXPECT_EQ(refused.error().code, Code::kRefused);
  EXPECT_EQ(refused.error().message, "egress: b.test:443 is not among what the policy lets the grant default reach");
  book_.set_default(policy(R"("egress":{"host_in":["b.test"]})"));
  EXPECT_FALSE(reaches("default", "a.test", "192.0.2.1"));
}

TEST_F(EgressBookTest, AGrantThatHasEndedReachesNothing) {
  const auto open = policy(R"("tools":{})");
  book_.set_grants({{"bot", open, unix_ms(clock_.wall()) + 1'000}, {"gone", nullptr}});
  EXPECT_TRUE(reaches("bot", "a.test", "192.0.2.1"));
  EXPECT_FALSE(reaches("gone", "a.test", "192.0.2.1"));
  EXPECT_FALSE(reaches("never", "a.test", "192.0.2.1"));
  const std::uint64_t before = book_.revision("bot");
  clock_.advance(std::chrono::seconds(2));
  EXPECT_FALSE(reaches("bot", "a.test", "192.0.2.1"));
  EXPECT_NE(book_.revision("bot"), before);
  book_.set_grants({});
  EXPECT_EQ(book_.revision("bot"), 0u);
}

TEST_F(EgressBookTest, ThroughAProxyANameMustBeFineWhateverItsAddress) {
  book_.set_grants({{"names", policy(R"("egress":{"host_in":["a.test"]})")},
                    {"addresses", policy(R"("egress":{"cidr":["10.0.0.0/8"]})")}});
  EXPECT_TRUE(book_.may_name("names", "a.test", 443));
  EXPECT_FALSE(book_.may_name("names", "b.test", 443));
  EXPECT_FALSE(book_.may_name("addresses", "a.test", 443)) << "nobody here knows what it will be";
  EXPECT_TRUE(book_.may_name("addresses", "10.0.0.1", 443));
}

TEST_F(EgressBookTest, MonitorModeLetsPassAndCounts) {
  book_.set_grants({{"bot", policy(R"("mode":"monitor","egress":{"host_in":["a.test"]})")},
                    {"strict", policy(R"("egress":{"host_in":["a.test"]})")}});
  EXPECT_TRUE(reaches("bot", "b.test", "192.0.2.1"));
  EXPECT_TRUE(reaches("bot", "a.test", "192.0.2.1"));
  EXPECT_FALSE(reaches("strict", "b.test", "192.0.2.1"));
  EXPECT_FALSE(reaches("strict", "c.test", "192.0.2.1"));
  const auto refusals = book_.take_refusals();
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_EQ(refusals[0].grant, "bot");
  EXPECT_TRUE(refusals[0].observed);
  EXPECT_EQ(refusals[0].count, 1u);
  EXPECT_EQ(refusals[1].grant, "strict");
  EXPECT_FALSE(refusals[1].observed);
  EXPECT_EQ(refusals[1].count, 2u);
  EXPECT_TRUE(book_.take_refusals().empty());
}

TEST_F(EgressBookTest, AnotherPolicyIsAnotherRevisionAndTheSameOneIsNot) {
  book_.set_default(policy(R"("egress":{"host_in":["a.test"]})"));
  const std::uint64_t first = book_.revision("default");
  book_.set_default(policy(R"("egress":{"host_in":["a.test"]})"));
  EXPECT_EQ(book_.revision("default"), first);
  book_.set_default(policy(R"("egress":{"host_in":["b.test"]})"));
  EXPECT_NE(book_.revision("default"), first);
}

}  // namespace
}  // namespace sluice::gateway
