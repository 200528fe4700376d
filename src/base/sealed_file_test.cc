#include "base/sealed_file.h"

#include <gtest/gtest.h>

#include "base/fake_file.h"

namespace sluice {
namespace {

constexpr std::size_t kHeader = 32, kPage = 4'096, kStored = kPage + 16;

struct SealedFileTest : testing::Test {
  std::shared_ptr<FakeFileSystem> disk = std::make_shared<FakeFileSystem>();
  SealedFiles files{disk, std::string(32, 'k')};
  const std::string path = "/d/file";

  SealedFileTest() { disk->add_directory("/d"); }
  static std::string text_of(std::size_t size) {
    std::string text;
    while (text.size() < size) text += "line " + std::to_string(text.size()) + "\n";
    text.resize(size);
    return text;
  }
  // Whole, as load_file reads it; "error" where it cannot be read.
  std::string read(FileSystem& from) {
    const auto file = from.open(path, OpenMode::kRead);
    if (!file) return "error";
    const auto size = (*file)->size();
    if (!size) return "error";
    std::string content(static_cast<std::size_t>(*size) + 10, '\0');
    const auto got = (*file)->read_at(0, content);
    if (!got) return "error";
    content.resize(*got);
    return content;
  }
};

TEST_F(SealedFileTest, GivesBackWhatWasWrittenWhateverItsSize) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPage - 1, kPage, kPage + 1, 2 * kPage, 3 * kPage - 1,
                                 std::size_t{1'000'000}}) {
    const std::string text = text_of(size);
    ASSERT_TRUE(files.save_file(path, text)) << size;
    EXPECT_EQ(read(files), text) << size;
    EXPECT_EQ(files.load_file(path).value_or("error"), text) << size;
    const std::string stored = disk->content(path).value();
    EXPECT_EQ(stored.find("line 0"), std::string::npos);
    EXPECT_GE(stored.size(), kHeader + size + 16);
    ASSERT_TRUE(files.remove(path));
  }
}

TEST_F(SealedFileTest, AnyPartCanBeReadByItself) {
  const std::string text = text_of(5 * kPage + 100);
  ASSERT_TRUE(files.save_file(path, text));
  const auto file = files.open(path, OpenMode::kRead);
  for (const std::size_t offset : {std::size_t{0}, kPage - 3, kPage, 3 * kPage - 1, 5 * kPage + 90, text.size()}) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{6}, kPage, 2 * kPage}) {
      std::string part(length, '\0');
      const auto got = (*file)->read_at(offset, part);
      ASSERT_TRUE(got);
      part.resize(*got);
      EXPECT_EQ(part, text.substr(offset, length)) << offset << "+" << length;
    }
  }
}

TEST_F(SealedFileTest, WhatIsAppendedInPiecesIsTheSame) {
  const std::string text = text_of(2 * kPage + 5);
  {
    auto file = files.open(path, OpenMode::kCreateNew);
    for (std::size_t at = 0; at < text.size(); at += 1'000) {
      ASSERT_TRUE((*file)->append(Bytes(text).substr(at, 1'000)));
    }
    ASSERT_TRUE((*file)->sync());
    EXPECT_EQ((*file)->append(Bytes("more")).error().code, Code::kConflict) << "a sealed file is written once";
    EXPECT_TRUE((*file)->sync());
  }
  EXPECT_EQ(read(files), text);
  EXPECT_EQ(files.open(path, OpenMode::kAppend).error().code, Code::kInternal);
}

TEST_F(SealedFileTest, NothingAlteredIsRead) {
  const std::string text = text_of(kPage + 30);
  ASSERT_TRUE(files.save_file(path, text));
  const std::string whole = disk->content(path).value();
  for (std::size_t at = 0; at<whole.size(); at += at> 60 && at + 60 < whole.size() ? 7 : 1) {
    std::string hurt = whole;
    hurt[at] = static_cast<char>(hurt[at] ^ (1 << (at % 8)));
    disk->put(path, hurt);
    EXPECT_EQ(read(files), "error") << at;
  }
  for (std::size_t length = 0; length < whole.size(); length += length < kStored + 60 && length > 60 ? 31 : 1) {
    disk->put(path, whole.substr(0, length));
    EXPECT_EQ(read(files), "error") << length;
  }
  disk->put(path, whole.substr(0, kHeader + kStored));  // between two pages
  EXPECT_EQ(read(files), "error");
  disk->put(path, whole + whole.substr(kHeader));
  EXPECT_EQ(read(files), "error");
}

TEST_F(SealedFileTest, PagesStayWhereTheyAre) {
  ASSERT_TRUE(files.save_file(path, text_of(3 * kPage)));
  const std::string whole = disk->content(path).value();
  const auto page = [&](std::size_t number) { return whole.substr(kHeader + number * kStored, kStored); };
  disk->put(path, whole.substr(0, kHeader) + page(1) + page(0) + page(2));
  EXPECT_EQ(read(files), "error");
  ASSERT_TRUE(files.save_file(path, text_of(3 * kPage)));  // the same text under another salt
  const std::string other = disk->content(path).value();
  EXPECT_NE(other, whole);
  disk->put(path, whole.substr(0, kHeader) + other.substr(kHeader));
  EXPECT_EQ(read(files), "error");
}

TEST_F(SealedFileTest, AnotherKeyOpensNothing) {
  ASSERT_TRUE(files.save_file(path, text_of(100)));
  SealedFiles others(disk, std::string(32, 'o'));
  EXPECT_EQ(read(others), "error");
  EXPECT_EQ(read(files), text_of(100));
}

TEST_F(SealedFileTest, AFullDiskIsSaidAndLeavesNothing) {
  disk->set_capacity(10'000);
  EXPECT_FALSE(files.save_file(path, text_of(200'000)));
  EXPECT_FALSE(disk->exists(path));
  EXPECT_EQ(disk->list("/d")->size(), 0u);
}

}  // namespace
}  // namespace sluice
