#include "proxy/file_roots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::proxy {
namespace {

// root/a.txt, root/below/b.txt, outside/secret.txt, and Sluice's own folder root/home with sessions in it.
class FileRootsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"/root/below", "/outside", "/root/home/ca", "/root/home/sessions/one"}) {
      std::filesystem::create_directories(base_ + folder);
    }
    write("/root/a.txt");
    write("/root/below/b.txt");
    write("/outside/secret.txt");
    write("/root/home/ca/ca-key.pem");
    write("/root/home/token");
    write("/root/home/sessions/one/file");
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  void write(const std::string& path) { std::ofstream(base_ + path) << "content"; }
  FileRoots roots(const std::string& root = "/root") const {
    return {{base_ + root}, 1000, base_ + "/root/home", base_ + "/root/home/sessions"};
  }
  static Code code_of(const Result<std::string>& read) { return read ? Code::kInternal : read.error().code; }

  const std::string base_ = ::testing::TempDir() + "sluice-roots-" + std::to_string(::getpid());
};

TEST_F(FileRootsTest, ReadsWhatLiesBeneath) {
  EXPECT_EQ(roots().read("a.txt").value_or(""), "content");
  EXPECT_EQ(roots().read(base_ + "/root/below/b.txt").value_or(""), "content");
  EXPECT_EQ(code_of(roots().read("none.txt")), Code::kNotFound);
}

TEST_F(FileRootsTest, NothingLeadsOut) {
  std::filesystem::create_symlink(base_ + "/outside/secret.txt", base_ + "/root/link.txt");
  std::filesystem::create_symlink(base_ + "/outside", base_ + "/root/folder");
  ASSERT_EQ(::mkfifo((base_ + "/root/pipe").c_str(), 0600), 0);
  for (const std::string& path :
       {std::string("../outside/secret.txt"), base_ + "/root/../outside/secret.txt", base_ + "/outside/secret.txt",
        std::string("link.txt"), std::string("folder/secret.txt"), std::string("below/../../outside/secret.txt"),
        std::string("/etc/hostname"), std::string("pipe"), std::string("below"), std::string(""),
        std::string("a.txt/")}) {
    EXPECT_FALSE(roots().read(path)) << path;
  }
}

TEST_F(FileRootsTest, ItsOwnFolderIsClosedWhereverTheRootIs) {
  EXPECT_EQ(roots().read("home/ca/ca-key.pem").error().message,
            "\"home/ca/ca-key.pem\" lies in Sluice's own folder or the policy's");
  EXPECT_EQ(code_of(roots().read("home/token")), Code::kRefused);
  EXPECT_EQ(code_of(roots("/root/home").read("token")), Code::kRefused);
  EXPECT_EQ(code_of(roots("/root/home/ca").read("ca-key.pem")), Code::kRefused);
  EXPECT_EQ(roots().read("home/sessions/one/file").value_or(""), "content");
  std::filesystem::create_directory_symlink(base_ + "/root/home", base_ + "/alias");
  EXPECT_EQ(code_of(roots("/alias").read("token")), Code::kRefused) << "a root may be reached over a link";
}

TEST_F(FileRootsTest, ThePolicysFolderIsClosedToo) {
  const FileRoots with({base_ + "/root"}, 1000, base_ + "/root/home", base_ + "/root/home/sessions",
                       base_ + "/root/below");
  EXPECT_EQ(code_of(with.read("below/b.txt")), Code::kRefused);
  EXPECT_EQ(with.read("a.txt").value_or(""), "content");
  EXPECT_EQ(code_of(with.read("home/token")), Code::kRefused);
  EXPECT_EQ(with.read("home/sessions/one/file").value_or(""), "content");
  const FileRoots above({base_ + "/root"}, 1000, base_ + "/root/home", base_ + "/root/home/sessions", base_ + "/root");
  EXPECT_EQ(code_of(above.read("a.txt")), Code::kRefused);
}

TEST_F(FileRootsTest, LargeFilesAreRefusedWithTheLimit) {
  const FileRoots small({base_ + "/root"}, 2);
  EXPECT_EQ(small.read("a.txt").error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace sluice::proxy
