// The small ones: ids, entropy, clock, result, secret.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/text.h"

namespace sluice {
namespace {

TEST(Uuid, IsOfVersionFourAndNeverTheSame) {
  SystemEntropy entropy;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = make_uuid(entropy);
    ASSERT_EQ(uuid.size(), 36u);
    for (std::size_t dash : {8u, 13u, 18u, 23u}) ASSERT_EQ(uuid[dash], '-');
    ASSERT_EQ(uuid[14], '4');
    ASSERT_NE(std::string_view("89ab").find(uuid[19]), std::string_view::npos);
    ASSERT_EQ(uuid, to_lower(uuid));
    ASSERT_TRUE(seen.insert(uuid).second);
  }
}

TEST(Id, OrdersAndTellsNothingFromSomething) {
  EXPECT_FALSE(ExchangeSeq{});
  EXPECT_TRUE(ExchangeSeq{1});
  EXPECT_LT(ExchangeSeq{1}, ExchangeSeq{2});
  EXPECT_EQ(std::hash<ExchangeSeq>()(ExchangeSeq{3}), std::hash<ExchangeSeq>()(ExchangeSeq{3}));
}

TEST(Entropy, OfOneSeedIsAlwaysTheSame) {
  SeededEntropy a(5);
  SeededEntropy b(5);
  SeededEntropy c(6);
  const std::string token = random_token(a, 32);
  EXPECT_EQ(token.size(), 43u);
  EXPECT_EQ(token, random_token(b, 32));
  EXPECT_NE(token, random_token(c, 32));
  EXPECT_EQ(base64_decode(token)->size(), 32u);
  EXPECT_EQ(random_token(a, 0), "");
}

TEST(Clock, WritesTimesAsPeopleReadThem) {
  FakeClock clock;
  EXPECT_EQ(iso8601_ms(clock.wall()), "2023-11-14T22:13:20.000Z");
  clock.advance(std::chrono::milliseconds(1234));
  EXPECT_EQ(iso8601_ms(clock.wall()), "2023-11-14T22:13:21.234Z");
  EXPECT_EQ(unix_ms(clock.wall()), 1'700'000'001'234);
  EXPECT_EQ(iso8601_ms(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso8601_ms(WallTime(std::chrono::milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Code::kInvalid, "odd");
  return number / 2;
}
Result<int> quarter(int number) {
  SLUICE_TRY(const int once, half(number));
  SLUICE_TRY(const int twice, half(once));
  return twice;
}
Status check_even(int number) {
  SLUICE_CHECK(half(number));
  return {};
}

TEST(Result, HandsErrorsOn) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(1).error().code, Code::kInvalid);
  EXPECT_EQ(quarter(6).error().with_context("halving").message, "halving: odd");
  EXPECT_EQ(to_string(Code::kTooLarge), "too_large");
  EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
}

TEST(Secret, MovesAndLeavesNothingBehind) {
  Secret secret("token");
  Secret moved(std::move(secret));
  EXPECT_EQ(moved.view(), "token");
  EXPECT_TRUE(secret.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(secret.view(), "");
  Secret other("older");
  other = std::move(moved);
  EXPECT_EQ(other.view(), "token");
  EXPECT_TRUE(Secret().empty());
  EXPECT_TRUE(Secret("").empty());
}

}  // namespace
}  // namespace sluice
