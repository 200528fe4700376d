#include "http/translate.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

RequestHead h2_request(std::string method, FieldInit fields) {
  RequestHead head = make_request(method, "/a?b", fields);
  head.version = Version::kHttp2;
  return head;
}

TEST(Translate, JoinsCookieCrumbsWhereTheFirstStood) {
  Http1Content content;
  const RequestHead out = to_http1(
      h2_request("GET", {{"host", "a.test"}, {"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}}), false, content);
  EXPECT_EQ(content, Http1Content::kNone);
  EXPECT_EQ(out.version, Version::kHttp11);
  EXPECT_EQ(section_text(out.fields), "host: a.test\r\ncookie: a=1; b=2\r\nx: y\r\n");
}

TEST(ToHttp1, ACrumbOfNothingLeavesNoDelimiter) {
  Http1Content content;
  const FieldList crumbs =
      to_http1(
          h2_request("GET", {{"cookie", ""}, {"cookie", "a=1"}, {"cookie", ""}, {"cookie", "b=2"}, {"cookie", ""}}),
          false, content)
          .fields;
  EXPECT_EQ(section_text(crumbs), "cookie: a=1; b=2\r\n");
  EXPECT_EQ(section_text(to_http1(h2_request("GET", {{"cookie", ""}, {"cookie", ""}}), false, content).fields),
            "cookie: \r\n");
}

TEST(Translate, ContentOfUnknownLengthIsChunked) {
  Http1Content content;
  const RequestHead out = to_http1(h2_request("POST", {{"host", "a.test"}}), true, content);
  EXPECT_EQ(content, Http1Content::kChunked);
  EXPECT_EQ(out.fields.find("transfer-encoding"), "chunked");
}

TEST(Translate, ADeclaredLengthStays) {
  Http1Content content;
  const RequestHead out = to_http1(h2_request("POST", {{"content-length", "3"}}), true, content);
  EXPECT_EQ(content, Http1Content::kAsDeclared);
  EXPECT_FALSE(out.fields.find("transfer-encoding"));
}

TEST(Translate, AnEmptyPostSaysSo) {
  Http1Content content;
  EXPECT_EQ(to_http1(h2_request("POST", {}), false, content).fields.find("content-length"), "0");
  EXPECT_FALSE(to_http1(h2_request("GET", {}), false, content).fields.find("content-length"));
}

TEST(Translate, AnAnswerGetsItsReasonAndAFraming) {
  ResponseHead head = make_response(404, {{"server", "x"}});
  head.reason.clear();
  head.version = Version::kHttp2;
  Http1Content content;
  const ResponseHead out = to_http1(head, true, Version::kHttp11, content);
  EXPECT_EQ(out.reason, "Not Found");
  EXPECT_EQ(content, Http1Content::kChunked);
  const ResponseHead old = to_http1(head, true, Version::kHttp10, content);
  EXPECT_EQ(content, Http1Content::kUntilClose);
  EXPECT_EQ(old.fields.find("connection"), "close");
  EXPECT_FALSE(old.fields.find("transfer-encoding"));
  to_http1(head, false, Version::kHttp11, content);
  EXPECT_EQ(content, Http1Content::kNone);
}

}  // namespace
}  // namespace sluice::http
