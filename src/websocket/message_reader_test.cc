#include <gtest/gtest.h>

#include "base/text.h"
#include "websocket/transcript.h"

namespace sluice::websocket {
namespace {

constexpr MaskKey kKey{'\x01', '\x82', '\x23', '\xc4'};

std::string frame(Opcode opcode, Bytes payload, bool fin = true, std::uint8_t reserved = 0) {
  std::string out;
  append_frame(out, opcode, payload, std::nullopt, reserved, fin);
  return out;
}

Transcript read(Bytes octets, Reserved reserved = Reserved::kNone, const Limits& limits = {}) {
  const MessageReader reader(Sender::kServer, reserved, limits);
  auto whole = read_in_parts(MessageTranscript(reader, Unmasking::kIntoScratch), octets, {});
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    const auto parts = read_in_parts(MessageTranscript(reader, Unmasking::kInPlace), octets, {cut});
    EXPECT_EQ(parts.text, whole.text) << "cut at " << cut;
    EXPECT_EQ(parts.oddities, whole.oddities) << "cut at " << cut;
    every.push_back(cut);
  }
  EXPECT_EQ(read_in_parts(MessageTranscript(reader, Unmasking::kIntoScratch), octets, every).text, whole.text);
  return whole;
}

void expect_refused(Bytes octets, Code code, std::string_view reason, const Limits& limits = {}) {
  const auto seen = read(octets, Reserved::kNone, limits);
  ASSERT_TRUE(seen.failed) << seen.text;
  EXPECT_EQ(seen.error.code, code);
  EXPECT_NE(seen.error.message.find(reason), std::string::npos) << seen.error.message;
}

TEST(MessageReader, JoinsFragmentsAndGivesControlFramesBetweenThem) {
  const auto seen = read(frame(Opcode::kText, "Hel", false) + frame(Opcode::kPing, "are you there") +
                         frame(Opcode::kContinuation, "", false) + frame(Opcode::kContinuation, "lo") +
                         frame(Opcode::kBinary, "") + frame(Opcode::kPong, ""));
  EXPECT_EQ(seen.text,
            "text\ncontent [Hel]\nping [are you there]\ncontent [lo]\nend 5 in 3\n"
            "binary\nend 0 in 1\npong []\n");
  EXPECT_EQ(seen.oddities, 0);
}

TEST(MessageReader, UnmasksWhatAClientSays) {
  std::string octets;
  append_frame(octets, Opcode::kText, "a longer text of the client's", kKey, 0, false);
  append_frame(octets, Opcode::kClose, Bytes("\x03\xe8gone", 6), kKey);
  const MessageReader reader(Sender::kClient, Reserved::kNone);
  for (const auto how : {Unmasking::kInPlace, Unmasking::kIntoScratch}) {
    EXPECT_EQ(read_in_parts(MessageTranscript(reader, how), octets, {3, 9, 17}).text,
              std::string("text\ncontent [a longer text of the client's]\nclose [\x03\xe8gone]\nopen after 29 in 1\n"));
  }
}

TEST(MessageReader, SaysWhichMessagesAreCompressed) {
  const auto seen = read(
      frame(Opcode::kText, "abc", false, kRsv1) + frame(Opcode::kContinuation, "d") + frame(Opcode::kText, "plain"),
      Reserved::kDeflate);
  EXPECT_EQ(seen.text, "text compressed\ncontent [abcd]\nend 4 in 2\ntext\ncontent [plain]\nend 5 in 1\n");
}

TEST(MessageReader, RefusesFragmentsThatDoNotBelongTogether) {
  expect_refused(frame(Opcode::kContinuation, "x"), Code::kInvalid, "§5.4");
  expect_refused(frame(Opcode::kText, "x") + frame(Opcode::kContinuation, "y"), Code::kInvalid, "§5.4");
  expect_refused(frame(Opcode::kText, "x", false) + frame(Opcode::kBinary, "y"), Code::kInvalid, "§5.4");
  expect_refused(frame(Opcode::kText, "x", false) + frame(Opcode::kText, "y", false), Code::kInvalid, "§5.4");
}

TEST(MessageReader, RefusesWhatTheFrameReaderRefuses) {
  expect_refused(Bytes("\x83\x00", 2), Code::kInvalid, "§5.2");
  expect_refused(frame(Opcode::kText, "x", false) + std::string("\x09\x00", 2), Code::kInvalid, "§5.5");
}

TEST(MessageReader, RefusesMessagesBeyondTheLimits) {
  Limits limits;
  limits.max_message = 10;
  limits.max_fragments = 3;
  EXPECT_FALSE(
      read(frame(Opcode::kText, "12345", false) + frame(Opcode::kContinuation, "67890"), Reserved::kNone, limits)
          .failed);
  expect_refused(frame(Opcode::kText, "12345", false) + frame(Opcode::kContinuation, "678901"), Code::kTooLarge,
                 "larger", limits);
  std::string endless = frame(Opcode::kText, "", false);
  for (int i = 0; i < 3; ++i) endless += frame(Opcode::kContinuation, "", false);
  expect_refused(endless, Code::kTooLarge, "fragments", limits);
}

TEST(MessageReader, DoesNotAddLengthsBeyondTheirBits) {
  MessageReader reader(Sender::kServer, Reserved::kNone);
  char scratch[8];
  std::string octets = frame(Opcode::kBinary, "abc", false);
  append_frame_head(octets, {true, 0, Opcode::kContinuation, std::nullopt, 0x7fffffffffffffff, {}});
  reader.feed(octets, scratch);
  auto event = reader.next();
  while (event && !std::holds_alternative<NeedMore>(*event)) event = reader.next();
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, Code::kTooLarge);
  ASSERT_TRUE(reader.open_message());  // what had begun is still known
  EXPECT_EQ(reader.open_message()->length, 3u);
}

