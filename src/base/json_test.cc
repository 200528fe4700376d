#include "base/json.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "base/json_spelling.h"

namespace sluice {
namespace {

using namespace std::string_view_literals;

Code refusal(std::string_view text, const JsonLimits& limits = {}) {
  const auto result = parse_json(text, limits);
  return result ? Code::kInternal : result.error().code;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, KeepsTheOrderOfMembers) {
  const std::string text = R"({"z":1,"a":[true,false,null,"x",-2,0.5],"m":{}})";
  EXPECT_EQ(dump_json(parse_json(text).value()), text);
  EXPECT_EQ(dump_json(parse_json(" [ 1 , 2 ]\r\n\t").value()), "[1,2]");
  EXPECT_EQ(dump_json(parse_json(R"({"a":1})").value(), JsonStyle::kIndented), "{\n  \"a\": 1\n}");
}

TEST(Json, TakesScalarsAlone) {
  EXPECT_EQ(parse_json("null").value(), nullptr);
  EXPECT_EQ(parse_json("\"\\u00e9\\ud83d\\ude00\"").value(), "\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(parse_json("18446744073709551615").value().get<std::uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(parse_json("-9223372036854775808").value().get<std::int64_t>(), INT64_MIN);
}

TEST(Json, TakesLargeIntegersAsFloats) {
  const Json value = parse_json("123456789012345678901234567890").value();
  EXPECT_TRUE(value.is_number_float());
  EXPECT_DOUBLE_EQ(value.get<double>(), 1.2345678901234568e29);
}

TEST(Json, RefusesNumbersThatNoDoubleHolds) {
  EXPECT_EQ(refusal("1e999"), Code::kInvalid);
  EXPECT_EQ(refusal("[-1e999]"), Code::kInvalid);
  EXPECT_EQ(refusal(std::string(400, '9')), Code::kInvalid);
  EXPECT_EQ(refusal("[NaN]"), Code::kInvalid);
  EXPECT_EQ(refusal("Infinity"), Code::kInvalid);
  EXPECT_EQ(parse_json("1e-999").value(), 0.0);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (std::string_view text :
       {""sv,        " "sv,     "{"sv,     "[1,]"sv, "{\"a\":1,}"sv, "{a:1}"sv,   "'a'"sv,         "01"sv,
        "+1"sv,      ".5"sv,    "1."sv,    "tru"sv,  "\"\n\""sv,     "\"\\x\""sv, "\"\\ud800\""sv, "\"abc"sv,
        "// c\n1"sv, "/**/1"sv, "[1 2]"sv, "]"sv,    "}"sv,          "1\0"sv,     "\0"sv}) {
    EXPECT_EQ(refusal(text), Code::kInvalid) << text;
  }
}

TEST(Json, RefusesAnythingBehindTheValue) {
  for (std::string_view text : {"1 1"sv, "{}{}"sv, "null,"sv, "[]]"sv, "\"a\"b"sv, "{}\xff"sv}) {
    EXPECT_EQ(refusal(text), Code::kInvalid) << text;
  }
}

TEST(Json, RefusesIllFormedUtf8) {
  for (std::string_view text : {"\"\xff\""sv, "\"\xc0\x80\""sv, "\"\xed\xa0\x80\""sv, "\"\xf4\x90\x80\x80\""sv,
                                "\"\xe2\x82\""sv, "{\"\xc3\":1}"sv}) {
    EXPECT_EQ(refusal(text), Code::kInvalid);
  }
}

TEST(Json, IgnoresAByteOrderMark) {
  EXPECT_EQ(dump_json(parse_json("\xef\xbb\xbf{}").value()), "{}") << "RFC 8259 §8.1";
  EXPECT_EQ(refusal("\xef\xbb{}"), Code::kInvalid);
  EXPECT_EQ(refusal("{}\xef\xbb\xbf"), Code::kInvalid);
}

TEST(Json, LooksBehindANul) {
  EXPECT_EQ(refusal("{}\0{\"a\""sv), Code::kInvalid);
  EXPECT_EQ(refusal("\"a\0b\""sv), Code::kInvalid);
  EXPECT_EQ(parse_json("\"\\u0000\"").value(), "\0"sv);
}

TEST(Json, CountsDepth) {
  EXPECT_TRUE(parse_json(nested(64)));
  EXPECT_EQ(refusal(nested(65)), Code::kTooLarge);
  EXPECT_EQ(refusal(std::string(3'000'000, '[')), Code::kTooLarge);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(refusal(objects), Code::kTooLarge);
  EXPECT_EQ(refusal("[[]]", {.max_depth = 1}), Code::kTooLarge);
  EXPECT_EQ(refusal("[]", {.max_depth = 0}), Code::kTooLarge);
}

TEST(Json, CountsMembers) {
  const JsonLimits limits{.max_members = 3, .refuse_duplicate_keys = false};
  EXPECT_TRUE(parse_json(R"({"a":1,"b":2,"c":{"x":1,"y":2,"z":3}})", limits));
  EXPECT_EQ(refusal(R"({"a":1,"b":2,"c":3,"d":4})", limits), Code::kTooLarge);
}

TEST(Json, RefusesTwoMembersOfOneNameWhereStrict) {
  EXPECT_EQ(refusal(R"({"a":1,"a":2})"), Code::kInvalid);
  EXPECT_EQ(refusal(R"({"a":1,"\u0061":2})"), Code::kInvalid) << "spelt differently, the same name";
  EXPECT_TRUE(parse_json(R"({"a":{"a":1}})"));
}

TEST(Json, TakesTheLastMemberWhereNotStrict) {
  const JsonLimits lenient{.refuse_duplicate_keys = false};
  EXPECT_EQ(dump_json(parse_json(R"({"a":1,"b":2,"a":{"c":3}})", lenient).value()), R"({"a":{"c":3},"b":2})");
}

TEST(Json, SaysWhereAndNeverWhat) {
  const auto result = parse_json("{\"secret\": hunter2}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.find("hunter2"), std::string::npos);
  EXPECT_NE(result.error().message.find("byte 12"), std::string::npos) << result.error().message;
}

TEST(Json, DumpsIllFormedUtf8AsReplacements) {
  EXPECT_EQ(dump_json(Json("a\xff z")), "\"a\xef\xbf\xbd z\"");
  Json object = Json::object();
  object["k\xc3"] = "v\xe2\x82";
  EXPECT_TRUE(parse_json(dump_json(object)));
  EXPECT_EQ(dump_json(Json(std::numeric_limits<double>::infinity())), "null");
}

std::string by_library(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

TEST(Json, IsWrittenAsTheLibraryWritesIt) {
  std::mt19937 chance(7);
  const auto text = [&] {
    static constexpr std::string_view kPieces[] = {"a",    "plain text", "\"",           "\\",
                                                   "\n",   "\x7f",       "\x01",         "\x1f",
                                                   "/",    "\xc3\xa9",   "\xe2\x80\xa8", "\xf0\x9f\x98\x80",
                                                   "\xff", "\xe2\x82",   "\xed\xa0\x80"};
    std::string made;
    // Well-formed more often than not: one octet that is not turns the whole text over to the library.
    const std::size_t kinds = chance() % 3 ? 12 : std::size(kPieces);
    for (std::size_t i = chance() % 12; i > 0; --i) made += kPieces[chance() % kinds];
    if (chance() % 8 == 0) made.push_back('\0');
    return made;
  };
  const std::function<Json(int)> value = [&](int depth) -> Json {
    switch (chance() % (depth > 0 ? 9 : 7)) {
      case 0:
        return nullptr;
      case 1:
        return chance() % 2 == 0;
      case 2:
        return static_cast<std::int64_t>((std::uint64_t{chance()} << 32) | chance());
      case 3:
        return ~std::uint64_t{0} - chance() % 3;
      case 4:
        return static_cast<double>(chance()) / (1.0 + chance() % 1'000);
      case 5:
      case 6:
        return text();
      case 7: {
        Json array = Json::array();
        for (std::size_t i = chance() % 4; i > 0; --i) array.push_back(value(depth - 1));
        return array;
      }
      default: {
        Json object = Json::object();
        for (std::size_t i = chance() % 4; i > 0; --i) object[text()] = value(depth - 1);
        return object;
      }
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    const Json made = value(4);
    ASSERT_EQ(dump_json(made), by_library(made));
  }
  for (int octet = 0; octet < 256; ++octet) {
    for (std::size_t before = 0; before < 9; ++before) {
      const Json made = std::string(before, 'x') + static_cast<char>(octet) + "xxxxxxxx";
      ASSERT_EQ(dump_json(made), by_library(made)) << octet;
    }
  }
  for (const Json& odd : {Json(INT64_MIN), Json(UINT64_MAX), Json(-0.0), Json(1e300), Json::binary({1, 2})}) {
    EXPECT_EQ(dump_json(odd), by_library(odd));
  }
}

TEST(Json, FindsMembersThatAreThere) {
  const Json object = parse_json(R"({"a":1,"n":null})").value();
  EXPECT_EQ(*find_member(object, "a"), 1);
  EXPECT_EQ(find_member(object, "n"), nullptr);
  EXPECT_EQ(find_member(object, "x"), nullptr);
  EXPECT_EQ(find_member(parse_json("[1]").value(), "a"), nullptr);
}

TEST(Json, ReadsBackWhatItWrote) {
  for (std::string_view text : {R"({"a":[1.5,1e300,-0.0,1e-7,"\u0000\"\\"]})"sv, "[[],{},[{}]]"sv, "\"\\u2028\""sv}) {
    const Json once = parse_json(text).value();
    const std::string written = dump_json(once);
    EXPECT_EQ(dump_json(parse_json(written).value()), written);
  }
}

TEST(SpelledJson, EveryNumberIsWrittenAsItWasRead) {
  for (const char* text :
       {"-0", "0", "1.0", "1.10", "1e2", "1E+02", "-0.0", "9007199254740993", "12345678901234567890123", "0.1",
        "1e-400", R"({"a":[1.50,{"b":-0}],"c":{},"d":[],"e":"\u0000x"})", "[[],{},1.0]"}) {
    const auto value = parse_spelled_json(text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(dump_spelled_json(*value), text);
  }
  EXPECT_FALSE(parse_spelled_json("1e400"));
  EXPECT_FALSE(parse_spelled_json(R"({"a":1.0,"a":2})"));
}

TEST(SpelledJson, APlainCopyHasOrdinaryNumbersAndKnowsTheirSpelling) {
  const auto value = parse_spelled_json(R"({"a":[1.50,2],"b":-0,"c":1e-400,"d":12345678901234567890123})");
  ASSERT_TRUE(value);
  const Json plain = plain_json(*value);
  EXPECT_EQ(plain["a"][0], 1.5);
  EXPECT_EQ(plain["b"], 0);
  EXPECT_EQ(plain["c"], 0.0);
  const NumberSpellings spellings = spellings_of(*value, plain);
  EXPECT_EQ(spellings.size(), 4u);
  EXPECT_EQ(spellings.at(&plain["a"][0]), "1.50");
  EXPECT_EQ(spellings.at(&plain["d"]), "12345678901234567890123");
  EXPECT_TRUE(spellings_of(plain, plain).empty());
}

}  // namespace
}  // namespace sluice
