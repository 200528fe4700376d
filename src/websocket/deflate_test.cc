#include "websocket/deflate.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace sluice::websocket {
namespace {

struct Read {
  std::string text;
  Status status;
};

Read inflate(Inflater& inflater, Bytes payload, ByteCount budget = kMiB, std::size_t part = SIZE_MAX) {
  Read read;
  inflater.begin(&read.text, budget);
  for (std::size_t at = 0; at < payload.size() && read.status; at += std::min(part, payload.size() - at)) {
    read.status = inflater.feed(payload.substr(at, part));
  }
  const Status ended = inflater.end();
  if (read.status) read.status = ended;
  return read;
}

std::string deflate(Deflater& deflater, Bytes content) {
  std::string out;
  deflater.deflate(content, out);
  return out;
}

std::string octets(std::string_view hex) { return *hex_decode(hex); }

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out;
  while (out.size() < size) out.push_back(static_cast<char>(random()));
  return out;
}

TEST(Inflater, ReadsTheExamplesOfTheRfc) {  // RFC 7692 §7.2.3
  Inflater fresh(Context::kFresh);
  EXPECT_EQ(inflate(fresh, octets("f248cdc9c90700")).text, "Hello");              // .1: one block
  EXPECT_EQ(inflate(fresh, octets("000500faff48656c6c6f00")).text, "Hello");      // .3: not compressed
  EXPECT_EQ(inflate(fresh, octets("f348cdc9c9070000")).text, "Hello");            // .4: BFINAL
  EXPECT_EQ(inflate(fresh, octets("f24805000000ffffcac9c90700")).text, "Hello");  // .5: two blocks
  EXPECT_EQ(inflate(fresh, octets("00")).text, "");                               // .6: nothing
  Inflater taken(Context::kTakenOver);                                            // .2: the second refers to the first
  EXPECT_EQ(inflate(taken, octets("f248cdc9c90700")).text, "Hello");
  EXPECT_EQ(inflate(taken, octets("f200110000")).text, "Hello");
  EXPECT_FALSE(inflate(fresh, octets("f200110000")).status);          // without the context it refers to nothing
  EXPECT_EQ(inflate(fresh, octets("f248cdc9c90700")).text, "Hello");  // and the next message is readable again
}

TEST(Inflater, GivesTheSameWhereverThePayloadIsCut) {
  auto deflater = *Deflater::create(Context::kTakenOver, 15);
  const std::string first = deflate(deflater, "the first message, the first of two messages");
  const std::string second = deflate(deflater, "the second message, the second of two messages");
  for (std::size_t part = 1; part <= first.size(); ++part) {
    Inflater inflater(Context::kTakenOver);
    EXPECT_EQ(inflate(inflater, first, kMiB, part).text, "the first message, the first of two messages");
    EXPECT_EQ(inflate(inflater, second, kMiB, part).text, "the second message, the second of two messages");
  }
}

