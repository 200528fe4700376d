#include "analysis/jsonpath.h"

#include <gtest/gtest.h>

namespace sluice::analysis {
namespace {

Json document() {
  return *parse_json(R"({"store":{"book":[
    {"category":"reference","author":"Nigel Rees","title":"Sayings","price":8.95},
    {"category":"fiction","author":"Evelyn Waugh","title":"Sword","price":12.99},
    {"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553-21311-3","price":8.99},
    {"category":"fiction","author":"J. R. R. Tolkien","title":"Rings","isbn":"0-395-19395-8","price":22.99}],
    "bicycle":{"color":"red","price":399}},"o":{"j j":{"k.k":3}},"'":{"@":2}})");
}

JsonDocument read(const Json& json) { return *JsonDocument::parse(dump_json(json)); }

std::string found(std::string_view path, const Json& in = document()) {
  const auto parsed = JsonPath::parse(path);
  if (!parsed) return parsed.error().message;
  const JsonDocument tape = read(in);
  Json list = Json::array();
  std::size_t left = kMiB;
  for (const JsonElement& value : parsed->find(tape).values) list.push_back(*to_json(value, left));
  return dump_json(list);
}

TEST(JsonPath, TheExamplesOfTheStandard) {
  EXPECT_EQ(found("$.store.book[*].author"), R"(["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"])");
  EXPECT_EQ(found("$..author"), found("$.store.book[*].author"));
  EXPECT_EQ(found("$.store..price"), "[8.95,12.99,8.99,22.99,399]");
  EXPECT_EQ(found("$..book[2].publisher"), "[]");
  EXPECT_EQ(found("$..book[-1].title"), R"(["Rings"])");
  EXPECT_EQ(found("$..book[0,1].title"), R"(["Sayings","Sword"])");
  EXPECT_EQ(found("$..book[:2].title"), R"(["Sayings","Sword"])");
  EXPECT_EQ(found("$..book[?@.isbn].title"), R"(["Moby Dick","Rings"])");
  EXPECT_EQ(found("$..book[?@.price<10].title"), R"(["Sayings","Moby Dick"])");
  EXPECT_EQ(found("$.o['j j']['k.k']"), "[3]");
  EXPECT_EQ(found(R"($["'"]["@"])"), "[2]");
}

TEST(JsonPath, SlicesGoBothWays) {
  const Json letters = *parse_json(R"(["a","b","c","d","e","f","g"])");
  EXPECT_EQ(found("$[1:3]", letters), R"(["b","c"])");
  EXPECT_EQ(found("$[5:]", letters), R"(["f","g"])");
  EXPECT_EQ(found("$[1:5:2]", letters), R"(["b","d"])");
  EXPECT_EQ(found("$[5:1:-2]", letters), R"(["f","d"])");
  EXPECT_EQ(found("$[::-1]", letters), R"(["g","f","e","d","c","b","a"])");
  EXPECT_EQ(found("$[::0]", letters), "[]");
  EXPECT_EQ(found("$[-9007199254740991:9007199254740991:9007199254740991]", letters), R"(["a"])");
}

TEST(JsonPath, FiltersCompareByTheStandardsTable) {
  const Json values = *parse_json(R"([{"a":1},{"a":1.0},{"a":"1"},{"a":null},{},{"a":[1]},{"a":{"x":1,"y":2}}])");
  EXPECT_EQ(found("$[?@.a==1]", values), R"([{"a":1},{"a":1.0}])");
  EXPECT_EQ(found("$[?@.a==null]", values), R"([{"a":null}])");
  EXPECT_EQ(found("$[?@.a==@.b]", values), "[{}]");
  EXPECT_EQ(found("$[?@.a<=@.b]", values), "[{}]");
  EXPECT_EQ(found("$[?!@.a]", values), "[{}]");
  EXPECT_EQ(found("$[?@.a=='1' || @.a<1.5 && !(@.a=='x')]", values), R"([{"a":1},{"a":1.0},{"a":"1"}])");
  EXPECT_EQ(found("$[?@.a==$[5].a]", values), R"([{"a":[1]}])");
  const Json twins = *parse_json(R"([{"x":{"a":1,"b":2},"y":{"b":2,"a":1}}])");
  EXPECT_NE(found("$[?@.x==@.y]", twins), "[]") << "members have no order";
}

TEST(JsonPath, TheFiveFunctions) {
  const Json values = *parse_json(R"([{"a":"añb"},{"a":[1,2,3]},{"a":"a\nb"},{"a":5}])");
  EXPECT_EQ(found("$[?length(@.a)==3]", values), R"([{"a":"añb"},{"a":[1,2,3]},{"a":"a\nb"}])");
  EXPECT_EQ(found("$[?count(@.a[*])>2]", values), R"([{"a":[1,2,3]}])");
  EXPECT_EQ(found("$[?match(@.a,'a.b')]", values), R"([{"a":"añb"}])");
  EXPECT_EQ(found("$[?search(@.a,'^a')]", values), R"([{"a":"añb"},{"a":"a\nb"}])");
  EXPECT_EQ(found("$[?value(@..[0])==1]", values), R"([{"a":[1,2,3]}])");
  EXPECT_EQ(found("$[?match(@.a,'(')]", values), "[]") << "what is no pattern matches nothing";
}

TEST(JsonPath, NormalisedPaths) {
  const Json value = *parse_json(R"({"a":[{"b'\\\n\u0001":1}]})");
  const auto path = JsonPath::parse("$..*");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->find(read(value), {.paths = true}).paths,
            (std::vector<std::string>{"$['a']", "$['a'][0]", R"($['a'][0]['b\'\\\n\u0001'])"}));
}

TEST(JsonPath, WhatIsNotWellFormedOrWellTypedIsRefused) {
  for (const char* path : {"",
                           "a",
                           "$ ",
                           " $",
                           "$.",
                           "$..",
                           "$[",
                           "$[]",
                           "$[01]",
                           "$[-0]",
                           "$[9007199254740992]",
                           "$['a",
                           "$['\\x']",
                           "$['\\ud800']",
                           "$[\"\\'\"]",
                           "$.1",
                           "$. a",
                           "$[?]",
                           "$[?1]",
                           "$[?'a']",
                           "$[?@.a==]",
                           "$[?@[*]==1]",
                           "$[?length(@.a)]",
                           "$[?length(@.*)==1]",
                           "$[?count(1)==1]",
                           "$[?match(@.a)==true]",
                           "$[?match(@.a,'b')==true]",
                           "$[?nothing(@)]",
                           "$[?count (@)==1]",
                           "$[?@.a==1.]",
                           "$[?@.a=='\n']",
                           "$[1:2:3:4]",
                           "$.a$",
                           "$[?(@.a)==1]"}) {
    EXPECT_FALSE(JsonPath::parse(path)) << path;
  }
  EXPECT_FALSE(JsonPath::parse("$[?" + std::string(100, '(') + "@" + std::string(100, ')') + "]"));
  EXPECT_FALSE(JsonPath::parse("$" + std::string(5'000, 'a')));
}

TEST(JsonPath, WorkAndResultsAreBounded) {
  Json items = Json::array();
  for (int i = 0; i < 200; ++i) items.push_back(Json::array({i, i}));
  const JsonDocument list = read(items);
  const auto all = JsonPath::parse("$[*]");
  const JsonPathFound few = all->find(list, {.results = 10});
  EXPECT_EQ(few.values.size(), 10u);
  EXPECT_TRUE(few.truncated);
  EXPECT_FALSE(all->find(list).truncated);
  const auto inner = JsonPath::parse("$[?count(@..[?count(@..*)>=0])>0]");  // 200 times 2, each looked at
  EXPECT_TRUE(inner->find(list, {.visits = 1'000}).truncated);
  EXPECT_EQ(inner->find(list).values.size(), 200u);
}

TEST(JsonPath, WhatAFilterAsksOfTheWholeDocumentIsLookedForOnce) {
  Json items = Json::array();
  for (int i = 0; i < 2'000; ++i) items.push_back(i);
  const JsonDocument list = read(items);
  const JsonPathFound cube = JsonPath::parse("$[?count($[?count($[*])>0])>0]")->find(list);
  EXPECT_FALSE(cube.truncated);
  EXPECT_EQ(cube.values.size(), 2'000u);
}

TEST(JsonPath, ItemsThatArePassedByAreWorkToo) {
  std::string inner = "0", text = "[";
  for (int i = 0; i < 2'000; ++i) inner += ",0";
  for (int i = 0; i < 20; ++i) text += (i == 0 ? "[" : ",[") + inner + "]";
  const JsonDocument list = *JsonDocument::parse(text + "]");
  std::string many = "@[-1]==0";
  for (int i = 0; i < 30; ++i) many += "&&@[-1]==0";
  EXPECT_TRUE(JsonPath::parse("$[?" + many + "]")->find(list, {.passed = 100'000}).truncated);
  EXPECT_EQ(JsonPath::parse("$[?@[-1]==0]")->find(list, {.passed = 100'000}).values.size(), 20u);
}

TEST(JsonPath, NumbersOfDifferentKindsCompareByTheirValue) {
  const Json values = *parse_json("[18446744073709551615,9223372036854775807,-1,1e300,1.0]");
  EXPECT_EQ(found("$[?@>9007199254740991]", values), "[18446744073709551615,9223372036854775807,1e+300]");
  EXPECT_EQ(found("$[?@==1]", values), "[1.0]");
  EXPECT_EQ(found("$[?@<0]", values), "[-1]");
  EXPECT_EQ(found("$[?@==$[0]]", values), "[18446744073709551615]");
}

}  // namespace
}  // namespace sluice::analysis
