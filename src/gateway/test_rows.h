// Tests of what stands on gate_rows.h, over every place where the rows may lie: TEST_P of a fixture that derives from
// RowsTest, and INSTANTIATE_EVERYWHERE(fixture).
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "gateway/gate_db.h"
#include "gateway/redis_state.h"
#include "gateway/test_redis.h"

namespace sluice::gateway {

enum class Where { kStateDb, kRedis };

class RowsTest : public ::testing::TestWithParam<Where> {
 protected:
  RowsTest() {
    std::filesystem::create_directories(directory_);
    if (in_redis()) (void)redis_->command("flushall");
  }
  ~RowsTest() override { std::filesystem::remove_all(directory_); }
  void SetUp() override {
    if (in_redis() && !redis_->is_there()) GTEST_SKIP() << "redis-server cannot be started";
  }
  static void SetUpTestSuite() { redis_ = std::make_unique<TestRedis>(); }
  static void TearDownTestSuite() { redis_.reset(); }

  static bool in_redis() { return GetParam() == Where::kRedis; }
  // As another process sees them: on another machine, where they can be.
  std::unique_ptr<GateRows> open() {
    if (!in_redis()) return std::make_unique<GateDb>(path_);
    const std::string home = directory_ + "/home" + std::to_string(++homes_) + ".db";
    return std::make_unique<RedisState>(redis_->link(redis_->options()), home);
  }
  // Every octet that is kept.
  std::string kept() {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      std::ifstream file(entry.path(), std::ios::binary);
      all.append(std::istreambuf_iterator<char>(file), {});
    }
    if (in_redis()) all += redis_->answer("hgetall sluice:gate") + redis_->answer("hgetall sluice:gate:grants");
    return all;
  }
  // Nothing can be read until mend().
  void spoil() { change(in_redis() ? "rename sluice:mark elsewhere" : "ALTER TABLE gate_revisions RENAME TO gone"); }
  void mend() {
    change(in_redis() ? "rename elsewhere sluice:mark" : "ALTER TABLE gone RENAME TO gate_revisions");
    redis_->clock().advance(std::chrono::seconds(2));  // the pause behind a failure
  }

 private:
  void change(const char* command) {
    if (in_redis()) {
      ASSERT_TRUE(redis_->command(command));
      return;
    }
    SqliteFile file(path_, std::chrono::seconds(2), SqliteFile::Sync::kNormal);
    ASSERT_TRUE(file.open(SqliteFile::IfMissing::kLeave, [] { return Status(); }));
    ASSERT_TRUE(file.run(command));
    std::this_thread::sleep_for(GateDb::kBellTrusted);  // the bell tells nothing of it
  }

 protected:
  const std::string directory_ = ::testing::TempDir() + "sluice-rows-" + std::to_string(::getpid());
  const std::string path_ = directory_ + "/state.db";
  static inline std::unique_ptr<TestRedis> redis_;
  int homes_ = 0;
};

inline std::string where_name(const ::testing::TestParamInfo<Where>& info) {
  return info.param == Where::kRedis ? "Redis" : "StateDb";
}

#define INSTANTIATE_EVERYWHERE(fixture) \
  INSTANTIATE_TEST_SUITE_P(, fixture, ::testing::Values(Where::kStateDb, Where::kRedis), where_name)

}  // namespace sluice::gateway
