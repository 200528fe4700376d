#include <gtest/gtest.h>

#include "codings/codings.h"
#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

RuleBook::Plan plan_of(std::string_view pairs) {
  const std::string edits = R"({"matchReplaceBody":)" + std::string(pairs) + "}";
  return plan_with(
      spec("{}", R"({"type":"passthrough","transformRequest":)" + edits + R"(,"transformResponse":)" + edits + "}"));
}

std::string edited(std::string_view pairs, std::string_view body) {
  http::FieldList fields;
  const auto out = edit_response_body(plan_of(pairs), fields, body);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? *out : "";
}

TEST(BodyEdit, IsLiteralAndTakesTheFirstOnly) {
  EXPECT_EQ(edited(R"([["a.c","x"]])", "abc a.c a.c"), "abc x a.c");
  EXPECT_EQ(edited(R"([["a","b"],["b","c"]])", "ab"), "cb");
  EXPECT_EQ(edited(R"([["","x"]])", "ab"), "xab");
  EXPECT_EQ(edited(R"([["ab",""]])", "ab"), "");
}

TEST(BodyEdit, DollarSignsMeanWhatTheyMeanInJavaScript) {
  EXPECT_EQ(edited(R"([["b","[$&]"]])", "abc"), "a[b]c");
  EXPECT_EQ(edited(R"([["b","[$`|$'|$$]"]])", "abc"), "a[a|c|$]c");
  EXPECT_EQ(edited(R"([["b","$1$0$<n>$x$"]])", "abc"), "a$1$0$<n>$x$c");
  EXPECT_EQ(edited(R"([["b","$$&"]])", "abc"), "a$&c");
}

TEST(BodyEdit, SetsTheLengthAndDropsChunking) {
  http::FieldList fields;
  fields.append("Transfer-Encoding", "chunked");
  fields.append("Trailer", "X-Sum");
  fields.append("ETag", "\"1\"");
  const auto out = edit_request_body(plan_of(R"([["a","bbb"]])"), fields, "a");
  EXPECT_EQ(*out, "bbb");
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields.find("etag"), "\"1\"");
  EXPECT_EQ(fields.find("content-length"), "3");
}

TEST(BodyEdit, ABodyThatNoEditHitsStaysAsItWas) {
  http::FieldList fields;
  fields.append_raw("content-LENGTH:4\r\n", 14, 15, 1);
  fields.append("Content-Encoding", "gzip");
  const std::string coded = *codings::encode_all("text", {codings::Coding::kGzip});
  fields.set("content-length", std::to_string(coded.size()));
  const auto out = edit_response_body(plan_of(R"([["absent","x"]])"), fields, coded);
  EXPECT_EQ(*out, coded);
  http::FieldList plain;
  plain.append_raw("content-LENGTH:4\r\n", 14, 15, 1);
  EXPECT_EQ(*edit_response_body(plan_of(R"([["e","E"]])"), plain, "text"), "tExt");
  EXPECT_EQ(plain.raw_line(0), "content-LENGTH:4\r\n");
}

TEST(BodyEdit, NoBodyStaysNoBody) {
  http::FieldList fields;
  EXPECT_EQ(*edit_request_body(plan_of(R"([["a","x"]])"), fields, ""), "");
  EXPECT_TRUE(fields.empty());
}

TEST(BodyEdit, CodedBodiesAreDecodedAndCodedAgain) {
  using codings::Coding;
  const std::vector<std::pair<std::string, std::vector<Coding>>> cases{{"gzip", {Coding::kGzip}},
                                                                       {"deflate", {Coding::kDeflate}},
                                                                       {"br", {Coding::kBrotli}},
                                                                       {"zstd", {Coding::kZstd}},
                                                                       {"gzip, br", {Coding::kGzip, Coding::kBrotli}}};
  for (const auto& [name, stack] : cases) {
    http::FieldList fields;
    fields.append("Content-Encoding", name);
    const auto out =
        edit_response_body(plan_of(R"([["old","new"]])"), fields, *codings::encode_all("an old text", stack));
    ASSERT_TRUE(out) << name << out.error().message;
    EXPECT_EQ(codings::decode_all(*out, name, kMiB).text,
              "a"
              "n new text")
        << name;
    EXPECT_EQ(fields.find("content-length"), std::to_string(out->size())) << name;
    EXPECT_EQ(fields.find("content-encoding"), name);
  }
}

TEST(BodyEdit, WhatCannotBeDecodedIsLeftAlone) {
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", "not gzip"},
           {"unknown", "text"},
           {"gzip", codings::encode_all("text text", {codings::Coding::kGzip})->substr(0, 12)}}) {
    http::FieldList fields;
    fields.append("Content-Encoding", coding);
    fields.append("Transfer-Encoding", "chunked");
    const auto out = edit_response_body(plan_of(R"([["t","x"]])"), fields, body);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::kInvalid);
    EXPECT_EQ(fields.size(), 2U);
  }
}

TEST(BodyEdit, StopsAtItsLimits) {
  http::FieldList fields;
  const BodyLimits limits{.decoded = 1000, .edited = 2000};
  const auto code = [&](std::string_view pairs, std::string_view body) {
    const auto out = edit_request_body(plan_of(pairs), fields, body, limits);
    return out ? std::nullopt : std::optional(out.error().code);
  };
  EXPECT_EQ(code(R"([["a","b"]])", std::string(1001, 'a')), Code::kTooLarge);
  EXPECT_EQ(code(R"([["a","b"]])", std::string(1000, 'a')), std::nullopt);
  EXPECT_EQ(code(R"([["a","$'$'$'"]])", std::string(1000, 'a')), Code::kTooLarge);
  fields.append("Content-Encoding", "gzip");
  EXPECT_EQ(code(R"([["a","b"]])", *codings::encode_all(std::string(100'000, 'a'), {codings::Coding::kGzip})),
            Code::kTooLarge);
}

}  // namespace
}  // namespace sluice::rules
