#include "session/manifest_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "base/fake_file.h"

namespace sluice::session {
namespace {

// Tells stamps as a test says, and counts what is opened.
class StampedFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    ++opened;
    return disk.open(path, mode);
  }
  Status make_directories(const std::string& path) override { return disk.make_directories(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override { return disk.list(directory); }
  Status rename(const std::string& from, const std::string& to) override { return disk.rename(from, to); }
  Status remove(const std::string& path) override { return disk.remove(path); }
  Status remove_tree(const std::string& directory) override { return disk.remove_tree(directory); }
  bool exists(const std::string& path) override { return disk.exists(path); }
  std::optional<FileStamp> stamp(const std::string& path) override {
    if (const auto found = stamps.find(path); found != stamps.end()) return found->second;
    return std::nullopt;
  }

  void put(const std::string& directory, const std::string& name, std::optional<std::uint64_t> inode) {
    Manifest manifest;
    manifest.id = "20261122055240_faicm8me";
    manifest.name = name;
    disk.put(manifest_path(directory), dump_json(manifest_json(manifest)));
    stamps.erase(manifest_path(directory));
    if (inode) stamps[manifest_path(directory)] = FileStamp{1, *inode, 100, 5, 5};
  }

  FakeFileSystem disk;
  std::map<std::string, FileStamp> stamps;
  int opened = 0;
};

struct ManifestCacheTest : testing::Test {
  std::string name(const std::string& directory = "/s") {
    const auto manifest = cache.load(files, directory);
    return manifest ? manifest->name.value_or("none") : "error: " + manifest.error().message;
  }
  StampedFileSystem files;
  ManifestCache cache;
};

TEST_F(ManifestCacheTest, WhatDidNotChangeIsReadOnce) {
  files.put("/s", "one", 7);
  EXPECT_EQ(name(), "one");
  EXPECT_EQ(name(), "one");
  EXPECT_EQ(files.opened, 1);
}

TEST_F(ManifestCacheTest, WhatAnotherWroteIsReadAgain) {
  files.put("/s", "one", 7);
  EXPECT_EQ(name(), "one");
  files.put("/s", "two", 8);
  EXPECT_EQ(name(), "two");
  files.put("/s", "gone", 8);
  ASSERT_TRUE(files.disk.remove(manifest_path("/s")));
  files.stamps.clear();
  EXPECT_TRUE(name().starts_with("error"));
}

TEST_F(ManifestCacheTest, WhatChangedJustNowIsReadEachTime) {
  files.put("/s", "one", 7);
  EXPECT_EQ(name(), "one");
  files.put("/s", "two", std::nullopt);
  EXPECT_EQ(name(), "two");
  files.put("/s", "six", std::nullopt);
  EXPECT_EQ(name(), "six");
  EXPECT_EQ(files.opened, 3);
}

TEST_F(ManifestCacheTest, DamagedAndHugeOnesAreNotKept) {
  files.put("/s", "one", 7);
  files.disk.put(manifest_path("/s"), "{");
  EXPECT_TRUE(name().starts_with("error"));
  files.put("/s", std::string(5'000, 'x'), 7);
  EXPECT_EQ(name().size(), 5'000u);
  EXPECT_EQ(name().size(), 5'000u);
  EXPECT_EQ(files.opened, 3);
}

TEST_F(ManifestCacheTest, ThoseThatNobodyAskedForAreForgotten) {
  files.put("/a", "a", 1);
  files.put("/b", "b", 2);
  EXPECT_EQ(name("/a") + name("/b"), "ab");
  cache.forget_unasked();
  EXPECT_EQ(name("/a"), "a");
  cache.forget_unasked();
  EXPECT_EQ(files.opened, 2);
  EXPECT_EQ(name("/b"), "b");
  EXPECT_EQ(files.opened, 3);
}

}  // namespace
}  // namespace sluice::session
