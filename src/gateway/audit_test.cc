#include "gateway/audit.h"

#include <gtest/gtest.h>

#include "base/fake_file.h"
#include "base/text.h"

namespace sluice::gateway {
namespace {

struct Fixture {
  FakeClock clock;
  SeededEntropy entropy{1};
  FakeFileSystem disk;
  std::unique_ptr<AuditLog> log;
  Fixture() {
    disk.add_directory("/a");
    log = *AuditLog::create(disk, clock, entropy, {"/a", 9, std::string(32, 'k')});
  }
  std::vector<Json> lines() const {
    std::vector<Json> out;
    const std::string content = *disk.content(log->path());
    for (const std::string_view line : split(content, '\n')) {
      if (line.empty()) continue;
      const auto parsed = parse_json(line);
      out.push_back(parsed ? *parsed : Json("torn"));
    }
    return out;
  }
  Status decide(const Json& arguments) {
    return log->append({.id = "1",
                        .grant = "g",
                        .session = "s",
                        .server = "sluice",
                        .method = "tools/call",
                        .tool = "t",
                        .arguments = &arguments});
  }
};

TEST(Audit, EqualArgumentsHaveEqualHashesAndValuesAreNeverWritten) {
  Fixture fixture;
  ASSERT_TRUE(fixture.decide({{"password", "hunter2"}, {"a", 1}}));
  ASSERT_TRUE(fixture.decide({{"password", "hunter2"}, {"a", 1}}));
  ASSERT_TRUE(fixture.decide({{"password", "hunter3"}, {"a", 1}}));
  const auto lines = fixture.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1]["arguments"], Json::array({"a", "password"}));
  EXPECT_EQ(lines[1]["arguments_hmac"].get<std::string>().size(), 64u);
  EXPECT_EQ(lines[1]["arguments_hmac"], lines[2]["arguments_hmac"]);
  EXPECT_NE(lines[1]["arguments_hmac"], lines[3]["arguments_hmac"]);
  EXPECT_EQ(fixture.disk.content(fixture.log->path())->find("hunter"), std::string::npos);
}

TEST(Audit, ALineStaysALineWhateverIsInIt) {
  Fixture fixture;
  const Json arguments = {{"a\n{\"type\":\"outcome\"}", 1}, {std::string("\x1b[31m\xff", 6), 2}};
  ASSERT_TRUE(fixture.decide(arguments));
  const std::string content = *fixture.disk.content(fixture.log->path());
  EXPECT_EQ(std::count(content.begin(), content.end(), '\n'), 2);
  EXPECT_EQ(content.find('\x1b'), std::string::npos);
  EXPECT_TRUE(is_utf8(content));
}

TEST(Audit, AFullDiskIsToldAndLeavesNoTornLine) {
  for (std::size_t left = 0; left < 60; ++left) {
    Fixture fixture;
    fixture.disk.tear_append(left);
    EXPECT_FALSE(fixture.decide({{"a", 1}}));
    ASSERT_TRUE(fixture.decide({{"a", 2}}));
    const auto lines = fixture.lines();
    ASSERT_EQ(lines.size(), 2u) << left;
    EXPECT_EQ(lines[1]["type"], "decision");
  }
}

TEST(Audit, ATornLineThatCannotBeTakenBackStaysAlone) {
  Fixture fixture;
  fixture.disk.tear_append(10);
  fixture.disk.fail_operation(2);  // the truncation
  EXPECT_FALSE(fixture.decide({{"a", 1}}));
  ASSERT_TRUE(fixture.decide({{"a", 2}}));
  const auto lines = fixture.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], "torn");
  EXPECT_EQ(lines[2]["type"], "decision");
}

TEST(Audit, TwoLogsOfOneMillisecondAreTwoFiles) {
  Fixture fixture;
  const auto second = AuditLog::create(fixture.disk, fixture.clock, fixture.entropy, {"/a", 9, ""});
  ASSERT_TRUE(second);
  EXPECT_NE((*second)->path(), fixture.log->path());
}

TEST(Audit, AnOutcomeThatCannotBeWrittenIsCounted) {
  Fixture fixture;
  fixture.disk.fail_from(1);
  fixture.log->append(AuditLog::OutcomeRecord{"1", "ok", {}, 3});
  EXPECT_EQ(fixture.log->lost(), 1u);
}

}  // namespace
}  // namespace sluice::gateway
