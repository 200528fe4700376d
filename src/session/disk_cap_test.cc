// One cap over all recordings of a root.
#include <gtest/gtest.h>

#include "session/session_test_support.h"

namespace sluice::session {
namespace {

struct DiskCaps : StoreFixture, testing::Test {
  void cap(std::uint64_t megabytes, OnCap on_cap) {
    StoreDeps deps{clock, entropy, ring.get(), nullptr, directory.path(), {}, {}, {}};
    deps.open_known = deps.open_given = [](const std::string& path) -> Result<Root> {
      SLUICE_TRY(auto files, BeneathFileSystem::open(path, "", BeneathFileSystem::IfAbsent::kMake));
      return Root{files->path(), std::shared_ptr<FileSystem>(std::move(files))};
    };
    deps.disk_cap = {megabytes, on_cap};
    store = std::make_unique<Store>(std::move(deps));
  }
  // Some 600 KiB.
  std::string record_some() {
    std::vector<Spec> specs(6, Spec{.response_body = std::string(100'000, 'x')});
    clock.advance(std::chrono::seconds(2));  // ids say when
    return record(specs, {.profile = Profile::kFull});
  }
  std::size_t sessions() { return store->list()->size(); }
};

TEST_F(DiskCaps, NothingNewBeginsWhereAllTogetherTakeAsMuch) {
  cap(3, OnCap::kStop);
  std::size_t made = 0;
  for (; made < 10; ++made) {
    clock.advance(std::chrono::seconds(2));
    const auto started = store->start({.profile = Profile::kFull});
    if (!started) {
      EXPECT_EQ(started.error().code, Code::kTooLarge);
      EXPECT_NE(started.error().message.find("proxy_delete_session"), std::string::npos);
      break;
    }
    for (int i = 0; i < 10; ++i) exchange({.response_body = std::string(100'000, 'x')});
    stop();
  }
  EXPECT_EQ(made, 3u);
  EXPECT_EQ(sessions(), 3u);
  ByteCount all = 0;
  const std::vector<Manifest> listed = *store->list();
  for (const Manifest& one : listed) all += one.bytes_written;
  EXPECT_LE(all, 3 * kMiB);
  EXPECT_EQ(store->disk_use().dropped, 0u);
  ASSERT_TRUE(store->remove(store->list()->front().id));
  EXPECT_TRUE(store->start({}));
}

TEST_F(DiskCaps, OneRecordingEndsWhereTheOthersLeaveNoRoom) {
  cap(3, OnCap::kStop);
  record_some();
  const std::string id = start({.profile = Profile::kFull, .max_disk_mb = 100});
  for (int i = 0; i < 60; ++i) {
    exchange({.response_body = std::string(100'000, 'x')});
    ring->pump();
  }
  const Manifest manifest = stop();
  EXPECT_EQ(manifest.max_disk_mb, 2u);
  EXPECT_LE(manifest.bytes_written, 2 * kMiB);
  EXPECT_NE(manifest.last_error.value_or("").find("cap"), std::string::npos);
}

TEST_F(DiskCaps, OrTheOldestRecordingsGo) {
  cap(3, OnCap::kDropOldest);
  std::vector<std::string> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(record_some());
  clock.advance(std::chrono::seconds(2));
  start({});
  EXPECT_GE(store->disk_use().dropped, 4u);
  EXPECT_LE(store->disk_use().others + kMiB, 3 * kMiB);
  EXPECT_FALSE(store->get(ids.front()));
  EXPECT_TRUE(store->get(ids.back()));
  stop();
}

}  // namespace
}  // namespace sluice::session
