#include "base/json_pointer.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(JsonPointer, IsKnownWhenItIsSeen) {
  for (const char* good : {"", "/", "/a/0", "/~0~1"}) EXPECT_TRUE(check_pointer(good)) << good;
  for (const char* bad : {"a", "a/b", "/~", "/~2"}) EXPECT_FALSE(check_pointer(bad)) << bad;
}

TEST(JsonPointer, FindsWhatItPointsTo) {
  const Json document = *parse_json(R"({"a":[{"b":1},2],"":3,"m~n":4,"x/y":5,"0":6})");
  EXPECT_EQ(*find_pointer(document, ""), document);
  EXPECT_EQ(*find_pointer(document, "/a/0/b"), 1);
  EXPECT_EQ(*find_pointer(document, "/a/1"), 2);
  EXPECT_EQ(*find_pointer(document, "/"), 3);
  EXPECT_EQ(*find_pointer(document, "/m~0n"), 4);
  EXPECT_EQ(*find_pointer(document, "/x~1y"), 5);
  EXPECT_EQ(*find_pointer(document, "/0"), 6);
  for (const char* name : {"m~n", "x/y", ""}) {
    EXPECT_EQ(find_pointer(document, "/" + pointer_segment(name)), &document[name]) << name;
  }
  for (const char* none : {"/b", "/a/2", "/a/-", "/a/01", "/a/-1", "/a/0/b/c"}) {
    EXPECT_EQ(find_pointer(document, none), nullptr) << none;
  }
}

}  // namespace
}  // namespace sluice
