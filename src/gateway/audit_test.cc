#include "gateway/audit.h"

#include <gtest/gtest.h>

#include "gateway/test_audit.h"

namespace sluice::gateway {
namespace {

using Fixture = AuditFixture;

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
  EXPECT_EQ(fixture.text().find("hunter"), std::string::npos);
}

TEST(Audit, TheHashesOfArgumentsAreComparableAcrossProcesses) {
  Fixture fixture;
  ASSERT_TRUE(fixture.decide({{"a", 1}}));
  const Json before = fixture.lines()[1];
  fixture.restart();
  ASSERT_TRUE(fixture.decide({{"a", 1}}));
  EXPECT_EQ(fixture.lines()[1]["arguments_hmac"], before["arguments_hmac"]);
}

TEST(Audit, ALineStaysALineWhateverIsInIt) {
  Fixture fixture;
  const Json arguments = {{"a\n{\"type\":\"outcome\"}", 1}, {std::string("\x1b[31m\xff", 6), 2}};
  ASSERT_TRUE(fixture.decide(arguments));
  const std::string content = fixture.text();
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
    EXPECT_TRUE(fixture.verify().bad.empty());
  }
}

TEST(Audit, WhereTheLogIsOptionalAFullDiskLetsCallsRunAndTheNextLineSaysHowManyAreMissing) {
  Fixture fixture({.required = false});
  fixture.disk.set_capacity(fixture.disk.stored());
  EXPECT_TRUE(fixture.decide({{"a", 1}}));
  EXPECT_TRUE(fixture.decide({{"a", 1}}));
  EXPECT_EQ(fixture.log->lost(), 2u);
  fixture.disk.set_capacity(std::nullopt);
  EXPECT_TRUE(fixture.decide({{"a", 1}}));
  const auto lines = fixture.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1]["type"], "lost");
  EXPECT_EQ(lines[1]["lines"], 2);
  EXPECT_EQ(fixture.verify().lost, 2u);
}

TEST(Audit, ATornLineThatCannotBeTakenBackEndsTheFileAndTheNextContinuesIt) {
  Fixture fixture;
  const std::string torn = fixture.log->path();
  fixture.disk.tear_append(10);
  fixture.disk.fail_operation(2);  // the truncation behind it
  EXPECT_FALSE(fixture.decide({{"a", 1}}));
  fixture.disk.fail_operation(1);  // and the one before the next line
  ASSERT_TRUE(fixture.decide({{"a", 2}}));
  EXPECT_NE(fixture.log->path(), torn);
  EXPECT_EQ(fixture.lines()[1]["type"], "decision");
  fixture.log.reset();
  const AuditReport report = fixture.verify();
  EXPECT_TRUE(report.bad.empty()) << to_string(report.bad.front());
  EXPECT_EQ(report.torn.size(), 1u);
}

TEST(Audit, AFullFileIsFollowedByTheNextThatNamesItsLastLine) {
  Fixture fixture({.file_size = 4 * kKiB});
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(fixture.run_call(std::to_string(i)));
  const auto names = fixture.names();
  ASSERT_GT(names.size(), 3u);
  for (const std::string& name : names) {
    const auto lines = fixture.lines(name);
    EXPECT_LT(fixture.disk.content("/a/" + name)->size(), 6 * kKiB);
    EXPECT_EQ(lines.front()["type"], "head");
    if (name == names.front()) continue;
    EXPECT_EQ(lines.front()["reason"], "full");
    EXPECT_EQ(lines.front()["continues"], lines.front()["predecessor"]);
  }
  EXPECT_TRUE(fixture.verify().bad.empty());
  EXPECT_TRUE(fixture.verify().unknown.empty());
}

TEST(Audit, TwoProcessesHaveFilesOfTheirOwnInOneRow) {
  Fixture fixture;
  const auto second = fixture.another(10);
  ASSERT_TRUE(fixture.decide({{"a", 1}}));
  EXPECT_EQ(fixture.names(), (std::vector<std::string>{"00000001-9.jsonl", "00000002-10.jsonl"}));
  EXPECT_EQ(fixture.lines("00000002-10.jsonl").front()["predecessor"]["file"], "00000001-9.jsonl");
  EXPECT_TRUE(fixture.verify().bad.empty());
}

TEST(Audit, BeyondItsBoundNoCallBeginsAndThoseThatRunStillHaveTheirOutcome) {
  Fixture fixture({.file_size = 16 * kKiB, .total_size = 100 * kKiB});
  int begun = 0;
  while (begun < 1'000 && fixture.decide({{"a", 1}}, std::to_string(begun))) ++begun;
  EXPECT_GT(begun, 20);
  EXPECT_LT(begun, 200);
  EXPECT_NE(fixture.decide({}).error().message.find("--audit-max-mb"), std::string::npos);
  fixture.log->append(AuditLog::OutcomeRecord{"0", "ok", {}, 3});
  EXPECT_EQ(fixture.log->lost(), 0u);
}

TEST(Audit, AnOutcomeThatCannotBeWrittenIsCounted) {
  Fixture fixture;
  fixture.disk.fail_from(1);
  fixture.log->append(AuditLog::OutcomeRecord{"1", "ok", {}, 3});
  EXPECT_EQ(fixture.log->lost(), 1u);
}

TEST(Audit, HeadsAreToldToWhoeverKeepsThemElsewhere) {
  std::vector<Json> heads;
  Fixture fixture({.on_head = [&](const Json& head) { heads.push_back(head); }});
  ASSERT_TRUE(fixture.run_call("1"));
  fixture.log->checkpoint();
  fixture.log->checkpoint();  // nothing is new
  fixture.log.reset();
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_EQ(heads[0]["type"], "head");
  EXPECT_EQ(heads[1]["type"], "checkpoint");
  EXPECT_EQ(heads[1]["seq"], 3);
  EXPECT_EQ(heads[2]["type"], "end");
}

TEST(Audit, AKeyThatOthersCanReadIsRefused) {
  SystemFileSystem files;
  SeededEntropy entropy(1);
  const std::string directory = ::testing::TempDir() + "audit_key_" + std::to_string(::getpid());
  ASSERT_TRUE(files.make_directories(directory));
  const std::string path = directory + "/audit.key";
  ASSERT_TRUE(AuditKey::load_or_create(files, path, entropy));
  EXPECT_EQ(*(*files.open(path, OpenMode::kRead))->permissions(), 0600u);
  ASSERT_TRUE(AuditKey::load_or_create(files, path, entropy));
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto refused = AuditKey::load_or_create(files, path, entropy);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRefused);
  ASSERT_TRUE(files.remove_tree(directory));
}

}  // namespace
}  // namespace sluice::gateway
