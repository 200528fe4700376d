#include "analysis/variables.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace sluice::analysis {
namespace {

const Variables kVariables = {{"tok", "A"},           {"token", "secret"},   {"quote", "x\",\"admin\":true,\"y\":\""},
                              {"amp", "a&role=root"}, {"line", "a\r\nX: 1"}, {"again", "$tok"},
                              {"dots", ".."},         {"dot", "."},          {"n", "5"},
                              {"list", "1,2"},        {"empty", ""}};

std::string put(std::string_view text, VariablePlace place = VariablePlace::kText, Given given = Given::kByCaller) {
  const auto done = substitute(text, kVariables, {.place = place, .given = given});
  return done ? done->text : "error: " + done.error().message;
}

TEST(Variables, W8TheLongestNameIsTakenAndLookedUpExactly) {
  EXPECT_EQ(put("Bearer $token"), "Bearer secret");
  EXPECT_EQ(put("$tok/${tok}en/$token"), "A/Aen/secret");
  const auto unknown = substitute("$tokens ${Tok}", kVariables, {});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->text, "$tokens ${Tok}");
  EXPECT_EQ(unknown->unresolved, (std::vector<std::string>{"tokens", "Tok"}));
}

TEST(Variables, UnknownTokensStayAndAreListedOnce) {
  const auto done = substitute("$nope $tok ${nope} $tok", kVariables, {});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->text, "$nope A ${nope} A");
  EXPECT_EQ(done->unresolved, std::vector<std::string>{"nope"});
  EXPECT_EQ(done->used, std::vector<std::string>{"tok"});
}

TEST(Variables, ValuesAreNeverReadAgain) {
  EXPECT_EQ(put("$again"), "$tok");
  EXPECT_EQ(put("${again}en"), "$token");
  EXPECT_EQ(put("$${n}$n"), "${n}5");
}

TEST(Variables, ADoubledDollarIsTheLiteralOnlyOfWhatIsDefined) {
  EXPECT_EQ(put("$$tok"), "$tok");
  EXPECT_EQ(put("$${tok}"), "${tok}");
  EXPECT_EQ(put("$$nope $$ $$$"), "$$nope $$ $$$");
  EXPECT_EQ(put("$$$tok"), "$$A");
  EXPECT_TRUE(substitute("$$nope", kVariables, {})->unresolved.empty());
}

TEST(Variables, StretchesGiveWayWhateverTheyHold) {
  SubstituteOptions options{.place = VariablePlace::kJson, .given = Given::kCaptured, .tokens = false};
  const std::string_view text = R"({"a":"$OLD","b":12345678,"c":"${tok}$$"})";
  options.stretches = {{text.find("OLD"), 3, "quote"}, {text.find("1234"), 8, "n"}};
  const auto done = substitute(text, kVariables, options);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->text, R"({"a":"$x\",\"admin\":true,\"y\":\"","b":5,"c":"${tok}$$"})");
  EXPECT_EQ(done->used, (std::vector<std::string>{"quote", "n"}));
  options.tokens = true;
  EXPECT_EQ(substitute(text, kVariables, options)->text, R"({"a":"$x\",\"admin\":true,\"y\":\"","b":5,"c":"A$$"})");
}

TEST(Variables, AStretchOfAnUnknownVariableStays) {
  SubstituteOptions options;
  options.stretches = {{2, 3, "nobody"}};
  const auto done = substitute("a OLD $n", kVariables, options);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->text, "a OLD 5");
  EXPECT_EQ(done->unresolved, std::vector<std::string>{"nobody"});
}

TEST(Variables, WhatIsNoTokenStays) {
  for (const std::string_view text : {"$", "$5", "${", "${}", "${tok", "${ tok }", "${1a}", "a$", "$-tok", "$\xc3\xa9"})
    EXPECT_EQ(put(text), text);
}

TEST(Variables, W8AValueCannotAddAMemberToJson) {
  const std::string text = put(R"({"name": "$quote" , "z":1.00})", VariablePlace::kJson);
  EXPECT_EQ(text, R"({"name": "x\",\"admin\":true,\"y\":\"" , "z":1.00})");
  const auto json = parse_json(text);
  ASSERT_TRUE(json);
  EXPECT_EQ(json->size(), 2u);
  EXPECT_EQ((*json)["name"], kVariables.at("quote"));
}

TEST(Variables, OutsideAStringAValueIsOneJsonScalarOrAString) {
  EXPECT_EQ(put(R"({"a": $n, "b": "$n"})", VariablePlace::kJson), R"({"a": 5, "b": "5"})");
  EXPECT_EQ(put("[$list]", VariablePlace::kJson), R"(["1,2"])");
  EXPECT_EQ(put(R"({"\"$n": ${tok}})", VariablePlace::kJson), R"({"\"5": "A"})");
}

TEST(Variables, W8AValueCannotAddAParameter) {
  EXPECT_EQ(put("/a?x=$amp", VariablePlace::kUrl), "/a?x=a%26role%3Droot");
  EXPECT_EQ(put("x=${amp}&y=$line", VariablePlace::kForm), "x=a%26role%3Droot&y=a%0D%0AX%3A%201");
}

TEST(Variables, AValueCannotLeaveItsPathSegment) {
  EXPECT_TRUE(put("/files/$dots/passwd", VariablePlace::kUrl).starts_with("error: "));
  EXPECT_TRUE(put("/files/.$dot", VariablePlace::kUrl).starts_with("error: "));
  EXPECT_TRUE(put("/files/%2E${dot}?x", VariablePlace::kUrl).starts_with("error: "));
  EXPECT_EQ(put("/files?up=$dots", VariablePlace::kUrl), "/files?up=..");
  EXPECT_EQ(put("/files/../$n", VariablePlace::kUrl), "/files/../5");
}

TEST(Variables, AValueWithALineBreakIsRefusedInAHeader) {
  const auto done = substitute("Bearer $line", kVariables, {.place = VariablePlace::kHeader});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kInvalid);
  EXPECT_NE(done.error().message.find("line"), std::string::npos);
  EXPECT_EQ(done.error().message.find("X: 1"), std::string::npos);
  EXPECT_EQ(put("Bearer $token", VariablePlace::kHeader), "Bearer secret");
}

TEST(Variables, InCapturedBytesOnlyTheBracedFormCounts) {
  EXPECT_EQ(put("$tok ${tok} $$tok $nope", VariablePlace::kText, Given::kCaptured), "$tok A $$tok $nope");
  EXPECT_EQ(put("$${tok}", VariablePlace::kText, Given::kCaptured), "${tok}");
}

TEST(Variables, AnEmptyValueIsAValue) { EXPECT_EQ(put("[$empty]"), "[]"); }

TEST(Variables, TheResultIsBounded) {
  const Variables large = {{"v", std::string(1000, 'x')}};
  std::string text;
  for (int i = 0; i < 100; ++i) text += "$v ";
  const auto done = substitute(text, large, {.most = 10'000});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kTooLarge);
}

TEST(Variables, NamesAreIdentifiers) {
  EXPECT_TRUE(is_variable_name("_a1"));
  for (const std::string_view name : {"", "1a", "a-b", "a b", "$a", "\xc3\xa9"}) EXPECT_FALSE(is_variable_name(name));
  EXPECT_FALSE(is_variable_name(std::string(kMaxVariableName + 1, 'a')));
}

}  // namespace
}  // namespace sluice::analysis
