#include "proxy/passthrough.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class Learning : public ::testing::Test {
 protected:
  bool passes(const std::string& host, const TlsClient& client) {
    return table_.has_learned(client, host, clock_.mono());
  }
  bool refuse(const std::string& host, const TlsClient& client) {
    clock_.advance(seconds(1));
    return table_.refused(client, host, clock_.mono());
  }
  void trust(const std::string& host, const TlsClient& client) { table_.shook_hands(client, host, clock_.mono()); }

  FakeClock clock_;
  Passthrough table_{true};
  const TlsClient app_{"127.0.0.1", "t13d0101h2_a_b"}, other_app_{"127.0.0.1", "t13d0202h2_c_d"},
      neighbour_{"10.0.0.2", "t13d0101h2_a_b"};
};

TEST(Passthrough, CountsRefusalsOfTheCertificateItself) {
  tls::HandshakeFailure failure;
  EXPECT_FALSE(is_refusal(failure));
  failure.alert_from_peer = true;
  for (const char* alert : {"bad_certificate", "certificate_unknown"}) {
    failure.alert = alert;
    EXPECT_TRUE(is_refusal(failure)) << alert;
  }
  for (const char* alert : {"unknown_ca", "handshake_failure", "protocol_version", "certificate_expired", ""}) {
    failure.alert = alert;
    EXPECT_FALSE(is_refusal(failure)) << alert;
  }
  failure.alert = "bad_certificate";
  failure.alert_from_peer = false;  // ours
  EXPECT_FALSE(is_refusal(failure));
  tls::HandshakeFailure left;
  left.closed_after_certificate = true;
  EXPECT_TRUE(is_refusal(left));
}

TEST_F(Learning, TakesThreeRefusalsByAClientThatTrustsTheCa) {
  trust("other.example", app_);
  EXPECT_FALSE(refuse("pinned.example", app_));
  EXPECT_FALSE(refuse("pinned.example", app_));
  EXPECT_FALSE(passes("pinned.example", app_));
  EXPECT_TRUE(refuse("pinned.example", app_));
  EXPECT_TRUE(passes("pinned.example", app_));
}

TEST_F(Learning, HoldsForThatClientAndHostAlone) {
  trust("other.example", app_);
  for (int i = 0; i < 3; ++i) refuse("pinned.example", app_);
  EXPECT_FALSE(passes("other.example", app_));
  EXPECT_FALSE(passes("www.pinned.example", app_));
  EXPECT_FALSE(passes("pinned.example", other_app_));
  EXPECT_FALSE(passes("pinned.example", neighbour_));
}

TEST_F(Learning, NeverComesFromAClientThatTrustsNothing) {
  trust("pinned.example", app_);  // the host itself proves nothing of another
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(refuse("pinned.example", app_));
  trust("other.example", other_app_);  // ... nor does another client
  EXPECT_FALSE(refuse("pinned.example", app_));
  trust("other.example", app_);
  EXPECT_TRUE(refuse("pinned.example", app_)) << "what was counted before the proof counts";
}

TEST_F(Learning, ForgetsRefusalsThatLieTenMinutesApart) {
  trust("other.example", app_);
  refuse("pinned.example", app_);
  clock_.advance(minutes(5));
  refuse("pinned.example", app_);
  clock_.advance(minutes(5));
  EXPECT_FALSE(refuse("pinned.example", app_)) << "the first is too old";
  EXPECT_TRUE(refuse("pinned.example", app_));
}

TEST_F(Learning, EndsAfterAnHour) {
  trust("other.example", app_);
  for (int i = 0; i < 3; ++i) refuse("pinned.example", app_);
  clock_.advance(minutes(59));
  EXPECT_TRUE(passes("pinned.example", app_));
  EXPECT_EQ(table_.learned(clock_.mono()).size(), 1u);
  clock_.advance(minutes(1));
  EXPECT_FALSE(passes("pinned.example", app_));
  EXPECT_TRUE(table_.learned(clock_.mono()).empty());
}

TEST_F(Learning, StartsAnewWhereTheClientAsksSomethingAfterAll) {
  trust("other.example", app_);
  refuse("site.example", app_);
  refuse("site.example", app_);
  table_.served(app_, "site.example");
  EXPECT_FALSE(refuse("site.example", app_));
}

TEST_F(Learning, IsListedAndCanBeForgotten) {
  trust("other.example", app_);
  for (int i = 0; i < 3; ++i) refuse("pinned.example", app_);
  const auto list = table_.learned(clock_.mono());
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].host, "pinned.example");
  EXPECT_EQ(list[0].client, app_);
  EXPECT_EQ(list[0].until - clock_.mono(), Passthrough::kHolds);
  EXPECT_EQ(table_.forget("other.example"), 0u);
  EXPECT_EQ(table_.forget("pinned.example"), 1u);
  EXPECT_FALSE(passes("pinned.example", app_));
  EXPECT_FALSE(refuse("pinned.example", app_)) << "the count begins anew, too";
}

TEST_F(Learning, IsOffUnlessAskedFor) {
  Passthrough off(false);
  off.shook_hands(app_, "other.example", clock_.mono());
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(off.refused(app_, "pinned.example", clock_.mono()));
  EXPECT_FALSE(off.has_learned(app_, "pinned.example", clock_.mono()));
}

TEST_F(Learning, StaysBoundedWhateverClientsSay) {
  trust("other.example", app_);
  for (std::size_t i = 0; i < Passthrough::kMostEntries + 10; ++i) {
    clock_.advance(std::chrono::milliseconds(1));
    const TlsClient one{"10.0.0.3", std::to_string(i)};
    table_.shook_hands(one, "a.example", clock_.mono());
    table_.shook_hands(one, "b.example", clock_.mono());
    for (int k = 0; k < 3; ++k) table_.refused(one, "pinned.example", clock_.mono());
  }
  EXPECT_EQ(table_.learned(clock_.mono()).size(), Passthrough::kMostEntries);
  EXPECT_FALSE(passes("pinned.example", {"10.0.0.3", "0"})) << "the oldest went";
  EXPECT_TRUE(passes("pinned.example", {"10.0.0.3", std::to_string(Passthrough::kMostEntries + 9)}));
}

}  // namespace
}  // namespace sluice::proxy
