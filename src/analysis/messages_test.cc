#include "analysis/messages.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "capture/capture_test_support.h"
#include "websocket/deflate.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;
using codings::Coding;
using flow::Direction;

std::string frame(std::string_view payload, unsigned char flags = 0) {
  std::string octets(1, static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) octets.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  return octets.append(payload);
}

class MessagesTest : public testing::Test, protected RingFixture {
 protected:
  using Texts = std::vector<std::string>;

  void SetUp() override { ASSERT_TRUE(open()); }
  flow::Exchange last() {
    ring->sync();
    const auto page = ring->list({.after_rev = 0}, -1, 1);
    return page.exchanges.at(0);
  }
  MessagePage read(const MessageQuery& query = {}) {
    auto page = read_messages(*ring, last(), query);
    EXPECT_TRUE(page) << (page ? "" : page.error().message);
    return page ? *std::move(page) : MessagePage{};
  }
  // "c:" or "s:", type, content, what is wrong.
  static std::string line(const SeenMessage& message) {
    std::string text = message.direction == Direction::kRequest ? "c:" : "s:";
    text += std::string(message.type) + " " + message.content;
    if (message.cut) text += " cut";
    if (!message.complete) text += " unfinished";
    if (!message.problem.empty()) text += " (" + message.problem + ")";
    return text;
  }
  Texts texts(const MessageQuery& query = {}) {
    Texts found;
    for (const SeenMessage& message : read(query).messages) found.push_back(line(message));
    return found;
  }

  // --- a WebSocket ---
  void connect(const std::string& extensions = "") {
    socket_ = begin({.target = "/socket"});
    const std::string field = extensions.empty() ? "" : "Sec-WebSocket-Extensions: " + extensions + "\r\n";
    respond(socket_, {.status = 101, .response_fields = "Upgrade: WebSocket\r\n" + field});
  }
  void say(Direction direction, Bytes payload, std::uint8_t opcode = 1, bool compressed = false, bool complete = true) {
    const bool control = opcode >= 8;
    ByteCount& passed = direction == Direction::kRequest ? sent_ : received_;
    if (!control) sink().body(socket_, direction, payload);
    sink().message(socket_, {.direction = direction,
                             .opcode = opcode,
                             .compressed = compressed,
                             .complete = complete,
                             .offset = control ? 0 : passed,
                             .length = control ? 0 : payload.size(),
                             .at = clock.wall(),
                             .control = control ? payload : Bytes()});
    if (!control) passed += payload.size();
  }
  void say_compressed(websocket::Deflater& deflater, Direction direction, Bytes content) {
    std::string payload;
    deflater.deflate(content, payload);
    say(direction, payload, 1, true);
  }

  Redactor redactor{entropy};
  ExchangeSeq socket_;
  ByteCount sent_ = 0, received_ = 0;
};

TEST_F(MessagesTest, OtherExchangesHaveNone) {
  exchange({.response_fields = "Content-Type: application/json\r\n"});
  EXPECT_EQ(message_kind(last()), std::nullopt);
  EXPECT_EQ(read_messages(*ring, last(), {}).error().code, Code::kInvalid);
}

// --- events ---

TEST_F(MessagesTest, EventsComeOutOfADecodedBody) {
  const std::string body = "event: add\nid: 1\ndata: a\n\nretry: 5\n\ndata: b\ndata: c\n\ndata: unfin";
  exchange({.response_body = *codings::encode_all(body, {Coding::kGzip}),
            .response_fields = "Content-Type: text/event-stream; charset=utf-8\r\nContent-Encoding: gzip\r\n"});
  const MessagePage page = read();
  EXPECT_EQ(page.kind, MessageKind::kEvents);
  EXPECT_EQ(page.total, 4u);
  EXPECT_EQ(texts(), (Texts{"s:event a", "s:event ", "s:event b\nc", "s:event unfin unfinished"}));
  EXPECT_EQ(page.messages[0].event, "add");
  EXPECT_EQ(page.messages[0].id, "1");
  EXPECT_EQ(page.messages[1].retry_ms, 5u);
  EXPECT_EQ(page.messages[1].bytes, std::nullopt);
  EXPECT_EQ(page.messages[2].bytes, 3u);
}

