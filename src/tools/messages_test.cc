// What proxy_get_exchange answers of messages. How they are read is tested in analysis/.
#include <gtest/gtest.h>

#include "base/text.h"
#include "codings/codings.h"
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

Json messages(Bench& bench, Json arguments = Json::object()) {
  arguments["exchange_id"] = bench.last_id();
  arguments["include"] = Json::array({"messages"});
  return bench.ok("proxy_get_exchange", arguments)["exchange"]["messages"];
}

TEST(Messages, AreNullWhereThereAreNone) {
  Bench bench;
  bench.capture.exchange({});
  EXPECT_TRUE(messages(bench).is_null());
}

TEST(Messages, EventsAreShownAsABrowserWouldSeeThem) {
  Bench bench;
  bench.capture.exchange({.response_body = "event: add\nid: 7\ndata: {\"a\":1}\n\nretry: 10\n\ndata: b",
                          .response_fields = "Content-Type: text/event-stream\r\n"});
  const Json answer = messages(bench);
  EXPECT_EQ(answer["kind"], "events");
  EXPECT_EQ(answer["total"], 3);
  EXPECT_EQ(answer["complete"], true);
  EXPECT_EQ(answer["items"][0], (Json{{"number", 0},
                                      {"from", "server"},
                                      {"type", "event"},
                                      {"event", "add"},
                                      {"id", "7"},
                                      {"bytes", 7},
                                      {"text", "{\"a\":1}"}}));
  EXPECT_EQ(answer["items"][1],
            (Json{{"number", 1}, {"from", "server"}, {"type", "event"}, {"event", "message"}, {"retry", 10}}));
  EXPECT_EQ(answer["items"][2]["complete"], false);
}

TEST(Messages, ComeInPages) {
  Bench bench;
  std::string body;
  for (int i = 0; i < 1'200; ++i) body += "data: " + std::to_string(i) + "\n\n";
  bench.capture.exchange({.response_body = body, .response_fields = "Content-Type: text/event-stream\r\n"});
  EXPECT_EQ(messages(bench)["items"].size(), 50u);
  EXPECT_EQ(messages(bench)["nextOffset"], 50);
  EXPECT_EQ(messages(bench, {{"limit", 1'000'000}})["items"].size(), 1'000u) << "the most at once";
  const Json end = messages(bench, {{"offset", 1'199}, {"limit", 10}});
  EXPECT_EQ(end["items"][0]["text"], "1199");
  EXPECT_FALSE(end.contains("nextOffset"));
}

TEST(Messages, ASocketsMessagesSayWhoWhenAndWhat) {
  Bench bench;
  const ExchangeSeq socket = bench.capture.begin({.target = "/socket"});
  bench.capture.respond(socket, {.status = 101, .response_fields = "Upgrade: websocket\r\n"});
  flow::Sink& sink = bench.capture.sink();
  sink.body(socket, flow::Direction::kRequest, R"({"password":"Zq8Xw3Lm"})");
  sink.message(socket,
               {.direction = flow::Direction::kRequest, .opcode = 1, .length = 23, .at = bench.capture.clock.wall()});
  sink.body(socket, flow::Direction::kResponse, "\xff\x01");
  sink.message(socket, {.direction = flow::Direction::kResponse, .opcode = 2, .length = 2});
  sink.message(socket, {.direction = flow::Direction::kResponse, .opcode = 8, .control = "\x03\xeagone"});
  bench.capture.end(socket, {});
  Json answer = messages(bench);
  EXPECT_EQ(answer["kind"], "websocket");
  EXPECT_EQ(answer["items"][0], (Json{{"number", 0},
                                      {"from", "client"},
                                      {"type", "text"},
                                      {"at", unix_ms(bench.capture.clock.wall())},
                                      {"bytes", 23},
                                      {"text", R"({"password":"Zq8Xw3Lm"})"}}));
  EXPECT_EQ(answer["items"][1]["base64"], "/wE=");
  EXPECT_EQ(answer["items"][2]["code"], 1002);
  EXPECT_EQ(answer["items"][2]["reason"], "gone");
  bench.context.redactor = &bench.redactor;
  answer = messages(bench);
  EXPECT_TRUE(answer["items"][0]["text"].get<std::string>().starts_with(R"({"password":"[redacted:)"));
}

TEST(Messages, OfGrpcTheFieldsAreListedAndTheStatusNamed) {
  Bench bench;
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
  const std::string inner = std::string("\x0a") + static_cast<char>(jwt.size()) + jwt;
  const std::string message = std::string("\x08\x96\x01\x15\0\0\xc0\x3f\x1a\x03\x08\x96\x01", 13) + inner;
  const std::string frame = std::string(4, '\0') + static_cast<char>(message.size()) + message;
  bench.capture.exchange({.method = "POST",
                          .request_body = frame,
                          .response_body = "",
                          .response_fields = "Content-Type: application/grpc\r\n",
                          .request_fields = "Content-Type: application/grpc\r\n",
                          .response_trailers = "grpc-status: 5\r\ngrpc-message: not%20here\r\n"});
  Json answer = messages(bench);
  EXPECT_EQ(answer["status"], (Json{{"code", 5}, {"name", "NOT_FOUND"}, {"message", "not here"}}));
  EXPECT_EQ(*base64_decode(answer["items"][0]["base64"].get<std::string>()), message);
  const Json fields = answer["items"][0]["fields"];
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(fields[0], (Json{{"field", 1}, {"type", "varint"}, {"value", 150}}));
  EXPECT_EQ(fields[1], (Json{{"field", 2}, {"type", "fixed32"}, {"value", 1069547520}, {"float", 1.5}}));
  EXPECT_EQ(fields[2]["value"], (Json::array({{{"field", 1}, {"type", "varint"}, {"value", 150}}})));
  EXPECT_EQ(fields[3]["value"], jwt);

  bench.context.redactor = &bench.redactor;
  answer = messages(bench);
  EXPECT_EQ(dump_json(answer).find("c2lnbmF0dXJl"), std::string::npos);
  EXPECT_EQ(base64_decode(answer["items"][0]["base64"].get<std::string>())->find("c2lnbmF0dXJl"), std::string::npos);
  EXPECT_EQ(answer["items"][0]["fields"].size(), 4u) << "what is masked does not hide the rest";
}

TEST(Messages, CompressedOnesAreNotShownRawWhereSecretsAreMasked) {
  Bench bench;
  const std::string payload = *codings::encode_all("text", {codings::Coding::kGzip});
  bench.capture.exchange({.response_body = std::string("\1\0\0\0", 4) + static_cast<char>(payload.size()) + payload,
                          .response_fields = "Content-Type: application/grpc\r\nGrpc-Encoding: gzip\r\n"});
  EXPECT_EQ(messages(bench)["items"][0]["base64"], base64_encode("text"));
  EXPECT_EQ(messages(bench, {{"decoded", false}})["items"][0]["base64"], base64_encode(payload));
  bench.context.redactor = &bench.redactor;
  EXPECT_EQ(
      bench
          .call("proxy_get_exchange", {{"exchange_id", bench.last_id()}, {"include", {"messages"}}, {"decoded", false}})
          .error()
          .code,
      Code::kRefused);
}

}  // namespace
}  // namespace sluice::tools
