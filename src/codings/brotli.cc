// br (RFC 7932). Windows are at most 16 MiB: the "large window" extension stays off.
#include <brotli/decode.h>
#include <brotli/encode.h>

#include <new>

#include "codings/stage.h"

namespace sluice::codings {
namespace {

class BrotliStage final : public Stage {
 public:
  BrotliStage(Sink& next, ByteCount budget)
      : Stage(next, budget), state_(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!state_) throw std::bad_alloc();
  }
  bool ended() const override { return ended_; }

  Status accept(Bytes octets) override {
    while (!ended_ && !octets.empty()) {
      const Bytes slice = octets.substr(0, kFeedSlice);
      octets.remove_prefix(slice.size());
      SLUICE_CHECK(run(slice));
    }
    return {};
  }

 private:
  Status run(Bytes octets) {
    std::size_t in_left = octets.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(octets.data());
    while (!ended_) {
      std::size_t room = kStageBuffer;
      auto* out = reinterpret_cast<std::uint8_t*>(buffer());
      const auto result = ::BrotliDecoderDecompressStream(state_.get(), &in_left, &in, &room, &out, nullptr);
      SLUICE_CHECK(emit(kStageBuffer - room));
      if (result == BROTLI_DECODER_RESULT_ERROR) return fail(Code::kInvalid, "the br data is damaged");
      if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) break;
      ended_ = result == BROTLI_DECODER_RESULT_SUCCESS;
    }
    return {};
  }

  struct Destroyer {
    void operator()(BrotliDecoderState* state) const { ::BrotliDecoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliDecoderState, Destroyer> state_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Stage> make_brotli_stage(Sink& next, ByteCount budget) {
  return std::make_unique<BrotliStage>(next, budget);
}

Result<std::string> encode_brotli(Bytes octets) {
  constexpr int kQuality = 5;  // the library's default, 11, takes a second for a megabyte
  std::size_t size = ::BrotliEncoderMaxCompressedSize(octets.size());
  if (size == 0) return fail(Code::kTooLarge, "too large to code again");
  std::string out(size, '\0');
  if (::BrotliEncoderCompress(kQuality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, octets.size(),
                              reinterpret_cast<const std::uint8_t*>(octets.data()), &size,
                              reinterpret_cast<std::uint8_t*>(out.data())) != BROTLI_TRUE) {
    return fail(Code::kInternal, "brotli did not finish");
  }
  out.resize(size);
  return out;
}

}  // namespace sluice::codings