TEST_F(MessagesTest, PagesEndAtTheLimitAndAtTheBudget) {
  std::string body;
  for (int i = 0; i < 10; ++i) body += "data: " + std::to_string(i) + std::string(99, 'x') + "\n\n";
  exchange({.response_body = body, .response_fields = "Content-Type: text/event-stream\r\n"});
  MessagePage page = read({.offset = 2, .limit = 3});
  EXPECT_EQ(page.messages.size(), 3u);
  EXPECT_EQ(page.messages[0].number, 2u);
  EXPECT_EQ(page.next_offset, 5u);
  EXPECT_EQ(page.total, 10u);
  page = read({.offset = 2, .budget = 250});
  EXPECT_EQ(page.messages.size(), 2u);
  EXPECT_EQ(page.next_offset, 4u);
  page = read({.offset = 9, .budget = 50});
  ASSERT_EQ(page.messages.size(), 1u) << "one alone is cut to fit";
  EXPECT_TRUE(page.messages[0].cut);
  EXPECT_EQ(page.messages[0].content.size(), 50u);
  EXPECT_EQ(page.messages[0].bytes, 100u);
  EXPECT_EQ(page.next_offset, std::nullopt);
  EXPECT_TRUE(read({.offset = 99}).messages.empty());
}

TEST_F(MessagesTest, AnOpenStreamShowsWhatHasCome) {
  const ExchangeSeq seq = begin({});
  respond(seq, {.response_fields = "Content-Type: text/event-stream\r\n"});
  sink().body(seq, Direction::kResponse, "data: 1\n\ndata: 2");
  EXPECT_EQ(texts(), (Texts{"s:event 1", "s:event 2 unfinished"}));
  sink().body(seq, Direction::kResponse, "2\n\n");
  EXPECT_EQ(texts(), (Texts{"s:event 1", "s:event 22"}));
}

TEST_F(MessagesTest, SecretsInMessagesAreMaskedBeforeTheyAreCut) {
  const std::string token = "Zq8Xw3Lm5Np7Rt2VbC9d";
  exchange({.response_body = "data: {\"password\":\"" + token + "\",\"note\":\"plain\"}\n\n",
            .response_fields = "Content-Type: text/event-stream\r\n"});
  for (ByteCount budget = 1; budget < 80; ++budget) {
    const SeenMessage message = read({.budget = budget, .redactor = &redactor}).messages.at(0);
    for (std::size_t at = 0; at + 2 <= token.size(); ++at) {
      EXPECT_EQ(message.content.find(token.substr(at, 2)), std::string::npos) << budget << " " << message.content;
    }
  }
  EXPECT_NE(read({.redactor = &redactor}).messages.at(0).content.find("plain"), std::string::npos);
}

// --- WebSocket ---

TEST_F(MessagesTest, ASocketsMessagesAreTold) {
  connect();
  clock.advance(std::chrono::seconds(2));
  say(Direction::kRequest, "hello");
  say(Direction::kResponse, "\x01\x02", 2);
  say(Direction::kResponse, "are you there", 9);
  say(Direction::kRequest, std::string("\x03\xe8") + "bye", 8);
  say(Direction::kRequest, "hal", 1, false, false);
  const MessagePage page = read();
  EXPECT_EQ(page.kind, MessageKind::kWebSocket) << "while it is still open";
  EXPECT_EQ(page.total, 5u);
  EXPECT_EQ(texts(),
            (Texts{"c:text hello", "s:binary \x01\x02", "s:ping are you there", "c:close ", "c:text hal unfinished"}));
  EXPECT_EQ(page.messages[3].close_code, 1000);
  EXPECT_EQ(page.messages[3].close_reason, "bye");
  EXPECT_EQ(page.messages[0].at, clock.wall());
  EXPECT_EQ(texts({.offset = 1, .limit = 2}), (Texts{"s:binary \x01\x02", "s:ping are you there"}));
  EXPECT_EQ(read({.offset = 1, .limit = 2}).next_offset, 3u);
}

