#include "policy/yaml_source.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

std::string json_of(std::string_view yaml) {
  const auto node = parse_yaml_source(yaml);
  return node ? dump_source(*node) : "refused: " + node.error().message;
}

std::string refusal(std::string_view yaml) {
  const auto node = parse_yaml_source(yaml);
  return node ? "taken: " + dump_source(*node) : node.error().message;
}

TEST(YamlSource, QuotedScalarsAreTextsAndPlainOnesWhatTheCoreSchemaSays) {
  EXPECT_EQ(json_of("[1, \"1\", '1', true, \"true\", null, ~, 'null', yes, no, on, off]"),
            R"([1,"1","1",true,"true",null,null,"null","yes","no","on","off"])");
  EXPECT_EQ(json_of("[True, FALSE, Null, -5, +5, 1.50, .5, 5., 1e3, -1.5E-3, 0x1F, 0o17, 0, -0, 0.10]"),
            R"([true,false,null,-5,5,1.50,0.5,5,1e3,-1.5e-3,31,15,0,-0,0.10])");
  EXPECT_EQ(json_of("[1_000, 1:30, 2024-01-01, 10/minute, tRue, 1.2.3, '-', e5, .e5, 0xZZ, +-1, -]"),
            R"(["1_000","1:30","2024-01-01","10/minute","tRue","1.2.3","-","e5",".e5","0xZZ","+-1","-"])");
  EXPECT_EQ(json_of("a: |\n  1\n  2\nb: >\n  x\n  y\nc:\n"), "{\"a\":\"1\\n2\\n\",\"b\":\"x y\\n\",\"c\":null}");
  EXPECT_EQ(json_of("[!!str 5, ! 5, !!int 5, !!float 5, !!bool true, !!null null, !!str true]"),
            R"(["5","5",5,5,true,null,"true"])");
  EXPECT_EQ(json_of("[99999999999999999999, 1e400, 0xFFFFFFFFFFFFFFFFFF]"),
            R"([99999999999999999999,1e400,"0xFFFFFFFFFFFFFFFFFF"])");
}

TEST(YamlSource, EveryValueKnowsItsLine) {
  const auto node = parse_yaml_source("# first\na: 1\nb:\n  - x\n  - c: y\n");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->names[0].line, 2u);
  EXPECT_EQ(node->names[1].line, 3u);
  EXPECT_EQ(node->items[1].items[0].line, 4u);
  EXPECT_EQ(node->items[1].items[1].names[0].line, 5u);
}

TEST(YamlSource, WhatMeansSomethingElsewhereIsRefusedWithItsPlace) {
  EXPECT_EQ(refusal("a: 1\na: 2\n"), "line 2, column 1: the same name is there twice");
  EXPECT_EQ(refusal("a: 1\n\"a\": 2\n"), "line 2, column 1: the same name is there twice");
  for (const char* text : {"a: &x 1\n", "&x a: 1\n", "a: &x [1]\n", "a: &x\n", "&x {a: 1}\n"}) {
    EXPECT_NE(refusal(text).find("anchors are not taken"), std::string::npos) << refusal(text);
  }
  EXPECT_NE(refusal("a: &x 1\nb: *x\n").find("anchors are not taken"), std::string::npos);
  EXPECT_NE(refusal("a: *x\n").find("line 1"), std::string::npos);
  EXPECT_NE(refusal("<<: {a: 1}\n").find("merge keys"), std::string::npos);
  EXPECT_EQ(json_of("'<<': 1\n"), R"({"<<":1})");
  for (const char* text : {"a: !custom 1\n", "a: !!python/object 1\n", "!x {a: 1}\n", "a: !!set {x}\n", "a: !!int x\n",
                           "a: !!int 1.5\n", "a: !!bool 1\n", "a: !!binary aGk=\n", "!!seq {a: 1}\n"}) {
    EXPECT_NE(refusal(text).find("this tag is not taken"), std::string::npos) << refusal(text);
  }
  EXPECT_NE(refusal("a: 1\n---\nb: 2\n").find("a second document"), std::string::npos);
  EXPECT_NE(refusal("1: x\n").find("a name must be a text"), std::string::npos);
  EXPECT_NE(refusal("true: x\n").find("a name must be a text"), std::string::npos);
  EXPECT_NE(refusal("? [a]\n: x\n").find("a name must be a text"), std::string::npos);
  EXPECT_NE(refusal(": x\n").find("a name must be a text"), std::string::npos);
  EXPECT_NE(refusal("a: 010\n").find("octal"), std::string::npos);
  for (const char* text : {"a: .inf\n", "a: -.INF\n", "a: .nan\n"})
    EXPECT_NE(refusal(text).find("no finite"), std::string::npos);
}

TEST(YamlSource, WhatIsNoTextOrTooMuchIsRefused) {
  EXPECT_NE(refusal(std::string_view("a: 1\nb: \0\n", 10)).find("line 2: a control character"), std::string::npos);
  EXPECT_NE(refusal("a: \x04 b: 2").find("a control character"), std::string::npos);
  EXPECT_NE(refusal("\xEF\xBB\xBF"
                    "a: 1")
                .find("byte order mark"),
            std::string::npos);
  EXPECT_NE(refusal("a: \xFF").find("not UTF-8"), std::string::npos);
  EXPECT_NE(refusal("a: \"\\ud800\"").find("line 1"), std::string::npos);
  for (const char* text : {"a: [", "a: {", "a: \"x", "a: b: c", "- a\nb: 1\n", "%TAG\n", "\t- a", "@x", "`x"}) {
    EXPECT_TRUE(refusal(text).starts_with("line ")) << text << ": " << refusal(text);
  }
  EXPECT_NE(refusal(std::string(65, '[') + std::string(65, ']')).find("nested deeper than 64"), std::string::npos);
  EXPECT_TRUE(refusal(std::string(100'000, '[')).starts_with("line 1")) << refusal(std::string(100'000, '['));
  std::string blocks;
  for (int i = 0; i < 100; ++i) blocks += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_NE(refusal(blocks).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal(std::string((1u << 20) + 1, 'a')).find("larger than"), std::string::npos);
  const auto few = parse_yaml_source("[1, 2, 3]", {.max_nodes = 3});
  EXPECT_FALSE(few);
}

TEST(YamlSource, AQuotedTextIsReadAsItWas) {
  for (const std::string& text :
       {std::string("plain"), std::string("a\"b\\c\n\t/"), std::string("\x01\x1f"), std::string("\x7f"),
        std::string("\xC2\x85\xC2\x80\xE2\x80\xA8\xE2\x80\xA9\xEF\xBB\xBF"), std::string("ä😀"), std::string("")}) {
    const std::string quoted = yaml_quoted(text);
    const auto node = parse_yaml_source("[" + quoted + "]");
    ASSERT_TRUE(node) << quoted << node.error().message;
    EXPECT_EQ(node->items.at(0).text, text);
    EXPECT_EQ(quoted.find('\x7f'), std::string::npos);
    EXPECT_EQ(quoted.find("\xC2\x85"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::policy