TEST(MessageReader, MarksTextThatIsNotUtf8AndReadsOn) {
  EXPECT_EQ(read(frame(Opcode::kText, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80")).oddities, 0);
  EXPECT_EQ(read(frame(Opcode::kText, "a\xc3", false) + frame(Opcode::kContinuation, "\xa4z")).oddities, 0);
  for (const Bytes bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x9f\xbf", "a\xc3", "\x80"}) {
    const auto seen = read(frame(Opcode::kText, bad) + frame(Opcode::kText, "good"));
    EXPECT_EQ(seen.oddities, bit(Oddity::kBadText)) << hex_encode(bad);
    EXPECT_EQ(seen.count, 2u);
  }
  EXPECT_EQ(read(frame(Opcode::kBinary, "\xff")).oddities, 0);
  EXPECT_EQ(read(frame(Opcode::kText, "\xff", true, kRsv1), Reserved::kDeflate).oddities, 0);
}

TEST(MessageReader, MarksACloseThatSaysNothingOrSomethingForbidden) {  // §5.5.1, §7.4
  const auto close = [](Bytes body) { return read(frame(Opcode::kClose, body)).oddities; };
  EXPECT_EQ(close(""), 0);
  EXPECT_EQ(close("\x03\xe8"), 0);                           // 1000
  EXPECT_EQ(close("\x0f\xa0 bye"), 0);                       // 4000
  EXPECT_EQ(close("\x03"), bit(Oddity::kBadClose));          // half a code
  EXPECT_EQ(close("\x03\xee"), bit(Oddity::kBadClose));      // 1006
  EXPECT_EQ(close("\x13\x88"), bit(Oddity::kBadClose));      // 5000
  EXPECT_EQ(close("\x03\xe8\xff"), bit(Oddity::kBadClose));  // the reason is not UTF-8
}

TEST(MessageReader, MarksDataAfterAClose) {
  const auto seen = read(frame(Opcode::kClose, "") + frame(Opcode::kPong, "") + frame(Opcode::kText, "late"));
  EXPECT_EQ(seen.oddities, bit(Oddity::kAfterClose));
  EXPECT_EQ(seen.text, "close []\npong []\ntext\ncontent [late]\nend 4 in 1\n");
  EXPECT_EQ(read(frame(Opcode::kClose, "") + frame(Opcode::kPing, "")).oddities, 0);
}

TEST(MessageReader, IsSmallEnoughForTenThousandIdleOnes) { EXPECT_LE(sizeof(MessageReader), 480u); }

TEST(Close, IsParsedAndWritten) {
  std::string out;
  append_close(out, 1001, "going away", std::nullopt);
  EXPECT_EQ(out, std::string("\x88\x0c\x03\xe9going away", 14));
  const auto body = parse_close(Bytes(out).substr(2));
  ASSERT_TRUE(body);
  EXPECT_EQ(body->code, 1001);
  EXPECT_EQ(body->reason, "going away");
  EXPECT_FALSE(parse_close(""));
  EXPECT_FALSE(parse_close("x"));
  out.clear();
  append_close(out, 1005, "is not said", kKey);
  EXPECT_EQ(out, std::string("\x88\x80\x01\x82\x23\xc4", 6));
  out.clear();
  std::string reason = "x";  // so that a character lies over the limit
  for (int i = 0; i < 100; ++i) reason += "\xc3\xa4";
  append_close(out, 3000, reason, std::nullopt);
  EXPECT_EQ(out.size(), 2u + kMaxControl);
  EXPECT_EQ(read(out).oddities, 0);
  append_close(out, 3000, "y" + reason, std::nullopt);  // one octet less fits
  EXPECT_EQ(read(Bytes(out).substr(2 + kMaxControl)).oddities, 0);
}

TEST(Close, KnowsWhichCodesMayTravel) {
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999}) {
    EXPECT_TRUE(is_sendable(static_cast<std::uint16_t>(code))) << code;
  }
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    EXPECT_FALSE(is_sendable(static_cast<std::uint16_t>(code))) << code;
  }
}

}  // namespace
}  // namespace sluice::websocket
