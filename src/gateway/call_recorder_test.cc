#include "gateway/call_recorder.h"

#include <gtest/gtest.h>

#include "base/fake_file.h"
#include "base/text.h"
#include "gateway/call_records.h"

namespace sluice::gateway {
namespace {

struct Fixture {
  FakeClock clock;
  SeededEntropy entropy{1};
  FakeFileSystem disk;
  CallRecorder::Options bounds;
  std::unique_ptr<CallRecorder> recorder;

  explicit Fixture(ByteCount file_size = 8 * kMiB, ByteCount total_size = 256 * kMiB) {
    bounds.file_size = file_size;
    bounds.total_size = total_size;
    disk.add_directory("/c");
    recorder = open(7);
  }
  static Secret key(char c = 'k') { return Secret(std::string(kKeySize, c)); }
  std::unique_ptr<CallRecorder> open(int pid) {
    CallRecorder::Options options;
    options.directory = "/c";
    options.key = key();
    options.pid = pid;
    options.file_size = bounds.file_size;
    options.total_size = bounds.total_size;
    auto made = CallRecorder::create(disk, clock, entropy, std::move(options));
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? *std::move(made) : nullptr;
  }
  void keep(const Json& arguments, std::string_view tool = "t") {
    clock.advance(std::chrono::milliseconds(1));
    recorder->append({.grant = "g",
                      .server = "s",
                      .method = "tools/call",
                      .tool = tool,
                      .decision = "allow",
                      .rule = "",
                      .approver = "",
                      .risk = "write",
                      .arguments = &arguments});
  }
  Result<CallRecords> read(char with = 'k') { return read_calls(disk, "/c", key(with)); }
  std::vector<std::string> names() { return *disk.list("/c"); }
};

TEST(CallRecorder, CallsAreReadAsTheyWereKept) {
  Fixture fixture;
  fixture.keep({{"b", 1}, {"a", {{"secret", "hunter2"}}}});
  fixture.recorder->append({.grant = "h",
                            .server = "s",
                            .method = "resources/read",
                            .tool = "x://y",
                            .decision = "deny",
                            .rule = "/r",
                            .approver = "admin",
                            .risk = ""});
  const auto read = fixture.read();
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->calls.size(), 2u);
  EXPECT_EQ(read->calls[0].arguments, R"({"a":{"secret":"hunter2"},"b":1})");
  EXPECT_EQ(read->calls[0].tool, "t");
  EXPECT_EQ(read->calls[0].risk, "write");
  EXPECT_EQ(read->calls[0].time_ms, unix_ms(fixture.clock.wall()));
  EXPECT_EQ(read->calls[1].method, "resources/read");
  EXPECT_EQ(read->calls[1].approver, "admin");
  EXPECT_FALSE(read->calls[1].arguments);
}

TEST(CallRecorder, NothingOfACallStandsInClear) {
  Fixture fixture;
  fixture.keep({{"password", "hunter2"}}, "the_tool");
  const std::string content = *fixture.disk.content("/c/" + fixture.names().at(0));
  std::string plain = content;
  for (const std::string_view line : split(content, '\n')) plain += base64_decode(line).value_or("");
  for (const char* word : {"hunter2", "password", "the_tool"}) EXPECT_EQ(plain.find(word), std::string::npos);
}

TEST(CallRecorder, AnotherKeyOrAnAlteredLineIsSaid) {
  Fixture fixture;
  fixture.keep({{"a", 1}});
  fixture.keep({{"a", 2}});
  fixture.keep({{"a", 3}});
  EXPECT_NE(fixture.read('x').error().message.find("sealed with another key"), std::string::npos);
  const std::string path = "/c/" + fixture.names().at(0), content = *fixture.disk.content(path);
  std::vector<std::string_view> lines = split(content, '\n');
  ASSERT_EQ(lines.size(), 5u);
  const auto put = [&](std::vector<std::string_view> order) {
    std::string text;
    for (const auto line : order) text.append(line).append("\n");
    fixture.disk.put(path, text);
    return fixture.read();
  };
  EXPECT_TRUE(put({lines[0], lines[1], lines[2], lines[3]}));
  for (const auto& order : std::vector<std::vector<std::string_view>>{{lines[0], lines[2], lines[1], lines[3]},
                                                                      {lines[0], lines[1], lines[3]},
                                                                      {lines[0], lines[1], lines[1]},
                                                                      {lines[0], lines[1], "AAAA"},
                                                                      {lines[0], ""},
                                                                      {lines[1]}}) {
    const auto read = put(order);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::kRefused);
  }
}

