// Private to codings: one coding undone, as a link of a chain. A stage works through a fixed buffer and hands each
// filled one on at once, so a chain's memory does not grow with what passes through it.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::codings {

inline constexpr std::size_t kStageBuffer = 32 * kKiB;  // a deflate window; larger ones are no faster
// brotli and zstd give nothing of a call that meets damage: feed them so much at once, and little is lost.
inline constexpr std::size_t kFeedSlice = 4 * kKiB;

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status accept(Bytes octets) = 0;
};

class Stage : public Sink {
 public:
  // `budget`: octets that this stage may hand on in all.
  Stage(Sink& next, ByteCount budget) : next_(next), budget_(budget), buffer_(kStageBuffer) {}
  // The coded stream is whole.
  virtual bool ended() const = 0;

 protected:
  char* buffer() { return buffer_.data(); }
  // Hands on the first `count` octets of the buffer; kTooLarge at the budget, after what fits.
  Status emit(std::size_t count) {
    const bool fits = count <= budget_ - used_;
    const auto part = fits ? count : static_cast<std::size_t>(budget_ - used_);
    used_ += part;
    if (part > 0) SLUICE_CHECK(next_.accept(Bytes(buffer_.data(), part)));
    if (!fits) return fail(Code::kTooLarge, fmt::format("decodes to more than {} bytes", budget_));
    return {};
  }

 private:
  Sink& next_;
  ByteCount budget_;
  ByteCount used_ = 0;
  std::vector<char> buffer_;
};

// A coding whose streams may follow each other (gzip members, zstd frames). Finds where the next one begins; what is
// no stream behind a whole one is ignored, as every client does.
class MemberStage : public Stage {
 public:
  using Stage::Stage;
  bool ended() const final { return whole_ > 0 && state_ != State::kInside; }
  Status accept(Bytes octets) final;

 protected:
  enum class Match { kNo, kPartly, kYes };
  // Whether a stream may begin so.
  virtual Match match_start(Bytes octets) const = 0;
  // Readies the codec for one more stream.
  virtual void restart() = 0;
  struct Step {
    std::size_t consumed = 0;
    bool ended = false;
  };
  // Decodes some of the octets, at least one; all that they give is emitted.
  virtual Result<Step> run(Bytes octets) = 0;
  virtual std::string_view name() const = 0;
  tl::unexpected<Error> damaged() const { return fail(Code::kInvalid, fmt::format("the {} data is damaged", name())); }

 private:
  enum class State { kBetween, kInside, kAfter };
  Status decode(Bytes& octets);

  State state_ = State::kBetween;
  std::string start_;      // what may become the start of a stream
  std::size_t whole_ = 0;  // streams that ended
};

std::unique_ptr<Stage> make_gzip_stage(Sink& next, ByteCount budget);
std::unique_ptr<Stage> make_deflate_stage(Sink& next, ByteCount budget);
std::unique_ptr<Stage> make_brotli_stage(Sink& next, ByteCount budget);
std::unique_ptr<Stage> make_zstd_stage(Sink& next, ByteCount budget);

// The encoders, at levels for traffic: an agent waits, and the next hop is near.
Result<std::string> encode_zlib(Bytes octets, int window_bits);
Result<std::string> encode_brotli(Bytes octets);
Result<std::string> encode_zstd(Bytes octets);

inline constexpr int kZlibWindow = 15;                // with RFC 1950 header
inline constexpr int kGzipWindow = kZlibWindow + 16;  // with RFC 1952 header
inline constexpr int kRawWindow = -15;                // RFC 1951 alone

}  // namespace sluice::codings
