#include <gtest/gtest.h>

#include "http1/http1.h"

namespace sluice::http1 {
namespace {

template <class Head>
std::string written(const Head& head) {
  std::string out;
  append_head(out, head);
  return out;
}

TEST(Writer, WritesHeadsMadeHere) {
  EXPECT_EQ(written(http::make_response(502, {{"Content-Length", "0"}, {"Connection", "close"}})),
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(written(http::make_request("GET", "/", {{"Host", "a"}})), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(written(http::make_response(799)), "HTTP/1.1 799 \r\n\r\n");
}

TEST(Writer, KeepsWhatAnEditDidNotTouch) {
  RequestReader reader{HttpLimits{}};
  reader.feed("GET  http://a/x HTTP/1.1\r\nHOST:a\r\nProxy-Connection: keep-alive\r\nX:  1\nx: 2\r\n\r\n");
  auto event = reader.next();
  ASSERT_TRUE(event);
  auto head = std::get<http::RequestHead>(*std::move(event));
  head.fields.erase("proxy-connection");
  head.target = "/x";
  head.start_line.clear();
  EXPECT_EQ(written(head), "GET /x HTTP/1.1\r\nHOST:a\r\nX:  1\nx: 2\r\n\r\n");
  head.fields.set("X", "3");
  EXPECT_EQ(written(head), "GET /x HTTP/1.1\r\nHOST:a\r\nX: 3\r\n\r\n");
}

TEST(Writer, LetsNoValueBecomeALineOfItsOwn) {
  auto head = http::make_request("GET", "/a b\r\nEvil: 1", {{"X\r\nY", std::string_view("1\r\nZ: 2\0", 8)}});
  EXPECT_EQ(written(head), "GET /a%20b%0D%0AEvil:%201 HTTP/1.1\r\nX  Y: 1  Z: 2 \r\n\r\n");
  auto answer = http::make_response(200);
  answer.reason = "O\r\nK";
  EXPECT_EQ(written(answer), "HTTP/1.1 200 O  K\r\n\r\n");
}

TEST(Writer, WritesChunksThatAreReadAgain) {
  std::string out = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  append_chunk(out, "hello");
  append_chunk(out, "");
  append_chunk(out, std::string(300, 'x'));
  http::FieldList trailers;
  trailers.append("T", "1");
  append_last_chunk(out, trailers);
  EXPECT_NE(out.find("\r\n5\r\nhello\r\n12c\r\nx"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n0\r\nT: 1\r\n\r\n"));
  RequestReader reader{HttpLimits{}};
  reader.feed(out);
  std::size_t content = 0;
  for (;;) {
    const auto event = reader.next();
    ASSERT_TRUE(event);
    if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) content += piece->content.size();
    if (std::holds_alternative<http::MessageEnd>(*event)) break;
  }
  EXPECT_EQ(content, 305u);
}

}  // namespace
}  // namespace sluice::http1
