#include "rules/json_edit.h"

#include <gtest/gtest.h>

namespace sluice::rules {
namespace {

JsonEdit set(std::string_view pointer, Json value) {
  return {JsonEdit::Op::kSet, std::string(pointer), std::move(value)};
}
JsonEdit remove(std::string_view pointer) { return {JsonEdit::Op::kRemove, std::string(pointer), {}}; }

// "=" where nothing changed.
std::string edited(std::string text, const std::vector<JsonEdit>& edits) {
  const std::string before = text;
  const auto done = edit_json(edits, text, 1 * kMiB);
  if (!done) return "failed";
  EXPECT_EQ(*done, text != before);
  return *done ? text : "=";
}

TEST(JsonEdit, SetsAndRemovesByPointer) {
  EXPECT_EQ(edited(R"({"a":1,"b":[1,2]})", {set("/a", 2)}), R"({"a":2,"b":[1,2]})");
  EXPECT_EQ(edited(R"({"a":1,"b":[1,2]})", {set("/b/1", "x")}), R"({"a":1,"b":[1,"x"]})");
  EXPECT_EQ(edited(R"({"b":[1]})", {set("/b/-", 2)}), R"({"b":[1,2]})");
  EXPECT_EQ(edited(R"({"b":[1]})", {set("/b/-", nullptr)}), R"({"b":[1,null]})");
  EXPECT_EQ(edited(R"({})", {set("/a/b", true)}), R"({"a":{"b":true}})") << "objects on the way are made";
  EXPECT_EQ(edited(R"({"a":null})", {set("/a/b", 1)}), R"({"a":{"b":1}})");
  EXPECT_EQ(edited(R"({"a/b":1,"m~n":2})", {remove("/a~1b"), set("/m~0n", 3)}), R"({"m~n":3})");
  EXPECT_EQ(edited(R"([1,2,3])", {remove("/0"), remove("/1")}), "[2]");
  EXPECT_EQ(edited("1", {set("", Json::array({1}))}), "[1]") << "the whole document";
}

TEST(JsonEdit, LeavesAloneWhatItCannotGoInto) {
  EXPECT_EQ(edited(R"({"a":1})", {set("/a/b", 2)}), "=");
  EXPECT_EQ(edited(R"([1])", {set("/1", 2)}), "=");
  EXPECT_EQ(edited(R"([1])", {set("/00", 2)}), "=");
  EXPECT_EQ(edited(R"({"a":1})", {remove("/b"), remove("")}), "=");
  EXPECT_EQ(edited(R"({"a":1})", {set("/a", 1)}), "=") << "the same already: its octets stay";
  EXPECT_EQ(edited("no JSON", {set("/a", 1)}), "=");
  EXPECT_EQ(edited("", {set("/a", 1)}), "=");
}

TEST(JsonEdit, KeepsOrderAndIndentation) {
  EXPECT_EQ(edited("{\n  \"z\": 1,\n  \"a\": 2\n}", {set("/z", 3)}), "{\n  \"z\": 3,\n  \"a\": 2\n}");
}

}  // namespace
}  // namespace sluice::rules
