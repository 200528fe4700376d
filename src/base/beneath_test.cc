#include "base/beneath.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

namespace fs = std::filesystem;
using IfAbsent = BeneathFileSystem::IfAbsent;

// top/root is what is opened; top/outside/secret is what nobody shall reach.
class Beneath : public testing::Test {
 protected:
  Beneath() {
    std::string made = testing::TempDir() + "/sluice-beneath-XXXXXX";
    if (::mkdtemp(made.data())) top_ = fs::canonical(made).string();
    fs::create_directories(top_ + "/outside");
    std::ofstream(top_ + "/outside/secret") << "secret";
    auto opened = BeneathFileSystem::open(top_, "root", IfAbsent::kMake);
    EXPECT_TRUE(opened);
    if (opened) root_ = *std::move(opened);
  }
  ~Beneath() override { fs::remove_all(top_); }
  std::string in(const std::string& name) const { return root_->path() + "/" + name; }

  std::string top_;
  std::unique_ptr<BeneathFileSystem> root_;
};

TEST_F(Beneath, FilesAreWrittenReadListedMovedAndRemoved) {
  ASSERT_TRUE(root_->make_directories(in("a/b")));
  ASSERT_TRUE(root_->save_file(in("a/b/file"), "content"));
  EXPECT_EQ(root_->load_file(in("a/b/file")).value_or(""), "content");
  ASSERT_TRUE(root_->rename(in("a/b/file"), in("a/moved")));
  EXPECT_EQ(*root_->list(in("a")), (std::vector<std::string>{"b", "moved"}));
  EXPECT_EQ(*root_->list(root_->path()), std::vector<std::string>{"a"});
  EXPECT_EQ(*root_->list(root_->path()), std::vector<std::string>{"a"}) << "again";
  EXPECT_TRUE(root_->exists(in("a/moved")));
  EXPECT_TRUE(root_->remove(in("a/moved")));
  EXPECT_TRUE(root_->remove(in("a/moved"))) << "absent is success";
  EXPECT_TRUE(root_->remove_tree(in("a")));
  EXPECT_FALSE(root_->exists(in("a")));
  struct stat info {};
  ASSERT_EQ(::stat(root_->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(Beneath, NothingOutsideIsReached) {
  for (const std::string& path : {top_ + "/outside/secret", in("../outside/secret"), in("a/../../outside/secret"),
                                  std::string("/etc/passwd"), root_->path() + "side", std::string("relative")}) {
    EXPECT_EQ(root_->open(path, OpenMode::kRead).error().code, Code::kRefused) << path;
    EXPECT_FALSE(root_->open(path, OpenMode::kAppend)) << path;
    EXPECT_FALSE(root_->list(path)) << path;
    EXPECT_FALSE(root_->exists(path)) << path;
    EXPECT_FALSE(root_->make_directories(path)) << path;
    EXPECT_FALSE(root_->remove(path)) << path;
    EXPECT_FALSE(root_->remove_tree(path)) << path;
    EXPECT_FALSE(root_->rename(path, in("x"))) << path;
    EXPECT_FALSE(root_->rename(in("x"), path)) << path;
  }
  EXPECT_FALSE(root_->remove_tree(root_->path()));
  EXPECT_TRUE(fs::exists(top_ + "/outside/secret"));
}

TEST_F(Beneath, NoStepIsALink) {
  fs::create_symlink(top_ + "/outside", in("folder"));
  fs::create_symlink(top_ + "/outside/secret", in("file"));
  EXPECT_EQ(root_->open(in("folder/secret"), OpenMode::kRead).error().code, Code::kRefused);
  EXPECT_EQ(root_->open(in("file"), OpenMode::kRead).error().code, Code::kRefused);
  EXPECT_FALSE(root_->open(in("file"), OpenMode::kAppend));
  EXPECT_FALSE(root_->list(in("folder")));
  EXPECT_FALSE(root_->make_directories(in("folder/below")));
  EXPECT_FALSE(BeneathFileSystem::open(top_, "root/folder", IfAbsent::kMake));
  EXPECT_TRUE(root_->remove_tree(in("folder"))) << "the link goes, not what it leads to";
  EXPECT_TRUE(fs::exists(top_ + "/outside/secret"));
}

TEST_F(Beneath, WhoMovesTheDirectoryLeadsItNowhere) {
  ASSERT_TRUE(root_->save_file(in("file"), "mine"));
  fs::rename(top_ + "/root", top_ + "/elsewhere");
  fs::create_symlink(top_ + "/outside", top_ + "/root");
  EXPECT_EQ(root_->load_file(in("file")).value_or(""), "mine");
  EXPECT_FALSE(root_->exists(in("secret")));
}

TEST_F(Beneath, WhatIsNotThereIsMadeOnlyIfWanted) {
  EXPECT_EQ(BeneathFileSystem::open(top_, "new/er", IfAbsent::kFail).error().code, Code::kNotFound);
  EXPECT_FALSE(fs::exists(top_ + "/new"));
  EXPECT_TRUE(BeneathFileSystem::open(top_, "new/er", IfAbsent::kMake));
  for (const char* below : {"..", "a/../..", "./x"})
    EXPECT_FALSE(BeneathFileSystem::open(top_, below, IfAbsent::kMake));
}

TEST_F(Beneath, AStampTellsWhatDidNotChangeForAWhile) {
  ASSERT_TRUE(root_->save_file(in("fresh"), "content"));
  EXPECT_FALSE(root_->stamp(in("fresh"))) << "the next change may look the same";
  EXPECT_FALSE(root_->stamp(in("nothing")));
  const auto etc = BeneathFileSystem::open("/", "etc", IfAbsent::kFail);
  ASSERT_TRUE(etc);
  const auto stamp = (*etc)->stamp("/etc/passwd");
  struct stat info {};
  ASSERT_EQ(::stat("/etc/passwd", &info), 0);
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->inode, info.st_ino);
  EXPECT_EQ(stamp->size, static_cast<ByteCount>(info.st_size));
  EXPECT_EQ(stamp, SystemFileSystem().stamp("/etc/passwd"));
  EXPECT_FALSE((*etc)->stamp("/etc")) << "no file";
  EXPECT_FALSE((*etc)->stamp("/etc/../etc/passwd"));
  EXPECT_FALSE((*etc)->stamp("/usr/bin/env")) << "outside";
  ASSERT_EQ(::symlink("/etc/passwd", in("link").c_str()), 0);
  EXPECT_FALSE(root_->stamp(in("link")));
  ASSERT_EQ(::symlink("/etc", in("folder").c_str()), 0);
  EXPECT_FALSE(root_->stamp(in("folder/passwd")));
}

}  // namespace
}  // namespace sluice
