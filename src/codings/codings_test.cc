#include "codings/codings.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "codings/stage.h"

namespace sluice::codings {
namespace {

const std::vector<Coding> kAll = {Coding::kGzip, Coding::kDeflate, Coding::kBrotli, Coding::kZstd};

std::string name_of(Coding coding) {
  switch (coding) {
    case Coding::kIdentity:
      return "identity";
    case Coding::kGzip:
      return "gzip";
    case Coding::kDeflate:
      return "deflate";
    case Coding::kBrotli:
      return "br";
    case Coding::kZstd:
      return "zstd";
  }
  return "";
}

// Text that compresses, with enough noise to need more than one block.
std::string sample(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(random() % 1000) + " of the sample\n";
  text.resize(size);
  return text;
}

std::string encoded(Bytes text, std::vector<Coding> codings) { return encode_all(text, codings).value(); }

struct Outcome {
  std::string text;
  Status status;
  bool ended = false;
};

Outcome decode_pieces(const std::vector<Coding>& codings, const std::vector<Bytes>& pieces, ByteCount budget = kMiB) {
  Outcome run;
  const auto decoder = make_decoder(codings, budget);
  for (Bytes piece : pieces) {
    run.status = decoder->decode(piece, run.text);
    if (!run.status) break;
  }
  run.ended = decoder->ended();
  return run;
}

TEST(ParseCodings, ReadsAListInTheOrderOfApplication) {
  EXPECT_EQ(parse_codings("gzip, br").value(), (std::vector{Coding::kGzip, Coding::kBrotli}));
  EXPECT_EQ(parse_codings(" X-GZip ,, Deflate\t,zstd").value(),
            (std::vector{Coding::kGzip, Coding::kDeflate, Coding::kZstd}));
}

TEST(ParseCodings, LeavesIdentityAndEmptyElementsOut) {
  EXPECT_TRUE(parse_codings("").value().empty());
  EXPECT_TRUE(parse_codings("identity, ,").value().empty());
}

TEST(ParseCodings, RefusesUnknownOnesAndTallStacks) {
  EXPECT_EQ(parse_codings("gzip, compress").error().code, Code::kInvalid);
  EXPECT_EQ(parse_codings("gzip;q=1").error().code, Code::kInvalid);
  EXPECT_TRUE(parse_codings("br,br,br,br").has_value());
  EXPECT_EQ(parse_codings("br,br,br,br,br").error().code, Code::kTooLarge);
}

TEST(Codings, DecodesWhatItEncodedAtEverySplit) {
  const std::string text = sample(3000);
  for (Coding coding : kAll) {
    const std::string coded = encoded(text, {coding});
    for (std::size_t at = 0; at <= coded.size(); ++at) {
      const Outcome run = decode_pieces({coding}, {Bytes(coded).substr(0, at), Bytes(coded).substr(at)});
      ASSERT_TRUE(run.status) << name_of(coding) << " split at " << at << ": " << run.status.error().message;
      ASSERT_EQ(run.text, text) << name_of(coding) << " split at " << at;
      ASSERT_TRUE(run.ended);
    }
  }
}

TEST(Codings, DecodesOctetByOctet) {
  const std::string text = sample(2000);
  for (Coding coding : kAll) {
    const std::string coded = encoded(text, {coding});
    std::vector<Bytes> pieces;
    for (std::size_t i = 0; i < coded.size(); ++i) pieces.push_back(Bytes(coded).substr(i, 1));
    const Outcome run = decode_pieces({coding}, pieces);
    EXPECT_EQ(run.text, text) << name_of(coding);
    EXPECT_TRUE(run.ended);
  }
}

TEST(Codings, DecodesTextsLargerThanItsBuffers) {
  const std::string text = sample(700'000);
  for (Coding coding : kAll) {
    const Decoded decoded = decode_all(encoded(text, {coding}), name_of(coding), kMiB);
    EXPECT_TRUE(decoded.complete) << name_of(coding) << decoded.problem;
    EXPECT_EQ(decoded.text, text);
  }
}

TEST(Codings, UndoesStacksFromTheLastToTheFirst) {
  const std::string text = sample(5000);
  const std::vector<Coding> stack = {Coding::kGzip, Coding::kBrotli, Coding::kZstd, Coding::kDeflate};
  const std::string coded = encoded(text, stack);
  const Decoded decoded = decode_all(coded, "gzip, br, zstd, deflate", kMiB);
  EXPECT_TRUE(decoded.complete) << decoded.problem;
  EXPECT_EQ(decoded.text, text);
  for (std::size_t at = 0; at <= coded.size(); ++at) {
    const Outcome run = decode_pieces(stack, {Bytes(coded).substr(0, at), Bytes(coded).substr(at)});
    ASSERT_EQ(run.text, text);
    ASSERT_TRUE(run.ended);
  }
}

TEST(Codings, TellsRawDeflateFromZlib) {
  const std::string text = sample(2000);
  const std::string raw = encode_zlib(text, kRawWindow).value();
  for (std::size_t at = 0; at <= raw.size(); ++at) {
    const Outcome run = decode_pieces({Coding::kDeflate}, {Bytes(raw).substr(0, at), Bytes(raw).substr(at)});
    ASSERT_EQ(run.text, text) << at;
    ASSERT_TRUE(run.ended);
  }
  EXPECT_TRUE(decode_all(encode_zlib("", kRawWindow).value(), "deflate", kMiB).complete);
}

TEST(Codings, DecodesEveryGzipMemberAtEverySplit) {
  const std::string coded = encoded("one ", {Coding::kGzip}) + encoded("", {Coding::kGzip}) +
                            encoded("two ", {Coding::kGzip}) + encoded("three", {Coding::kGzip});
  for (std::size_t at = 0; at <= coded.size(); ++at) {
    const Outcome run = decode_pieces({Coding::kGzip}, {Bytes(coded).substr(0, at), Bytes(coded).substr(at)});
    ASSERT_EQ(run.text, "one two three") << at;
    ASSERT_TRUE(run.ended);
  }
}

TEST(Codings, DecodesEveryZstdFrameAtEverySplit) {
  const std::string skippable = std::string("\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  const std::string coded =
      skippable + encoded("one ", {Coding::kZstd}) + skippable + encoded("two", {Coding::kZstd}) + skippable;
  for (std::size_t at = 0; at <= coded.size(); ++at) {
    const Outcome run = decode_pieces({Coding::kZstd}, {Bytes(coded).substr(0, at), Bytes(coded).substr(at)});
    ASSERT_TRUE(run.status) << at;
    ASSERT_EQ(run.text, "one two") << at;
    ASSERT_TRUE(run.ended);
  }
}

TEST(Codings, IgnoresWhatIsNoStreamBehindTheEnd) {
  for (Coding coding : kAll) {
    for (const std::string& rest : {std::string("\0\0\0\0", 4), std::string("trailing"), std::string("\x1f"),
                                    std::string("\x28\xb5"), std::string("\x1fx"), std::string("\x28\xb5\x2fx")}) {
      const std::string coded = encoded("text", {coding}) + rest;
      for (std::size_t at = 0; at <= coded.size(); ++at) {
        const Outcome run = decode_pieces({coding}, {Bytes(coded).substr(0, at), Bytes(coded).substr(at)});
        ASSERT_TRUE(run.status) << name_of(coding);
        ASSERT_EQ(run.text, "text") << name_of(coding);
        ASSERT_TRUE(run.ended) << name_of(coding);
      }
    }
  }
}

TEST(Codings, GiveWhatCouldBeHadOfATruncatedInput) {
  const std::string text = sample(300'000);  // more than two zstd blocks
  for (Coding coding : kAll) {
    const std::string coded = encoded(text, {coding});
    std::size_t before = 0;
    for (std::size_t size = 1; size < coded.size(); size += size < 100 ? 1 : 499) {
      const Decoded decoded = decode_all(Bytes(coded).substr(0, size), name_of(coding), kMiB);
      ASSERT_FALSE(decoded.complete) << name_of(coding) << " cut to " << size;
      ASSERT_FALSE(decoded.problem.empty());
      ASSERT_TRUE(text.starts_with(decoded.text));
      ASSERT_GE(decoded.text.size(), before) << "more input gives no less";
      before = decoded.text.size();
    }
    EXPECT_GT(before, 0u) << name_of(coding);
  }
}

TEST(Codings, GiveWhatStoodBeforeTheDamage) {
  const std::string text = sample(200'000);
  for (Coding coding : kAll) {
    std::string coded = encoded(text, {coding});
    for (std::size_t i = coded.size() - 200; i < coded.size(); ++i) coded[i] = static_cast<char>(i * 41);
    const Decoded decoded = decode_all(coded, name_of(coding), kMiB);
    EXPECT_FALSE(decoded.complete) << name_of(coding);
    EXPECT_FALSE(decoded.problem.empty());
    // br keeps its last window back when it meets damage.
    if (coding != Coding::kBrotli) EXPECT_EQ(decoded.text.substr(0, 1000), text.substr(0, 1000)) << name_of(coding);
  }
}

TEST(Codings, RefuseAWrongChecksum) {
  std::string coded = encoded("text", {Coding::kGzip});
  coded[coded.size() - 8] ^= 1;
  const Decoded decoded = decode_all(coded, "gzip", kMiB);
  EXPECT_EQ(decoded.text, "text");
  EXPECT_FALSE(decoded.complete);
}

TEST(Codings, ShowABodyThatIsNotCodedAsItIs) {
  for (Coding coding : kAll) {
    const Decoded decoded = decode_all("{\"plain\": true}", name_of(coding), kMiB);
    EXPECT_FALSE(decoded.complete) << name_of(coding);
    EXPECT_FALSE(decoded.problem.empty());
    // br and raw deflate have no mark at their start: some text may come out before the damage shows.
    if (coding == Coding::kBrotli || coding == Coding::kDeflate) continue;
    EXPECT_EQ(decoded.text, "{\"plain\": true}") << name_of(coding);
  }
  const Decoded unknown = decode_all("octets", "compress", kMiB);
  EXPECT_EQ(unknown.text, "octets");
  EXPECT_FALSE(unknown.problem.empty());
}

TEST(Codings, TakeNoOctetsForAWholeEmptyBody) {
  for (Coding coding : kAll) {
    const Decoded none = decode_all("", name_of(coding), kMiB);
    EXPECT_TRUE(none.complete);
    EXPECT_TRUE(none.problem.empty());
    EXPECT_EQ(none.text, "");
    const Decoded coded = decode_all(encoded("", {coding}), name_of(coding), kMiB);
    EXPECT_TRUE(coded.complete) << name_of(coding);
    EXPECT_EQ(coded.text, "");
  }
}

TEST(Codings, FillTheBudgetExactlyAndNoMore) {
  const std::string text = sample(100'000);
  for (Coding coding : kAll) {
    const std::string coded = encoded(text, {coding});
    EXPECT_TRUE(decode_all(coded, name_of(coding), text.size()).complete) << name_of(coding);
    for (ByteCount budget : {ByteCount{0}, ByteCount{1}, ByteCount{32 * 1024}, ByteCount{99'999}}) {
      const Decoded cut = decode_all(coded, name_of(coding), budget);
      EXPECT_FALSE(cut.complete);
      EXPECT_EQ(cut.text, text.substr(0, budget)) << name_of(coding);
    }
  }
  const Decoded plain = decode_all("twelve chars", "identity", 6);
  EXPECT_EQ(plain.text, "twelve");
  EXPECT_FALSE(plain.complete);
  EXPECT_FALSE(plain.problem.empty());
}

TEST(Codings, StayFailedAfterAnError) {
  const auto decoder = make_decoder({Coding::kGzip}, kMiB);
  std::string out;
  EXPECT_EQ(decoder->decode("not gzip", out).error().code, Code::kInvalid);
  EXPECT_EQ(decoder->decode(encoded("text", {Coding::kGzip}), out).error().code, Code::kInvalid);
  EXPECT_EQ(out, "");
  EXPECT_FALSE(decoder->ended());
}

TEST(Codings, WithoutCodingsPassOctetsThrough) {
  const Outcome run = decode_pieces({}, {"a", "", "bc"});
  EXPECT_EQ(run.text, "abc");
  EXPECT_TRUE(run.ended);
  EXPECT_EQ(decode_pieces({}, {"abc", "def"}, 4).text, "abcd");
}

}  // namespace
}  // namespace sluice::codings