TEST(Inflater, KeepsTheContextOfMessagesThatNobodyWants) {
  auto deflater = *Deflater::create(Context::kTakenOver, 15);
  const std::string text = noise(5'000, 1);
  const std::string first = deflate(deflater, text);
  const std::string second = deflate(deflater, text);
  EXPECT_LT(second.size(), 100u);
  Inflater inflater(Context::kTakenOver);
  inflater.begin(nullptr, kMiB);
  ASSERT_TRUE(inflater.feed(first));
  ASSERT_TRUE(inflater.end());
  EXPECT_EQ(inflate(inflater, second).text, text);
}

TEST(Inflater, KeepsTheContextOverAFinalBlock) {
  // "Hello" in a final block with and without the octet behind it that §7.2.3.4 wants, then a reference to it.
  for (const auto& first : {octets("f348cdc9c9070000"), octets("f348cdc9c90700")}) {
    Inflater inflater(Context::kTakenOver);
    EXPECT_EQ(inflate(inflater, first).text, "Hello");
    const auto read = inflate(inflater, octets("f200110000"));
    ASSERT_TRUE(read.status) << read.status.error().message;
    EXPECT_EQ(read.text, "Hello");
  }
}

TEST(Inflater, TakesAnEmptyPayloadForAnEmptyMessage) {
  Inflater inflater(Context::kTakenOver);
  EXPECT_TRUE(inflate(inflater, "").status);
  EXPECT_EQ(inflate(inflater, octets("f248cdc9c90700")).text, "Hello");
  const auto read = inflate(inflater, "");
  EXPECT_TRUE(read.status);
  EXPECT_EQ(read.text, "");
  EXPECT_EQ(inflate(inflater, octets("f200110000")).text, "Hello");
}

TEST(Inflater, StopsABombAtItsBudget) {
  auto deflater = *Deflater::create(Context::kTakenOver, 15);
  const std::string bomb = deflate(deflater, std::string(16 * kMiB, '\0'));
  EXPECT_LT(bomb.size(), 20'000u);
  for (const bool kept : {true, false}) {
    Inflater inflater(Context::kTakenOver);
    std::string text;
    inflater.begin(kept ? &text : nullptr, 100'000);
    const Status status = inflater.feed(bomb);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kTooLarge);
    EXPECT_EQ(text.size(), kept ? 100'000u : 0u);
    EXPECT_LT(text.capacity(), 300'000u);
    const auto next = inflate(inflater, octets("f248cdc9c90700"));  // its context is lost
    ASSERT_FALSE(next.status);
    EXPECT_EQ(next.status.error().code, Code::kTooLarge);
    EXPECT_EQ(next.text, "");
  }
  Inflater exact(Context::kTakenOver);
  EXPECT_TRUE(inflate(exact, bomb, 16 * kMiB).status);
  Inflater less(Context::kTakenOver);
  EXPECT_FALSE(inflate(less, bomb, 16 * kMiB - 1).status);
}

TEST(Inflater, ReadsOnAfterABombWhereMessagesStandAlone) {
  auto deflater = *Deflater::create(Context::kFresh, 15);
  Inflater inflater(Context::kFresh);
  EXPECT_FALSE(inflate(inflater, deflate(deflater, std::string(100'000, 'x')), 10).status);
  EXPECT_EQ(inflate(inflater, deflate(deflater, "small"), 10).text, "small");
}

TEST(Inflater, RefusesEndlessFinalBlocks) {  // each costs a copy of the window
  std::string payload;
  for (int i = 0; i < 2'000; ++i) payload += octets("0300");
  Inflater inflater(Context::kTakenOver);
  const auto read = inflate(inflater, payload);
  ASSERT_FALSE(read.status);
  EXPECT_EQ(read.status.error().code, Code::kTooLarge);
}

TEST(Inflater, RefusesWhatIsNotDeflate) {
  for (const auto context : {Context::kTakenOver, Context::kFresh}) {
    Inflater inflater(context);
    const auto read = inflate(inflater, octets("ffffffffff"));
    ASSERT_FALSE(read.status);
    EXPECT_EQ(read.status.error().code, Code::kInvalid);
    EXPECT_EQ(inflate(inflater, octets("f248cdc9c90700")).status.has_value(), context == Context::kFresh);
  }
}

TEST(Deflater, WritesWhatIsReadAsTheSame) {
  for (int bits = 8; bits <= 15; ++bits) {
    for (const auto context : {Context::kTakenOver, Context::kFresh}) {
      auto deflater = Deflater::create(context, bits);
      ASSERT_TRUE(deflater);
      Inflater inflater(context);
      std::string repeated;
      for (int i = 0; i < 9'000; ++i) repeated += std::to_string(i % 700);
      for (const std::string& text :
           {std::string("Hello"), std::string("Hello"), std::string(), repeated, noise(40'000, 7), std::string("x")}) {
        const auto read = inflate(inflater, deflate(*deflater, text));
        ASSERT_TRUE(read.status) << bits << ": " << read.status.error().message;
        EXPECT_EQ(read.text, text);
      }
    }
  }
  EXPECT_FALSE(Deflater::create(Context::kFresh, 7));
  EXPECT_FALSE(Deflater::create(Context::kFresh, 16));
}

TEST(Deflater, WritesTheTailOfNoMessage) {  // RFC 7692 §7.2.1
  auto deflater = *Deflater::create(Context::kTakenOver, 15);
  EXPECT_EQ(hex_encode(deflate(deflater, "Hello")), "f248cdc9c90700");
  EXPECT_EQ(hex_encode(deflate(deflater, "Hello")), "f200110000");
  EXPECT_EQ(hex_encode(deflate(deflater, "")), "00");
  for (std::size_t size = 16'000; size < 16'800; size += 7) {  // around the size of the buffer inside
    const std::string payload = deflate(deflater, noise(size, static_cast<unsigned>(size)));
    EXPECT_FALSE(payload.ends_with(Bytes("\x00\x00\xff\xff", 4))) << size;
  }
}

TEST(Extensions, AreReadAsTheAnswerSaysThem) {
  const auto none = parse_extensions("");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->deflate);
  EXPECT_EQ(none->reserved(), Reserved::kNone);

  const auto plain = parse_extensions("permessage-deflate");
  ASSERT_TRUE(plain);
  ASSERT_TRUE(plain->deflate);
  EXPECT_EQ(plain->reserved(), Reserved::kDeflate);
  EXPECT_EQ(plain->deflate->context(Sender::kServer), Context::kTakenOver);
  EXPECT_EQ(plain->deflate->context(Sender::kClient), Context::kTakenOver);
  EXPECT_EQ(plain->deflate->window_bits(Sender::kServer), 15);

  const auto full = parse_extensions(
      " Permessage-Deflate ; server_no_context_takeover;client_max_window_bits = \"1\\0\" ;server_max_window_bits=8, "
      ",");
  ASSERT_TRUE(full) << full.error().message;
  ASSERT_TRUE(full->deflate);
  EXPECT_EQ(full->deflate->context(Sender::kServer), Context::kFresh);
  EXPECT_EQ(full->deflate->context(Sender::kClient), Context::kTakenOver);
  EXPECT_EQ(full->deflate->window_bits(Sender::kClient), 10);
  EXPECT_EQ(full->deflate->window_bits(Sender::kServer), 8);

  const auto unknown = parse_extensions("permessage-deflate; client_no_context_takeover, x-other; a=b; c");
  ASSERT_TRUE(unknown);
  EXPECT_TRUE(unknown->deflate);
  EXPECT_EQ(unknown->deflate->context(Sender::kClient), Context::kFresh);
  EXPECT_EQ(unknown->reserved(), Reserved::kAny);
}

TEST(Extensions, AreRefusedWhereAClientMustFail) {  // RFC 7692 §7.1
  for (const std::string_view answer : {"permessage-deflate; server_max_window_bits",
                                        "permessage-deflate; client_max_window_bits",
                                        "permessage-deflate; server_max_window_bits=7",
                                        "permessage-deflate; server_max_window_bits=16",
                                        "permessage-deflate; server_max_window_bits=08",
                                        "permessage-deflate; server_max_window_bits=10.0",
                                        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
                                        "permessage-deflate; server_no_context_takeover=1",
                                        "permessage-deflate; unknown",
                                        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                                        "permessage-deflate, permessage-deflate",
                                        "permessage-deflate;",
                                        "permessage-deflate x",
                                        "; a",
                                        "a; b=",
                                        "a; b=\"\"",
                                        "a; b=\"c",
                                        "a; b=\"c d\"",
                                        "a; b=\"c\\",
                                        "a=b",
                                        "\"a\"",
                                        "\x80"}) {
    const auto extensions = parse_extensions(answer);
    ASSERT_FALSE(extensions) << answer;
    EXPECT_EQ(extensions.error().code, Code::kInvalid);
  }
}

}  // namespace
}  // namespace sluice::websocket
