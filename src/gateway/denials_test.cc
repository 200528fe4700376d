#include "gateway/denials.h"

#include "gateway/test_audit.h"

namespace sluice::gateway {
namespace {

TEST(Denials, AFloodBecomesOneLineASecondForEachGrant) {
  AuditFixture fixture;
  Denials denials(fixture.clock, *fixture.log);
  std::size_t own_lines = 0;
  for (int i = 0; i < 5'000; ++i) own_lines += denials.add("loop", "(default deny)");
  EXPECT_EQ(own_lines, 600u);
  EXPECT_TRUE(denials.add("calm", "(hidden)")) << "another grant has its own";
  denials.each_second();
  denials.each_second();
  const auto lines = fixture.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["type"], "denials");
  EXPECT_EQ(lines[1]["grant"], "loop");
  EXPECT_EQ(lines[1]["count"], 4'400);
  EXPECT_EQ(lines[1]["rule"], "(default deny)");
  fixture.clock.advance(std::chrono::minutes(1));
  EXPECT_TRUE(denials.add("loop", "(default deny)"));
}

TEST(Denials, WhatIsTalliedHasALineForEachGrantAndEachRule) {
  AuditFixture fixture;
  Denials denials(fixture.clock, *fixture.log);
  for (int i = 0; i < 3; ++i) denials.tally("loop", "(malformed)");
  denials.tally("loop", "(unknown)");
  denials.tally("calm", "(unknown)");
  denials.each_second();
  std::map<std::string, int> counted;
  for (const Json& line : fixture.lines()) {
    if (line["type"] != "denials") continue;
    counted[line["grant"].get<std::string>() + line["rule"].get<std::string>()] = line["count"];
  }
  const std::map<std::string, int> expected{{"loop(malformed)", 3}, {"loop(unknown)", 1}, {"calm(unknown)", 1}};
  EXPECT_EQ(counted, expected);
}

TEST(Denials, AGrantThatIsShutOutStaysSoUntilTheWindowEnds) {
  AuditFixture fixture;
  Denials denials(fixture.clock, *fixture.log);
  const WallTime until = fixture.clock.wall() + std::chrono::seconds(10);
  denials.shut_out("loop", until);
  EXPECT_EQ(denials.shut_out_until("loop"), until);
  EXPECT_FALSE(denials.shut_out_until("calm"));
  denials.each_second();
  EXPECT_EQ(fixture.lines().back()["rule"], "/max_denials");
  fixture.clock.advance(std::chrono::seconds(10));
  EXPECT_FALSE(denials.shut_out_until("loop"));
}

}  // namespace
}  // namespace sluice::gateway
