#include <gtest/gtest.h>

#include "websocket/transcript.h"

namespace sluice::websocket {
namespace {

constexpr MaskKey kKey{'\x37', '\xfa', '\x21', '\x3d'};  // of RFC 6455 §5.7

// The transcript of the whole; fails the test unless octet by octet, every cut in two and unmasking in place give it.
Transcript read(Bytes octets, Sender sender, Reserved reserved = Reserved::kNone, const Limits& limits = {}) {
  const FrameReader reader(sender, reserved, limits);
  auto whole = read_in_parts(FrameTranscript(reader, Unmasking::kIntoScratch), octets, {});
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    for (const auto how : {Unmasking::kIntoScratch, Unmasking::kInPlace}) {
      EXPECT_EQ(read_in_parts(FrameTranscript(reader, how), octets, {cut}).text, whole.text) << "cut at " << cut;
    }
    every.push_back(cut);
  }
  EXPECT_EQ(read_in_parts(FrameTranscript(reader, Unmasking::kInPlace), octets, every).text, whole.text);
  if (!whole.failed) {
    EXPECT_EQ(whole.wire, octets);
  }
  return whole;
}

void expect_refused(Bytes octets, Sender sender, std::string_view section, Reserved reserved = Reserved::kNone) {
  const auto seen = read(octets, sender, reserved);
  ASSERT_TRUE(seen.failed) << seen.text;
  EXPECT_EQ(seen.error.code, Code::kInvalid);
  EXPECT_NE(seen.error.message.find(section), std::string::npos) << seen.error.message;
}

constexpr Bytes operator""_b(const char* text, std::size_t size) { return Bytes(text, size); }

TEST(FrameReader, ReadsTheExamplesOfTheRfc) {  // §5.7
  EXPECT_EQ(read("\x81\x05Hello"_b, Sender::kServer).text, "last frame 1 reserved 0 5\npayload [Hello]\nend\n");
  EXPECT_EQ(read("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"_b, Sender::kClient).text,
            "last frame 1 reserved 0 masked 5\npayload [Hello]\nend\n");
  EXPECT_EQ(read("\x01\x03Hel\x80\x02lo"_b, Sender::kServer).text,
            "frame 1 reserved 0 3\npayload [Hel]\nend\nlast frame 0 reserved 0 2\npayload [lo]\nend\n");
  EXPECT_EQ(read("\x89\x05Hello\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"_b, Sender::kServer).oddities,
            bit(Oddity::kMaskedServer));
}

TEST(FrameReader, ReadsEveryFormOfLength) {
  for (const std::size_t length : {0, 1, 125, 126, 127, 300}) {
    for (const bool masked : {false, true}) {
      std::string octets;
      append_frame(octets, Opcode::kBinary, std::string(length, 'x'), masked ? std::optional(kKey) : std::nullopt);
      const auto seen = read(octets, masked ? Sender::kClient : Sender::kServer);
      EXPECT_EQ(seen.text, std::string("last frame 2 reserved 0 ") + (masked ? "masked " : "") +
                               std::to_string(length) + "\n" +
                               (length > 0 ? "payload [" + std::string(length, 'x') + "]\n" : "") + "end\n");
      EXPECT_EQ(seen.oddities, 0);
    }
  }
  std::string large;
  append_frame(large, Opcode::kBinary, std::string(70'000, 'y'), kKey);
  const FrameReader reader(Sender::kClient, Reserved::kNone);
  const auto seen = read_in_parts(FrameTranscript(reader, Unmasking::kIntoScratch), large, {5, 10, 40'000});
  EXPECT_EQ(seen.wire, large);
  EXPECT_NE(seen.text.find(" masked 70000\n"), std::string::npos);
}

TEST(FrameReader, TakesALengthThatIsNotInItsShortestFormAndMarksIt) {  // §5.2
  EXPECT_EQ(read("\x82\x7e\x00\x02hi"_b, Sender::kServer).oddities, bit(Oddity::kLongLength));
  EXPECT_EQ(read("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x02hi"_b, Sender::kServer).oddities, bit(Oddity::kLongLength));
  EXPECT_EQ(read("\x82\x7e\x00\x7e"_b, Sender::kServer).oddities, 0);
  EXPECT_EQ(read("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"_b, Sender::kServer).oddities, 0);
}

TEST(FrameReader, RefusesWhatCouldBeReadTwoWays) {
  expect_refused("\x81\x05Hello"_b, Sender::kClient, "§5.1");  // not masked
  expect_refused("\x81\x00"_b, Sender::kClient, "§5.1");
  for (const char reserved : {'\x90', '\xa0', '\xc0'}) {
    expect_refused(std::string{static_cast<char>(reserved | 1), '\0'}, Sender::kServer, "§5.2");
  }
  for (const char opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    expect_refused(std::string{static_cast<char>(0x80 | opcode), '\0'}, Sender::kServer, "§5.2");
  }
  expect_refused("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"_b, Sender::kServer, "§5.2");  // 64 bits
  expect_refused("\x09\x00"_b, Sender::kServer, "§5.5");                                  // a ping in fragments
  expect_refused("\x08\x00"_b, Sender::kServer, "§5.5");
  expect_refused("\x89\x7e\x00\x7e"_b, Sender::kServer, "§5.5");  // a ping of 126 octets
  expect_refused("\x89\x7e\x00\x05"_b, Sender::kServer, "§5.5");  // and one that only says so in the long form
}

TEST(FrameReader, TakesReservedBitsOnlyWhereAnExtensionUsesThem) {
  EXPECT_FALSE(read("\xc1\x00"_b, Sender::kServer, Reserved::kDeflate).failed);
  EXPECT_FALSE(read("\x42\x00\x80\x00"_b, Sender::kServer, Reserved::kDeflate).failed);
  expect_refused("\xa1\x00"_b, Sender::kServer, "§5.2", Reserved::kDeflate);
  expect_refused("\x91\x00"_b, Sender::kServer, "§5.2", Reserved::kDeflate);
  expect_refused("\xc0\x00"_b, Sender::kServer, "RFC 7692 §6", Reserved::kDeflate);  // a later fragment
  expect_refused("\xc9\x00"_b, Sender::kServer, "RFC 7692 §6", Reserved::kDeflate);  // a control frame
  for (const char first : {'\xf1', '\xf0', '\xf9'}) {
    EXPECT_FALSE(read(std::string{first, '\0'}, Sender::kServer, Reserved::kAny).failed);
  }
}

TEST(FrameReader, RefusesAFrameBeyondTheLimitBeforeItsPayload) {
  Limits limits;
  limits.max_message = 10;
  EXPECT_FALSE(read("\x82\x0a"_b, Sender::kServer, Reserved::kNone, limits).failed);
  const auto seen = read("\x82\x0b"_b, Sender::kServer, Reserved::kNone, limits);
  ASSERT_TRUE(seen.failed);
  EXPECT_EQ(seen.error.code, Code::kTooLarge);
}

TEST(FrameReader, AnswersTheSameAfterAnError) {
  FrameReader reader(Sender::kServer, Reserved::kNone);
  char scratch[4];
  reader.feed("\x83\x00\x81\x00"_b, scratch);
  const auto first = reader.next();
  ASSERT_FALSE(first);
  reader.feed("\x81\x00"_b, scratch);
  const auto second = reader.next();
  ASSERT_FALSE(second);
  EXPECT_EQ(first.error().message, second.error().message);
}

TEST(FrameReader, GivesBackWhatItCouldNotRead) {
  for (std::size_t cut = 0; cut < 7; ++cut) {
    const std::string octets("\x81\x01x\x83\x02later", 11);
    FrameReader reader(Sender::kServer, Reserved::kNone);
    char scratch[4];
    std::string seen;
    Result<FrameEvent> event = NeedMore{};
    for (const Bytes part : {Bytes(octets).substr(0, cut), Bytes(octets).substr(cut)}) {
      if (!event) {
        seen += part;
        continue;
      }
      reader.feed(part, scratch);
      for (event = reader.next(); event && !std::holds_alternative<NeedMore>(*event); event = reader.next()) {
        if (const auto* head = std::get_if<FrameHead>(&*event)) seen += head->wire;
        if (const auto* piece = std::get_if<FramePiece>(&*event)) seen += piece->wire;
      }
      if (!event) {
        seen += reader.head();
        seen += reader.rest();
      }
    }
    EXPECT_FALSE(event);
    EXPECT_EQ(seen, octets) << "cut at " << cut;
  }
}

TEST(FrameReader, GivesPayloadAtOnceAndKeepsNothingOfIt) {
  FrameReader reader(Sender::kClient, Reserved::kNone);
  std::string octets("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00\x37\xfa\x21\x3d", 14);  // 1 TiB
  octets += "some";
  std::string scratch(64, '\0');
  reader.feed(octets, scratch);
  auto event = reader.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<FrameHead>(*event).length, std::uint64_t{1} << 40);
  event = reader.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<FramePiece>(*event).wire.data(), octets.data() + 14);
  EXPECT_EQ(std::get<FramePiece>(*event).content.data(), scratch.data());
  event = reader.next();
  EXPECT_TRUE(std::holds_alternative<NeedMore>(*event));
  EXPECT_TRUE(reader.in_frame());
  EXPECT_LT(sizeof(FrameReader), 200u);
}

TEST(Mask, IsTheSameOctetByOctetAndAtEveryOffset) {
  std::string text;
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 7));
  for (std::size_t from = 0; from < 12; ++from) {
    for (std::size_t length = 0; length + from <= text.size(); ++length) {
      std::string expected(text, from, length);
      for (std::size_t i = 0; i < length; ++i) expected[i] = static_cast<char>(expected[i] ^ kKey[(from + i) % 4]);
      std::string out(length, '\0');
      apply_mask(Bytes(text).substr(from, length), kKey, from, out.data());
      ASSERT_EQ(out, expected) << from << "+" << length;
      apply_mask(out, kKey, from, out.data());  // in place, back again
      ASSERT_EQ(out, text.substr(from, length));
    }
  }
}

}  // namespace
}  // namespace sluice::websocket