TEST(CallRecorder, ALineThatIsBeingWrittenIsLeftOut) {
  Fixture fixture;
  fixture.keep({{"a", 1}});
  fixture.keep({{"a", 2}});
  const std::string path = "/c/" + fixture.names().at(0), content = *fixture.disk.content(path);
  for (std::size_t cut = 1; cut < 40; ++cut) {
    fixture.disk.put(path, content.substr(0, content.size() - cut));
    const auto read = fixture.read();
    ASSERT_TRUE(read) << cut << read.error().message;
    EXPECT_EQ(read->calls.size(), 1u);
  }
}

TEST(CallRecorder, AFullDiskLosesCallsAndSaysSoLater) {
  Fixture fixture;
  fixture.keep({{"a", 1}});
  fixture.disk.set_capacity(fixture.disk.stored() + 10);
  for (int i = 0; i < 5; ++i) fixture.keep({{"a", i}});
  EXPECT_EQ(fixture.recorder->lost(), 5u);
  fixture.disk.set_capacity(std::nullopt);
  fixture.keep({{"a", 9}});
  const auto read = fixture.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->lost, 5u);
  ASSERT_EQ(read->calls.size(), 2u);
  EXPECT_EQ(read->calls[1].arguments, R"({"a":9})");
}

TEST(CallRecorder, FilesEndAndTheOldestGo) {
  Fixture fixture(4 * kKiB, 16 * kKiB);
  const std::string text(500, 'x');
  for (int i = 0; i < 200; ++i) fixture.keep({{"a", i}, {"text", text}});
  EXPECT_LE(fixture.disk.stored(), 16 * kKiB);
  EXPECT_GE(fixture.names().size(), 3u);
  const auto read = fixture.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_NE(read->calls.back().arguments->find(R"("a":199)"), std::string::npos);
  EXPECT_LT(read->calls.size(), 100u);
}

TEST(CallRecorder, OldFilesGoButNotThoseThatAnotherProcessWrites) {
  Fixture fixture;
  fixture.keep({{"a", 1}});
  const std::string first = fixture.names().at(0);
  fixture.clock.advance(std::chrono::hours(25));
  fixture.keep({{"a", 2}});  // a day's file
  ASSERT_EQ(fixture.names().size(), 2u);
  fixture.clock.advance(std::chrono::hours(24 * 31));
  fixture.disk.hold_lock("/c/" + fixture.names().at(1));
  fixture.recorder = fixture.open(8);
  EXPECT_EQ(fixture.names().size(), 2u);  // the one that is held, and the new one
  EXPECT_NE(fixture.names().at(0), first);
}

TEST(CallRecorder, ASchemaIsKeptOnceInAFile) {
  Fixture fixture;
  const Json schema = {{"type", "object"}, {"properties", {{"a", {{"type", "string"}}}}}}, arguments = Json::object();
  for (int i = 0; i < 3; ++i) {
    fixture.recorder->append({.grant = "g",
                              .server = "s",
                              .method = "tools/call",
                              .tool = "t",
                              .decision = "allow",
                              .rule = "",
                              .approver = "",
                              .risk = "",
                              .arguments = &arguments,
                              .schema = &schema});
  }
  const auto read = fixture.read();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->calls.size(), 3u);
  EXPECT_EQ(read->schemas.at({"s", "t"}), dump_json(schema));
  EXPECT_EQ(split(*fixture.disk.content("/c/" + fixture.names().at(0)), '\n').size(), 6u);
}

TEST(CallRecorder, ACallThatIsLargerThanAFileIsLostAndTheNextIsKept) {
  Fixture fixture(4 * kKiB, 16 * kKiB);
  fixture.keep({{"a", std::string(5'000, 'x')}});
  fixture.keep({{"a", 1}});
  const auto read = fixture.read();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->calls.size(), 1u);
  EXPECT_EQ(read->lost, 1u);
}

TEST(CallRecorder, TwoProcessesKeepTheirOwnFiles) {
  Fixture fixture;
  auto other = fixture.open(8);
  fixture.keep({{"a", 1}});
  const Json arguments = {{"a", 2}};
  fixture.clock.advance(std::chrono::milliseconds(1));
  other->append({.grant = "g",
                 .server = "s",
                 .method = "tools/call",
                 .tool = "t",
                 .decision = "allow",
                 .rule = "",
                 .approver = "",
                 .risk = "",
                 .arguments = &arguments});
  fixture.keep({{"a", 3}});
  const auto read = fixture.read();
  ASSERT_TRUE(read);
  ASSERT_EQ(read->calls.size(), 3u);
  EXPECT_EQ(read->calls[1].arguments, R"({"a":2})");
}

TEST(CallRecorder, AFolderWithoutCallsIsSaid) {
  FakeFileSystem disk;
  disk.add_directory("/d");
  disk.put("/d/notes.txt", "x");
  EXPECT_EQ(read_calls(disk, "/d", Fixture::key()).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace sluice::gateway
