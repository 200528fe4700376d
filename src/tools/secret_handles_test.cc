#include "tools/secret_handles.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::tools {
namespace {

const Origin kOrigin{"https", "api.example.com", 443};

SecretPlace place(const std::string& mark) { return {"exchange", "", mark}; }

TEST(SecretHandles, AHandleIs128RandomBitsAndTheSameForTheSamePlace) {
  SystemEntropy entropy;
  SecretHandles handles(entropy);
  const std::string handle = handles.issue("default", place("00000001"), kOrigin);
  EXPECT_EQ(handle.size(), 43u);
  ASSERT_EQ(find_handles(handle).size(), 1u);
  EXPECT_EQ(handles.issue("default", place("00000001"), kOrigin), handle);
  EXPECT_NE(handles.issue("default", place("00000002"), kOrigin), handle);
  EXPECT_NE(handles.issue("default", {"other", "", "00000001"}, kOrigin), handle);
  EXPECT_NE(handles.issue("default", {"exchange", "session", "00000001"}, kOrigin), handle);
  EXPECT_EQ(handles.size(), 4u);
  const auto meaning = handles.find("default", handle);
  ASSERT_TRUE(meaning);
  EXPECT_EQ(meaning->place, place("00000001"));
  EXPECT_EQ(meaning->origin, kOrigin);
}

TEST(SecretHandles, AnotherGrantsHandleMeansAsLittleAsNone) {
  SystemEntropy entropy;
  SecretHandles handles(entropy);
  const std::string handle = handles.issue("default", place("00000001"), kOrigin);
  EXPECT_FALSE(handles.find("thief", handle));
  EXPECT_FALSE(handles.find("", handle));
  EXPECT_FALSE(handles.find("default", "{{secret:" + std::string(32, '0') + "}}"));
  EXPECT_NE(handles.issue("thief", place("00000001"), kOrigin), handle);
}

TEST(SecretHandles, TheTableIsBoundedForEachGrantAndInAll) {
  SystemEntropy entropy;
  SecretHandles handles(entropy);
  const std::string kept = handles.issue("quiet", place("00000000"), kOrigin);
  const std::string first = handles.issue("busy", place("first"), kOrigin);
  for (std::size_t i = 1; i < SecretHandles::kMostOfGrant; ++i)
    handles.issue("busy", place(std::to_string(i)), kOrigin);
  EXPECT_EQ(handles.issue("busy", place("first"), kOrigin), first) << "given out again: it is the newest now";
  const std::string second = handles.issue("busy", place("1"), kOrigin);
  (void)handles.issue("busy", place("one more"), kOrigin);
  EXPECT_EQ(handles.size(), SecretHandles::kMostOfGrant + 1);
  EXPECT_TRUE(handles.find("busy", first));
  EXPECT_TRUE(handles.find("busy", second));
  EXPECT_TRUE(handles.find("quiet", kept)) << "one grant does not push out another's";
  for (std::size_t grant = 0; grant < 8; ++grant) {
    for (std::size_t i = 0; i < SecretHandles::kMostOfGrant; ++i) {
      handles.issue("g" + std::to_string(grant), place(std::to_string(i)), kOrigin);
    }
  }
  EXPECT_EQ(handles.size(), SecretHandles::kMost);
  EXPECT_FALSE(handles.find("busy", first));
}

TEST(SecretHandles, ADigestIsOfWhatAHandleMeansAndNoTextCanSayTheSame) {
  SystemEntropy entropy;
  SecretHandles handles(entropy);
  const std::string one = handles.issue("default", place("00000001"), kOrigin);
  const std::string two = handles.issue("default", place("00000002"), kOrigin);
  const auto text = [](const std::string& handle) { return R"({"h":"x )" + handle + R"("})"; };
  EXPECT_EQ(handles.meant("default", text("plain")), text("plain"));
  const std::string meant = handles.meant("default", text(one));
  EXPECT_EQ(meant.find(one), meant.npos);
  EXPECT_NE(meant, handles.meant("default", text(two)));
  EXPECT_NE(meant, handles.meant("thief", text(one)));
  EXPECT_NE(meant, handles.meant("default", text("{{secret}}")));
  SecretHandles again(entropy);
  EXPECT_EQ(again.meant("default", text(again.issue("default", place("00000001"), kOrigin))), meant)
      << "given out again, it is the same call";
}

TEST(SecretHandles, AreFoundInATextOnlyAsTheyAreWritten) {
  const std::string digits = "0123456789abcdef0123456789abcdef";
  const std::string handle = "{{secret:" + digits + "}}";
  const std::string text = "a " + handle + "{{secret:" + handle + " z";
  const auto found = find_handles(text);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].at, 2u);
  EXPECT_EQ(found[1].handle, handle);
  for (const std::string& other : std::vector<std::string>{
           "{{secret:}}", "{{secret:0123}}", "{{SECRET:" + digits + "}}", "{{secret:" + digits + "}",
           "{{secret:" + digits + "0}}", "{secret:" + digits + "}}", "{{secret:0123456789ABCDEF0123456789ABCDEF}}"}) {
    EXPECT_FALSE(holds_handle(other)) << other;
  }
}

}  // namespace
}  // namespace sluice::tools
