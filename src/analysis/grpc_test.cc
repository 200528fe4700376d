#include "analysis/grpc.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/text.h"

namespace sluice::analysis {
namespace {

using Lines = std::vector<std::string>;

std::string frame(std::string_view payload, unsigned char flags = 0) {
  std::string octets(1, static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) octets.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  return octets.append(payload);
}

std::string line(const GrpcFrame& frame) {
  std::string text = frame.trailers ? "trailers " : frame.compressed ? "compressed " : "";
  text += "'" + frame.payload + "'";
  if (frame.length != frame.payload.size()) text += " of " + std::to_string(frame.length);
  return frame.complete ? text : text + " unfinished";
}

Lines parse(std::string_view body, GrpcForm form, std::size_t step, ByteCount keep) {
  GrpcParser parser(form, keep);
  Lines lines;
  for (; !body.empty(); body.remove_prefix(std::min(step, body.size()))) {
    const std::string piece(body.substr(0, step));
    parser.feed(piece);
    for (;;) {
      auto next = parser.next();
      if (!next) {
        lines.push_back("error");
        EXPECT_FALSE(parser.next()) << "the same answer again";
        EXPECT_FALSE(parser.finish());
        return lines;
      }
      if (!*next) break;
      lines.push_back(line(**next));
    }
  }
  if (const auto last = parser.finish()) lines.push_back(line(*last));
  return lines;
}

Lines messages(std::string_view body, GrpcForm form = GrpcForm::kBinary, ByteCount keep = 1000) {
  const Lines whole = parse(body, form, body.size() + 1, keep);
  for (std::size_t step = 1; step <= body.size(); ++step) EXPECT_EQ(parse(body, form, step, keep), whole) << step;
  return whole;
}

TEST(Grpc, IsKnownByItsContentType) {
  EXPECT_EQ(grpc_form("application/grpc"), GrpcForm::kBinary);
  EXPECT_EQ(grpc_form("Application/gRPC+proto; x=y"), GrpcForm::kBinary);
  EXPECT_EQ(grpc_form("application/grpc-web+proto"), GrpcForm::kWeb);
  EXPECT_EQ(grpc_form("application/grpc-web-text"), GrpcForm::kWebText);
  for (const char* other : {"", "application/grpcx", "application/json", "application/grpc-foo", "text/grpc"}) {
    EXPECT_EQ(grpc_form(other), std::nullopt) << other;
  }
}

TEST(Grpc, MessagesComeOutOfTheBodyHoweverItIsCut) {
  EXPECT_EQ(messages(frame("one") + frame("") + frame("three", 1)), (Lines{"'one'", "''", "compressed 'three'"}));
  EXPECT_EQ(messages(""), Lines{});
}

TEST(Grpc, WhatTheEndCutsOffIsTold) {
  EXPECT_EQ(messages(frame("one") + frame("three").substr(0, 7)), (Lines{"'one'", "'th' of 5 unfinished"}));
  EXPECT_EQ(messages(frame("one") + std::string(3, '\0')), (Lines{"'one'", "'' unfinished"}));
}

TEST(Grpc, OfLongMessagesTheBeginningIsKept) {
  EXPECT_EQ(messages(frame(std::string(50, 'x')) + frame("y"), GrpcForm::kBinary, 4), (Lines{"'xxxx' of 50", "'y'"}));
  const std::string four_gigabytes = std::string("\0\xff\xff\xff\xff", 5) + "abc";
  EXPECT_EQ(messages(four_gigabytes), (Lines{"'abc' of 4294967295 unfinished"}));
}

TEST(Grpc, WhatIsNoGrpcIsRefused) {
  EXPECT_EQ(messages("<html>not found</html>"), (Lines{"error"}));
  EXPECT_EQ(messages(frame("one") + frame("x", 2)), (Lines{"'one'", "error"}));
  EXPECT_EQ(messages(frame("grpc-status: 0", 0x80)), (Lines{"error"})) << "trailers in the body are gRPC-Web's";
}

TEST(Grpc, OfTheWebHasItsTrailersInTheBody) {
  EXPECT_EQ(messages(frame("one") + frame("grpc-status: 0\r\n", 0x80), GrpcForm::kWeb),
            (Lines{"'one'", "trailers 'grpc-status: 0\r\n'"}));
}

TEST(Grpc, OfTheWebMayBeBase64InSeveralTexts) {
  const std::string body = base64_encode(frame("one!")) + base64_encode(frame("grpc-status: 5", 0x80));
  EXPECT_NE(body.find('='), std::string::npos) << "padding in the middle";
  EXPECT_EQ(messages(body, GrpcForm::kWebText), (Lines{"'one!'", "trailers 'grpc-status: 5'"}));
  EXPECT_EQ(messages(base64_encode(frame("one")) + "!!!!", GrpcForm::kWebText), (Lines{"'one'", "error"}));
}

TEST(Grpc, TheStatusIsReadFromTrailersOrAHead) {
  const auto status = grpc_status("grpc-status: 5\r\ngrpc-message: no%20such%20caf%C3%A9\r\n");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 5u);
  EXPECT_EQ(status->message, "no such caf\xC3\xA9");
  EXPECT_EQ(grpc_status("HTTP/1.1 200 OK\r\nGrpc-Status: 0\r\n\r\n")->code, 0u);
  EXPECT_FALSE(grpc_status("HTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_FALSE(grpc_status("grpc-status: good\r\n"));
  EXPECT_EQ(grpc_status_name(5), "NOT_FOUND");
  EXPECT_EQ(grpc_status_name(16), "UNAUTHENTICATED");
  EXPECT_EQ(grpc_status_name(17), "");
}

}  // namespace
}  // namespace sluice::analysis
