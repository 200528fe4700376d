// What changed is told by the bell, never missed, and asked of SQLite where the bell cannot be trusted.
#include "gateway/gate_bell.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "gateway/gate_db.h"

namespace sluice::gateway {
namespace {

class GateBellTest : public ::testing::Test {
 protected:
  GateBellTest() { std::filesystem::create_directories(directory_); }
  ~GateBellTest() override { std::filesystem::remove_all(directory_); }

  static Status add(GateDb& db, const std::string& name) {
    Grant grant;
    grant.name = name;
    return db.change(GateRows::Part::kGrants, [&] { return db.put(grant); });
  }
  static std::int64_t revision(GateDb& db) { return db.revision(GateRows::Part::kGrants).value_or(-1); }
  // Whether SQLite is asked: without its table it could not answer.
  bool asks_sqlite(GateDb& db) {
    rename("gate_revisions", "gone");
    const bool asked = !db.revision(GateRows::Part::kGrants).has_value();
    rename("gone", "gate_revisions");
    return asked;
  }
  void rename(const std::string& from, const std::string& to) {
    SqliteFile file(path_, std::chrono::seconds(2), SqliteFile::Sync::kNormal);
    ASSERT_TRUE(file.open(SqliteFile::IfMissing::kLeave, [] { return Status(); }));
    ASSERT_TRUE(file.run(("ALTER TABLE " + from + " RENAME TO " + to).c_str()));
  }

  const std::string directory_ = ::testing::TempDir() + "sluice-gate-bell-" + std::to_string(::getpid());
  const std::string path_ = directory_ + "/state.db", bell_ = path_ + "-bell";
};

TEST_F(GateBellTest, AsLongAsNothingChangesSqliteIsNotAsked) {
  GateDb writer(path_), reader(path_);
  ASSERT_TRUE(add(writer, "a"));
  EXPECT_EQ(revision(reader), 1);
  EXPECT_FALSE(asks_sqlite(reader));
}

TEST_F(GateBellTest, EachChangeIsKnownAtOnce) {
  GateDb writer(path_), reader(path_);
  for (int i = 1; i <= 50; ++i) {
    ASSERT_TRUE(add(writer, "g" + std::to_string(i)));
    ASSERT_EQ(revision(reader), i);
    ASSERT_EQ(revision(reader), i);
  }
}

TEST_F(GateBellTest, EachChangeOfAnotherProcessIsKnownAtOnce) {
  GateDb reader(path_);
  ASSERT_TRUE(add(reader, "first"));
  for (int i = 2; i <= 10; ++i) {
    ASSERT_EQ(revision(reader), i - 1);
    const pid_t child = ::fork();
    if (child == 0) {
      GateDb writer(path_);
      ::_exit(add(writer, "g" + std::to_string(i)) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_EQ(revision(reader), i);
  }
}

TEST_F(GateBellTest, AChangeThatIsUnderWayOrWasNeverSettledIsAskedFor) {
  GateDb writer(path_), reader(path_);
  ASSERT_TRUE(add(writer, "a"));
  EXPECT_EQ(revision(reader), 1);
  GateBell dying(bell_);
  dying.begin(0, 2);  // and it died before its commit
  EXPECT_TRUE(asks_sqlite(reader));
  EXPECT_EQ(revision(reader), 1);
  EXPECT_TRUE(asks_sqlite(reader));
  ASSERT_TRUE(add(writer, "b"));
  EXPECT_EQ(revision(reader), 2);
  EXPECT_FALSE(asks_sqlite(reader));
}

TEST_F(GateBellTest, WhoeverFindsAChangeCommittedSettlesItForOneThatDied) {
  GateDb writer(path_), reader(path_);
  ASSERT_TRUE(add(writer, "a"));
  GateBell(bell_).begin(0, 1);  // it had committed, and died before it settled
  EXPECT_EQ(revision(reader), 1);
  EXPECT_EQ(revision(reader), 1);
  EXPECT_FALSE(asks_sqlite(reader));
}

TEST_F(GateBellTest, WhatTheBellDoesNotTellIsKnownALittleLater) {
  GateDb writer(path_), reader(path_);
  ASSERT_TRUE(add(writer, "a"));
  EXPECT_EQ(revision(reader), 1);
  SqliteFile other(path_, std::chrono::seconds(2), SqliteFile::Sync::kNormal);
  ASSERT_TRUE(other.open(SqliteFile::IfMissing::kLeave, [] { return Status(); }));
  ASSERT_TRUE(other.run("UPDATE gate_revisions SET revision = 7 WHERE part = 1"));
  std::this_thread::sleep_for(GateDb::kBellTrusted);
  EXPECT_EQ(revision(reader), 7);
}

TEST_F(GateBellTest, WithoutAFileOfItsOwnSqliteIsAskedEachTime) {
  std::filesystem::create_symlink(directory_ + "/elsewhere", bell_);
  GateDb writer(path_), reader(path_);
  ASSERT_TRUE(add(writer, "a"));
  EXPECT_EQ(revision(reader), 1);
  EXPECT_TRUE(asks_sqlite(reader));
  ASSERT_TRUE(add(writer, "b"));
  EXPECT_EQ(revision(reader), 2);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/elsewhere"));
}

TEST_F(GateBellTest, ItsFileIsForItsOwnerAlone) {
  GateDb writer(path_);
  ASSERT_TRUE(add(writer, "a"));
  struct stat info {};
  ASSERT_EQ(::lstat(bell_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

}  // namespace
}  // namespace sluice::gateway
