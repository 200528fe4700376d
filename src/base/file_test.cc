// The same behaviour of the real file system and of the fake one; then what only one of them has.
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/fake_file.h"

namespace sluice {
namespace {

std::string make_temporary_directory() {
  const char* root = std::getenv("TMPDIR");
  std::string name = std::string(root != nullptr ? root : "/tmp") + "/sluice-file-XXXXXX";
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  return name;
}

enum class Kind { kSystem, kFake };

class FileSystemTest : public testing::TestWithParam<Kind> {
 protected:
  FileSystemTest() {
    if (GetParam() == Kind::kFake) {
      disk_ = std::make_unique<FakeFileSystem>();
      root_ = "/root/of/test";
      EXPECT_TRUE(disk_->make_directories(root_));
    } else {
      disk_ = std::make_unique<SystemFileSystem>();
      root_ = make_temporary_directory();
    }
  }
  ~FileSystemTest() override { EXPECT_TRUE(disk_->remove_tree(root_)); }
  std::string at(const std::string& name) const { return root_ + "/" + name; }

  std::unique_ptr<FileSystem> disk_;
  std::string root_;
};
INSTANTIATE_TEST_SUITE_P(All, FileSystemTest, testing::Values(Kind::kSystem, Kind::kFake),
                         [](const auto& info) { return info.param == Kind::kSystem ? "System" : "Fake"; });

TEST_P(FileSystemTest, AppendsAndReadsBack) {
  auto file = disk_->open(at("f"), OpenMode::kAppend).value();
  const std::array<Bytes, 4> pieces = {"one", "", " two", " three"};
  ASSERT_TRUE(file->append(pieces));
  ASSERT_TRUE(file->append(" four"));
  ASSERT_TRUE(file->append(std::span<const Bytes>()));
  EXPECT_EQ(file->size().value(), 18u);
  std::array<char, 8> buffer;
  EXPECT_EQ(file->read_at(4, buffer).value(), 8u);
  EXPECT_EQ(Bytes(buffer.data(), 8), "two thre");
  EXPECT_EQ(file->read_at(14, buffer).value(), 4u);
  EXPECT_EQ(file->read_at(18, buffer).value(), 0u);
  EXPECT_EQ(file->read_at(~ByteCount{0}, buffer).value(), 0u);
  EXPECT_TRUE(file->sync());
  ASSERT_TRUE(file->truncate(3));
  ASSERT_TRUE(file->append("!"));
  EXPECT_EQ(disk_->load_file(at("f")).value(), "one!");
}

TEST_P(FileSystemTest, WritesManyPiecesInOrder) {
  std::vector<std::string> texts;
  std::string all;
  for (int i = 0; i < 500; ++i)
    all += texts.emplace_back(std::string(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26)));
  const std::vector<Bytes> pieces(texts.begin(), texts.end());
  auto file = disk_->open(at("f"), OpenMode::kCreateNew).value();
  ASSERT_TRUE(file->append(pieces));
  EXPECT_EQ(disk_->load_file(at("f")).value(), all);
}

// A direct file pads its end while it is open, and whoever reads meanwhile knows how much there is.
TEST_P(FileSystemTest, ADirectFileHoldsWhatWasAppendedAtOnceAndAfterItsEnd) {
  std::string all;
  {
    auto file = disk_->open(at("d"), OpenMode::kCreateDirect).value();
    auto reader = disk_->open(at("d"), OpenMode::kRead).value();
    for (std::size_t size : {1u, 4095u, 4096u, 5000u, 300'000u, 2'500'000u, 7u}) {
      const std::string piece(size, static_cast<char>('a' + size % 26));
      ASSERT_TRUE(file->append(piece));
      all += piece;
      std::string seen(all.size(), '\0');
      ASSERT_EQ(reader->read_at(0, seen).value(), all.size());
      EXPECT_TRUE(seen == all) << size;
      EXPECT_EQ(file->size().value(), all.size());
    }
    std::string middle(10'000, '\0');
    ASSERT_EQ(file->read_at(4'999, middle).value(), middle.size());
    EXPECT_TRUE(middle == all.substr(4'999, middle.size()));
  }
  EXPECT_TRUE(disk_->load_file(at("d")).value() == all);
  EXPECT_EQ(disk_->open(at("d"), OpenMode::kCreateDirect).error().code, Code::kConflict);
}

// Such memory is written without a copy as long as the file ends at a block.
TEST_P(FileSystemTest, ADirectFileTakesWholeBlocksOfAlignedMemory) {
  struct alignas(4096) Block {
    char octets[4096];
  };
  std::vector<Block> blocks(70);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (char& octet : blocks[i].octets) octet = static_cast<char>('a' + (i + (&octet - blocks[i].octets) / 7) % 26);
  }
  const Bytes memory(blocks[0].octets, blocks.size() * sizeof(Block));
  std::string all;
  {
    auto file = disk_->open(at("d"), OpenMode::kCreateDirect).value();
    for (const auto& [from, size] : std::vector<std::pair<std::size_t, std::size_t>>{
             {0, 262'144}, {4'096, 4'096}, {8'192, 10'000}, {4'096, 8'192}, {8'192, 6'384}, {4'096, 16'384}, {1, 9}}) {
      const Bytes pieces[] = {memory.substr(from, size), memory.substr(0, 4'096)};
      ASSERT_TRUE(file->append(pieces));
      all.append(pieces[0]).append(pieces[1]);
      EXPECT_EQ(file->size().value(), all.size());
      std::string seen(all.size(), '\0');
      ASSERT_EQ(file->read_at(0, seen).value(), all.size());
      EXPECT_TRUE(seen == all) << from;
    }
  }
  EXPECT_TRUE(disk_->load_file(at("d")).value() == all);
}

TEST_P(FileSystemTest, AppendsToWhatIsThere) {
  ASSERT_TRUE(disk_->save_file(at("f"), "old "));
  auto file = disk_->open(at("f"), OpenMode::kAppend).value();
  ASSERT_TRUE(file->append("new"));
  EXPECT_EQ(disk_->load_file(at("f")).value(), "old new");
}

TEST_P(FileSystemTest, TellsAbsentFromPresent) {
  EXPECT_EQ(disk_->open(at("f"), OpenMode::kRead).error().code, Code::kNotFound);
  EXPECT_EQ(disk_->open(at("no/f"), OpenMode::kAppend).error().code, Code::kNotFound);
  EXPECT_EQ(disk_->load_file(at("f")).error().code, Code::kNotFound);
  EXPECT_FALSE(disk_->exists(at("f")));
  ASSERT_TRUE(disk_->open(at("f"), OpenMode::kCreateNew));
  EXPECT_TRUE(disk_->exists(at("f")));
  EXPECT_EQ(disk_->open(at("f"), OpenMode::kCreateNew).error().code, Code::kConflict);
  EXPECT_NE(disk_->open(at("f"), OpenMode::kCreateNew).error().message.find(at("f")), std::string::npos);
  EXPECT_EQ(disk_->open(root_, OpenMode::kRead).error().code, Code::kRefused);
  EXPECT_EQ(disk_->list(at("f/x")).error().code, Code::kNotFound);
}

TEST_P(FileSystemTest, DoesNotWriteToWhatItOpenedForReading) {
  ASSERT_TRUE(disk_->save_file(at("f"), "text"));
  auto file = disk_->open(at("f"), OpenMode::kRead).value();
  EXPECT_EQ(file->append("x").error().code, Code::kIo);
  EXPECT_EQ(disk_->load_file(at("f")).value(), "text");
}

TEST_P(FileSystemTest, ListsNamesInOrder) {
  ASSERT_TRUE(disk_->make_directories(at("b/deep")));
  ASSERT_TRUE(disk_->save_file(at("c"), ""));
  ASSERT_TRUE(disk_->save_file(at("a"), ""));
  ASSERT_TRUE(disk_->save_file(at("b/inner"), ""));
  EXPECT_EQ(disk_->list(root_).value(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(disk_->list(at("b")).value(), (std::vector<std::string>{"deep", "inner"}));
}

TEST_P(FileSystemTest, MakesDirectoriesOnceOrTwice) {
  EXPECT_TRUE(disk_->make_directories(at("x/y/z")));
  EXPECT_TRUE(disk_->make_directories(at("x/y/z")));
  ASSERT_TRUE(disk_->save_file(at("f"), ""));
  EXPECT_EQ(disk_->make_directories(at("f")).error().code, Code::kConflict);
  EXPECT_FALSE(disk_->make_directories(at("f/g")));
}

TEST_P(FileSystemTest, RenamesOverWhatIsThere) {
  ASSERT_TRUE(disk_->save_file(at("a"), "new"));
  ASSERT_TRUE(disk_->save_file(at("b"), "old"));
  ASSERT_TRUE(disk_->rename(at("a"), at("b")));
  EXPECT_EQ(disk_->load_file(at("b")).value(), "new");
  EXPECT_FALSE(disk_->exists(at("a")));
  EXPECT_EQ(disk_->rename(at("a"), at("c")).error().code, Code::kNotFound);
  ASSERT_TRUE(disk_->make_directories(at("d/e")));
  ASSERT_TRUE(disk_->save_file(at("d/e/f"), "deep"));
  ASSERT_TRUE(disk_->rename(at("d"), at("g")));
  EXPECT_EQ(disk_->load_file(at("g/e/f")).value(), "deep");
  EXPECT_FALSE(disk_->exists(at("d")));
}

TEST_P(FileSystemTest, RemovesWhatMayBeAbsent) {
  ASSERT_TRUE(disk_->make_directories(at("t/u/v")));
  ASSERT_TRUE(disk_->save_file(at("t/u/f"), "x"));
  EXPECT_TRUE(disk_->remove_tree(at("t")));
  EXPECT_FALSE(disk_->exists(at("t")));
  EXPECT_TRUE(disk_->remove_tree(at("t")));
  ASSERT_TRUE(disk_->save_file(at("f"), "x"));
  EXPECT_TRUE(disk_->remove(at("f")));
  EXPECT_TRUE(disk_->remove(at("f")));
  EXPECT_FALSE(disk_->exists(at("f")));
}

TEST_P(FileSystemTest, AnOpenFileOutlivesItsName) {
  auto file = disk_->open(at("f"), OpenMode::kCreateNew).value();
  ASSERT_TRUE(disk_->remove(at("f")));
  ASSERT_TRUE(file->append("still here"));
  EXPECT_EQ(file->size().value(), 10u);
}

TEST_P(FileSystemTest, LocksAgainstEveryOtherFile) {
  auto first = disk_->open(at("lock"), OpenMode::kAppend).value();
  auto second = disk_->open(at("lock"), OpenMode::kAppend).value();
  EXPECT_TRUE(first->lock());
  EXPECT_TRUE(first->lock());
  EXPECT_EQ(second->lock().error().code, Code::kConflict);
  first.reset();
  EXPECT_TRUE(second->lock());
}

TEST_P(FileSystemTest, SavesWholeFilesAndLeavesNoRemains) {
  for (const std::string& text : {std::string("first"), std::string(), std::string(100'000, 'x')}) {
    ASSERT_TRUE(disk_->save_file(at("f"), text));
    EXPECT_EQ(disk_->load_file(at("f")).value(), text);
  }
  EXPECT_EQ(disk_->list(root_).value(), std::vector<std::string>{"f"});
  EXPECT_EQ(disk_->save_file(at("no/f"), "x").error().code, Code::kNotFound);
}

TEST_P(FileSystemTest, LoadsUpToItsLimit) {
  ASSERT_TRUE(disk_->save_file(at("f"), "123456"));
  EXPECT_EQ(disk_->load_file(at("f"), 6).value(), "123456");
  EXPECT_EQ(disk_->load_file(at("f"), 5).error().code, Code::kTooLarge);
}

class SystemFileTest : public testing::Test {
 protected:
  ~SystemFileTest() override { EXPECT_TRUE(disk_.remove_tree(root_)); }
  mode_t mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  SystemFileSystem disk_;
  std::string root_ = make_temporary_directory();
};

TEST_F(SystemFileTest, MakesFilesForTheOwnerAlone) {
  ASSERT_TRUE(disk_.make_directories(root_ + "/a/b"));
  ASSERT_TRUE(disk_.save_file(root_ + "/a/f", "x"));
  ASSERT_TRUE(disk_.open(root_ + "/a/g", OpenMode::kAppend));
  EXPECT_EQ(mode_of(root_ + "/a"), 0700u);
  EXPECT_EQ(mode_of(root_ + "/a/b"), 0700u);
  EXPECT_EQ(mode_of(root_ + "/a/f"), 0600u);
  EXPECT_EQ(mode_of(root_ + "/a/g"), 0600u);
}

TEST_F(SystemFileTest, FollowsNoLinkAtTheEndOfAPath) {
  ASSERT_TRUE(disk_.save_file(root_ + "/target", "x"));
  ASSERT_EQ(::symlink((root_ + "/target").c_str(), (root_ + "/link").c_str()), 0);
  EXPECT_EQ(disk_.open(root_ + "/link", OpenMode::kRead).error().code, Code::kRefused);
  EXPECT_EQ(disk_.open(root_ + "/link", OpenMode::kAppend).error().code, Code::kRefused);
  EXPECT_TRUE(disk_.exists(root_ + "/link"));
  ASSERT_TRUE(disk_.save_file(root_ + "/link", "y"));
  EXPECT_EQ(disk_.load_file(root_ + "/target").value(), "x") << "the link was replaced, not followed";
}

TEST_F(SystemFileTest, RemovesLinksAndNotWhatTheyPointTo) {
  ASSERT_TRUE(disk_.make_directories(root_ + "/keep"));
  ASSERT_TRUE(disk_.save_file(root_ + "/keep/f", "x"));
  ASSERT_TRUE(disk_.make_directories(root_ + "/tree"));
  ASSERT_EQ(::symlink((root_ + "/keep").c_str(), (root_ + "/tree/link").c_str()), 0);
  ASSERT_EQ(::symlink((root_ + "/keep").c_str(), (root_ + "/whole").c_str()), 0);
  EXPECT_TRUE(disk_.remove_tree(root_ + "/tree"));
  EXPECT_TRUE(disk_.remove_tree(root_ + "/whole"));
  EXPECT_EQ(disk_.load_file(root_ + "/keep/f").value(), "x");
}

// What a failed append left goes with a truncate, and nothing can come behind it.
TEST_F(SystemFileTest, ADirectFileThatWasCutStaysThatLong) {
  const std::string all(10'000, 'x');
  {
    auto file = disk_.open(root_ + "/d", OpenMode::kCreateDirect).value();
    ASSERT_TRUE(file->append(all));
    EXPECT_FALSE(file->truncate(all.size() + 1));
    ASSERT_TRUE(file->truncate(5'001));
    EXPECT_EQ(file->size().value(), 5'001u);
    EXPECT_FALSE(file->append("more"));
  }
  EXPECT_TRUE(disk_.load_file(root_ + "/d").value() == all.substr(0, 5'001));
}

TEST_F(SystemFileTest, OpensNothingButRegularFiles) {
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(disk_.open(root_ + "/fifo", OpenMode::kRead).error().code, Code::kRefused);
  EXPECT_EQ(disk_.open("/dev/null", OpenMode::kAppend).error().code, Code::kRefused);
}

TEST_F(SystemFileTest, ReadsFilesWhoseSizeIsNotKnown) {
  EXPECT_FALSE(disk_.load_file("/proc/self/status").value().empty());
  EXPECT_EQ(disk_.load_file("/proc/self/status", 10).error().code, Code::kTooLarge);
}

TEST(FakeFile, FillsToItsCapacity) {
  FakeFileSystem disk;
  disk.put("/d/old", "12345");
  disk.set_capacity(12);
  auto file = disk.open("/d/f", OpenMode::kAppend).value();
  EXPECT_TRUE(file->append("1234"));
  EXPECT_EQ(file->append("56789").error().code, Code::kIo);
  EXPECT_EQ(disk.content("/d/f"), "1234567") << "a torn tail";
  EXPECT_EQ(disk.stored(), 12u);
  ASSERT_TRUE(disk.remove("/d/old"));
  EXPECT_TRUE(file->append("89"));
}

TEST(FakeFile, FailsAtTheOperationAskedFor) {
  FakeFileSystem disk;
  disk.add_directory("/d");
  disk.fail_operation(2, Code::kRefused);
  auto file = disk.open("/d/f", OpenMode::kAppend).value();
  EXPECT_EQ(file->append("x").error().code, Code::kRefused);
  EXPECT_TRUE(file->append("y"));
  disk.fail_from(1);
  EXPECT_FALSE(file->append("z"));
  EXPECT_FALSE(file->sync());
  EXPECT_FALSE(disk.list("/d"));
  disk.heal();
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(disk.content("/d/f"), "y");
}

TEST(FakeFile, TearsAppends) {
  FakeFileSystem disk;
  disk.add_directory("/d");
  auto file = disk.open("/d/f", OpenMode::kAppend).value();
  disk.tear_append(3);
  EXPECT_EQ(file->append("12345").error().code, Code::kIo);
  EXPECT_EQ(disk.content("/d/f"), "123");
  EXPECT_TRUE(file->append("45"));
}

TEST(FakeFile, LosesWhatWasNotSynced) {
  FakeFileSystem disk;
  disk.add_directory("/d");
  auto file = disk.open("/d/f", OpenMode::kAppend).value();
  ASSERT_TRUE(file->append("safe"));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(file->append(" lost"));
  disk.lose_unsynced();
  EXPECT_EQ(disk.content("/d/f"), "safe");
}

TEST(FakeFile, HoldsLocksForOthers) {
  FakeFileSystem disk;
  disk.hold_lock("/d/lock");
  auto file = disk.open("/d/lock", OpenMode::kAppend).value();
  EXPECT_EQ(file->lock().error().code, Code::kConflict);
  disk.release_lock("/d/lock");
  EXPECT_TRUE(file->lock());
}

TEST(FakeFile, AFailedSaveKeepsTheOldFileAndLeavesNoRemains) {
  FakeFileSystem probe;
  probe.put("/d/f", "old");
  const std::size_t before = probe.operations();
  ASSERT_TRUE(probe.save_file("/d/f", "new"));
  const std::size_t steps = probe.operations() - before;
  for (std::size_t step = 1; step <= steps; ++step) {
    FakeFileSystem disk;
    disk.put("/d/f", "old");
    disk.fail_operation(step);
    EXPECT_FALSE(disk.save_file("/d/f", "new")) << step;
    EXPECT_EQ(disk.content("/d/f"), "old");
    EXPECT_EQ(disk.list("/d").value(), std::vector<std::string>{"f"});
  }
  FakeFileSystem disk;
  disk.put("/d/f", "old");
  disk.fail_next_rename();
  EXPECT_FALSE(disk.save_file("/d/f", "new"));
  disk.set_capacity(4);
  EXPECT_FALSE(disk.save_file("/d/f", "new"));
  EXPECT_EQ(disk.content("/d/f"), "old");
  EXPECT_EQ(disk.stored(), 3u);
}

}  // namespace
}  // namespace sluice
