// zstd (RFC 8878; window as RFC 9659 asks).
#include <zstd.h>

#include <algorithm>
#include <new>

#include "codings/stage.h"

namespace sluice::codings {
namespace {

constexpr int kWindowLog = 23;  // RFC 9659 §3: at most 8 MiB in the content coding

class ZstdStage final : public MemberStage {
 public:
  ZstdStage(Sink& next, ByteCount budget) : MemberStage(next, budget), context_(::ZSTD_createDCtx()) {
    if (!context_) throw std::bad_alloc();
    (void)::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog);
  }

 private:
  // RFC 8878 §3.1: a frame, or a skippable frame (sixteen magic numbers). The stream is handed over in two calls, the
  // magic number apart: in one call the library decodes small frames in one go and gives nothing of a damaged one.
  Match match_start(Bytes octets) const override {
    constexpr Bytes kFrame = "\x28\xb5\x2f\xfd";
    constexpr Bytes kSkippable = "\x2a\x4d\x18";
    const bool skippable =
        (static_cast<unsigned char>(octets[0]) & 0xf0) == 0x50 && kSkippable.starts_with(octets.substr(1));
    if (!skippable && !kFrame.starts_with(octets)) return Match::kNo;
    return octets.size() == kFrame.size() ? Match::kYes : Match::kPartly;
  }
  void restart() override { (void)::ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only); }
  std::string_view name() const override { return "zstd"; }

  Result<Step> run(Bytes octets) override {
    ZSTD_inBuffer in{octets.data(), std::min(octets.size(), kFeedSlice), 0};
    for (;;) {
      ZSTD_outBuffer out{buffer(), kStageBuffer, 0};
      const std::size_t result = ::ZSTD_decompressStream(context_.get(), &out, &in);
      SLUICE_CHECK(emit(out.pos));
      if (::ZSTD_isError(result) != 0) return damaged();
      if (result == 0) return Step{in.pos, true};
      if (in.pos == in.size && out.pos < out.size) return Step{in.pos, false};
    }
  }

  struct Destroyer {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Destroyer> context_;
};

}  // namespace

std::unique_ptr<Stage> make_zstd_stage(Sink& next, ByteCount budget) {
  return std::make_unique<ZstdStage>(next, budget);
}

Result<std::string> encode_zstd(Bytes octets) {
  std::string out(::ZSTD_compressBound(octets.size()), '\0');
  const std::size_t size = ::ZSTD_compress(out.data(), out.size(), octets.data(), octets.size(), ZSTD_CLEVEL_DEFAULT);
  if (::ZSTD_isError(size) != 0) return fail(Code::kInternal, "zstd did not finish");
  out.resize(size);
  return out;
}

}  // namespace sluice::codings
