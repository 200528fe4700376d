// A gibibyte of zeros in a few kilobytes: ends at the budget, in time and memory that follow the budget.
#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "codings/codings.h"
#include "codings/stage.h"

namespace sluice::codings {
namespace {

constexpr ByteCount kBombSize = kGiB;
constexpr ByteCount kBudget = 4 * kMiB;

// gzip may be several members, so a small one many times is as large as one large one.
std::string gzip_bomb() {
  const std::string member = encode_all(std::string(8 * kMiB, '\0'), {Coding::kGzip}).value();
  std::string bomb;
  for (ByteCount size = 0; size < kBombSize; size += 8 * kMiB) bomb += member;
  return bomb;
}

std::string zstd_bomb() {
  const std::string frame = encode_all(std::string(8 * kMiB, '\0'), {Coding::kZstd}).value();
  std::string bomb;
  for (ByteCount size = 0; size < kBombSize; size += 8 * kMiB) bomb += frame;
  return bomb;
}

std::string brotli_bomb() {
  BrotliEncoderState* state = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, 1);
  const std::string zeros(8 * kMiB, '\0');
  std::string bomb(kMiB, '\0');
  std::size_t room = bomb.size();
  auto* out = reinterpret_cast<std::uint8_t*>(bomb.data());
  for (ByteCount size = 0; size < kBombSize; size += zeros.size()) {
    std::size_t left = zeros.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(zeros.data());
    const bool last = size + zeros.size() >= kBombSize;
    while (left > 0 || (last && BrotliEncoderIsFinished(state) == BROTLI_FALSE)) {
      const auto operation = last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS;
      if (BrotliEncoderCompressStream(state, operation, &left, &in, &room, &out, nullptr) == BROTLI_FALSE) break;
    }
  }
  BrotliEncoderDestroyInstance(state);
  bomb.resize(bomb.size() - room);
  return bomb;
}

void expect_end_at_budget(const std::string& bomb, std::string_view codings, ByteCount expected) {
  const Decoded decoded = decode_all(bomb, codings, kBudget);
  EXPECT_FALSE(decoded.complete) << codings;
  EXPECT_FALSE(decoded.problem.empty()) << codings;
  EXPECT_EQ(decoded.text.size(), expected) << codings;
  EXPECT_LE(decoded.text.capacity(), 2 * kBudget) << codings;
  EXPECT_EQ(decoded.text.find_first_not_of('\0'), std::string::npos) << codings;
}

TEST(Bomb, InGzipEndsAtTheBudget) {
  const std::string bomb = gzip_bomb();
  EXPECT_LT(bomb.size(), 2 * kMiB);
  expect_end_at_budget(bomb, "gzip", kBudget);
}

TEST(Bomb, InZstdEndsAtTheBudget) { expect_end_at_budget(zstd_bomb(), "zstd", kBudget); }

TEST(Bomb, InBrotliEndsAtTheBudget) {
  const std::string bomb = brotli_bomb();
  EXPECT_LT(bomb.size(), kMiB);
  expect_end_at_budget(bomb, "br", kBudget);
}

TEST(Bomb, InGzipOfGzipEndsAtTheBudget) {
  const std::string bomb = encode_all(gzip_bomb(), {Coding::kGzip}).value();
  EXPECT_LT(bomb.size(), 20 * kKiB);
  expect_end_at_budget(bomb, "gzip, gzip", kBudget);
}

TEST(Bomb, InFourCodingsEndsAtTheBudget) {
  const std::string bomb = encode_all(gzip_bomb(), {Coding::kBrotli, Coding::kZstd, Coding::kGzip}).value();
  expect_end_at_budget(bomb, "gzip, br, zstd, gzip", kBudget);
}

TEST(Bomb, EndsWhereAnInnerStagePassesTheBudget) {
  // The outer gzip makes 16 MiB of br, of which no more than the budget is looked at.
  std::string inner = encode_all("small", {Coding::kBrotli}).value();
  inner.resize(16 * kMiB, '\0');
  const Decoded decoded = decode_all(encode_all(inner, {Coding::kGzip}).value(), "br, gzip", kBudget);
  EXPECT_EQ(decoded.text, "small");
  EXPECT_FALSE(decoded.complete);
}

TEST(Bomb, IsGivenInSmallPiecesAndEndsWhereNoMoreIsWanted) {
  const std::string bomb = encode_all(gzip_bomb(), {Coding::kGzip}).value();
  std::size_t pieces = 0, largest = 0;
  const auto decoder = make_decoder({Coding::kGzip, Coding::kGzip}, kBombSize);
  const Status ended = decoder->decode(bomb, [&](Bytes piece) -> Status {
    largest = std::max(largest, piece.size());
    if (++pieces < 10) return {};
    return fail(Code::kCancelled, "there is enough");
  });
  EXPECT_EQ(ended.error().code, Code::kCancelled);
  EXPECT_EQ(pieces, 10u);
  EXPECT_LE(largest, kStageBuffer);
}

TEST(Bomb, WindowsBeyondEightMebibytesAreRefused) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string coded(kKiB, '\0');
  ZSTD_inBuffer in{"text", 4, 0};
  ZSTD_outBuffer out{coded.data(), coded.size(), 0};
  while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0) {
  }
  ZSTD_freeCCtx(context);
  coded.resize(out.pos);
  const auto decoder = make_decoder({Coding::kZstd}, kBudget);
  std::string text;
  EXPECT_EQ(decoder->decode(coded, text).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace sluice::codings
