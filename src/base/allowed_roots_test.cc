#include "base/allowed_roots.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/new_file.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class Roots : public testing::Test {
 protected:
  void SetUp() override {
    std::string made = testing::TempDir() + "/sluice-roots-XXXXXX";
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    top_ = fs::canonical(made).string();
    for (const char* name : {"/open/deep", "/home/sessions", "/home/ca", "/outside"})
      fs::create_directories(top_ + name);
    fs::create_directory_symlink(top_ + "/outside", top_ + "/open/link");
  }
  void TearDown() override { fs::remove_all(top_); }
  AllowedRoots roots() const {
    return AllowedRoots({{top_ + "/open", top_}, top_ + "/home/sessions", {top_ + "/home"}});
  }
  std::string where(const std::string& path) const {
    const auto place = roots().file(path, "file");
    return place ? place->path.substr(top_.size()) : std::string(to_string(place.error().code));
  }
  std::string top_;
};

TEST_F(Roots, FilesLieBeneathOneOfThem) {
  EXPECT_EQ(where(top_ + "/open/deep/x"), "/open/deep/x");
  EXPECT_EQ(where("x"), "/open/x") << "the first";
  EXPECT_EQ(where("deep/x"), "/open/deep/x");
  EXPECT_EQ(where(top_ + "/home/sessions/x"), "/home/sessions/x");
}

TEST_F(Roots, WhatIsClosedStaysSoAndNothingLeadsOut) {
  const std::string refused(to_string(Code::kRefused));
  for (const std::string& bad : {top_ + "/home/x", top_ + "/home/ca/x", top_ + "/open/../home/x", top_ + "/open/link/x",
                                 std::string("/etc/passwd"), std::string("../x"), std::string(""), std::string("/"),
                                 top_ + "/open/..", std::string("a\0b", 3)}) {
    EXPECT_EQ(where(bad), refused) << bad;
  }
  EXPECT_EQ(where(top_ + "/open/none/x"), to_string(Code::kNotFound));
}

TEST_F(Roots, ANewFileAppearsWholeOrNotAtAll) {
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(top_ + "/open/deep")) found.push_back(entry.path().filename());
    return found;
  };
  {
    auto file = NewFile::create(*roots().file("deep/x", "file"));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->append("half"));
    EXPECT_FALSE(fs::exists(top_ + "/open/deep/x"));
  }
  EXPECT_TRUE(names().empty());
  auto file = NewFile::create(*roots().file("deep/x", "file"));
  ASSERT_TRUE(file && file->append("whole") && file->finish());
  EXPECT_EQ(names(), std::vector<std::string>{"x"});
  const auto again = NewFile::create(*roots().file("deep/x", "file"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kConflict);
}

TEST_F(Roots, ANewFileDoesNotTakeAPlaceThatWasTakenMeanwhile) {
  {
    auto file = NewFile::create(*roots().file("deep/x", "file"));
    ASSERT_TRUE(file);
    std::ofstream(top_ + "/open/deep/x") << "theirs";
    EXPECT_FALSE(file->finish());
  }
  std::string text;
  std::ifstream(top_ + "/open/deep/x") >> text;
  EXPECT_EQ(text, "theirs");
  EXPECT_EQ(std::distance(fs::directory_iterator(top_ + "/open/deep"), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace sluice