TEST_F(MessagesTest, LongMessagesAreReadAndCut) {
  connect();
  const std::string text(300'000, 'x');
  say(Direction::kResponse, text);
  EXPECT_EQ(texts({.budget = kMiB}), (Texts{"s:text " + text}));
  const SeenMessage cut = read({.budget = 1'000}).messages.at(0);
  EXPECT_EQ(cut.content, text.substr(0, 1'000));
  EXPECT_EQ(cut.bytes, text.size());
  EXPECT_TRUE(cut.cut);
}

TEST_F(MessagesTest, CompressedMessagesAreInflatedWithTheContextOfThoseBefore) {
  connect("permessage-deflate");
  auto client = *websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  auto server = *websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  for (int i = 0; i < 700; ++i) {
    const std::string number = std::to_string(i);
    say_compressed(client, Direction::kRequest, "a question with the number " + number);
    say_compressed(server, Direction::kResponse, "an answer with the number " + number);
    if (i % 100 == 50) say(Direction::kResponse, "not compressed");
  }
  EXPECT_EQ(texts({.offset = 0, .limit = 2}),
            (Texts{"c:text a question with the number 0", "s:text an answer with the number 0"}));
  EXPECT_EQ(texts({.offset = 1'405, .limit = 5}),
            (Texts{"c:text a question with the number 699", "s:text an answer with the number 699"}));
  const SeenMessage one = read({.offset = 1'406}).messages.at(0);
  EXPECT_TRUE(one.compressed);
  EXPECT_EQ(one.bytes, 29u);
  EXPECT_NE(texts({.offset = 1'406, .form = Form::kAsOnWire}).at(0), "s:text an answer with the number 699");
  EXPECT_EQ(read_messages(*ring, last(), {.form = Form::kAsOnWire, .redactor = &redactor}).error().code,
            Code::kRefused);
}

TEST_F(MessagesTest, WithoutTakeoverEachCompressedMessageStandsAlone) {
  connect("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  auto server = *websocket::Deflater::create(websocket::Context::kFresh, 15);
  say(Direction::kResponse, "\xff\xff\xff not deflate", 1, true);
  say_compressed(server, Direction::kResponse, "one");
  say_compressed(server, Direction::kResponse, "two");
  EXPECT_NE(read().messages.at(0).problem, "");
  EXPECT_EQ(texts({.offset = 1}), (Texts{"s:text one", "s:text two"}));
}

TEST_F(MessagesTest, AfterDamageTheContextIsLostAndThatIsSaid) {
  connect("permessage-deflate");
  auto server = *websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  auto client = *websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  say(Direction::kResponse, "\xff\xff\xff not deflate", 1, true);
  say_compressed(server, Direction::kResponse, "one");
  say_compressed(client, Direction::kRequest, "two");
  EXPECT_EQ(texts({.offset = 1}),
            (Texts{"s:text  (A message before it, which it refers to, could not be inflated.)", "c:text two"}));
}

TEST_F(MessagesTest, ABombCostsItsBudget) {
  connect("permessage-deflate; server_no_context_takeover");
  auto server = *websocket::Deflater::create(websocket::Context::kFresh, 15);
  say_compressed(server, Direction::kResponse, std::string(40 << 20, 'x'));
  const SeenMessage bomb = read({.budget = 100}).messages.at(0);
  EXPECT_EQ(bomb.content, std::string(100, 'x'));
  EXPECT_TRUE(bomb.cut);
  EXPECT_NE(bomb.problem, "");
}

TEST_F(MessagesTest, WhatLeftTheSpoolIsNotThereAndItsContextIsLost) {
  options.limits.spool_disk = 1 * kMiB;
  ring.reset();
  ASSERT_TRUE(open());
  connect("permessage-deflate; client_no_context_takeover");
  auto server = *websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  say_compressed(server, Direction::kResponse, "first");
  for (int i = 0; i < 40; ++i) {
    say(Direction::kRequest, std::string(100'000, static_cast<char>('a' + i % 26)));
    ring->pump();
  }
  say_compressed(server, Direction::kResponse, "last");
  const MessagePage page = read({.budget = 8 * kMiB});
  EXPECT_EQ(page.total, 42u);
  ASSERT_LT(page.messages.size(), 42u);
  EXPECT_EQ(line(page.messages.back()), "s:text  (Messages before it, which it refers to, have left the spool.)");
}

TEST_F(MessagesTest, ReadingEndsWhenItIsCancelled) {
  connect();
  say(Direction::kRequest, "hello");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(read_messages(*ring, last(), {.stop = stop.get_token()}).error().code, Code::kCancelled);
}

// --- gRPC ---

TEST_F(MessagesTest, ACallHasRequestsAnswersAndAStatus) {
  exchange(
      {.method = "POST",
       .request_body = frame("\x12\x07testing") + frame("second"),
       .response_body = frame(*codings::encode_all("inflated", {Coding::kGzip}), 1) + frame("cut short").substr(0, 8),
       .response_fields = "Content-Type: application/grpc\r\nGrpc-Encoding: gzip\r\n",
       .request_fields = "Content-Type: application/grpc+proto\r\n",
       .response_trailers = "grpc-status: 5\r\ngrpc-message: not%20here\r\n"});
  const MessagePage page = read();
  EXPECT_EQ(page.kind, MessageKind::kGrpc);
  EXPECT_EQ(page.total, 4u);
  EXPECT_EQ(texts(),
            (Texts{"c:message \x12\x07testing", "c:message second", "s:message inflated", "s:message cut unfinished"}));
  EXPECT_EQ(page.messages[0].small, "\x12\x07testing");
  EXPECT_EQ(page.messages[2].bytes, 8u);
  EXPECT_TRUE(page.messages[2].compressed);
  EXPECT_EQ(page.messages[3].bytes, 9u);
  EXPECT_EQ(page.messages[3].small, "");
  ASSERT_TRUE(page.status);
  EXPECT_EQ(page.status->code, 5u);
  EXPECT_EQ(page.status->message, "not here");
  EXPECT_EQ(texts({.offset = 1, .limit = 2}), (Texts{"c:message second", "s:message inflated"}));
}

TEST_F(MessagesTest, ARefusedCallHasItsStatusInTheHead) {
  exchange({.response_body = "",
            .response_fields = "Content-Type: application/grpc\r\ngrpc-status: 16\r\n",
            .request_fields = "Content-Type: application/grpc\r\n"});
  EXPECT_EQ(read().status->code, 16u);
  EXPECT_TRUE(read().messages.empty());
}

TEST_F(MessagesTest, AnAnswerThatIsNoGrpcIsNotReadAsThat) {
  exchange({.request_body = frame("one"),
            .response_body = "<html>bad gateway</html>",
            .response_fields = "Content-Type: text/html\r\n",
            .request_fields = "Content-Type: application/grpc\r\n"});
  EXPECT_EQ(texts(), (Texts{"c:message one"}));
  exchange({.response_body = "<html>bad gateway</html>", .response_fields = "Content-Type: application/grpc\r\n"});
  EXPECT_NE(read().problem, "");
}

TEST_F(MessagesTest, OfTheWebTheStatusStandsInTheBody) {
  const std::string body = frame("one") + frame("grpc-status:3\r\ngrpc-message:bad\r\n", 0x80);
  exchange({.response_body = base64_encode(body), .response_fields = "Content-Type: application/grpc-web-text\r\n"});
  EXPECT_EQ(texts(), (Texts{"s:message one", "s:trailers grpc-status:3\r\ngrpc-message:bad\r\n"}));
  EXPECT_EQ(read().status->code, 3u);
}

TEST_F(MessagesTest, AnInflatedMessageIsBounded) {
  exchange({.response_body = frame(*codings::encode_all(std::string(8 << 20, 'x'), {Coding::kGzip}), 1) + frame("next"),
            .response_fields = "Content-Type: application/grpc\r\nGrpc-Encoding: gzip\r\n"});
  const MessagePage page = read({.budget = 100});
  ASSERT_EQ(page.messages.size(), 1u);
  EXPECT_EQ(page.messages[0].content, std::string(100, 'x'));
  EXPECT_EQ(page.messages[0].bytes, std::nullopt);
  EXPECT_TRUE(page.messages[0].cut);
  EXPECT_EQ(texts({.offset = 1}), (Texts{"s:message next"}));
}

TEST_F(MessagesTest, WhatCannotBeInflatedIsNotShownWhereSecretsAreMasked) {
  exchange({.response_body = frame("some coding", 1),
            .response_fields = "Content-Type: application/grpc\r\nGrpc-Encoding: snappy\r\n"});
  EXPECT_EQ(texts(), (Texts{"s:message some coding (Its compression is not known.)"}));
  EXPECT_EQ(read({.redactor = &redactor}).messages.at(0).content, "");
}

}  // namespace
}  // namespace sluice::analysis
