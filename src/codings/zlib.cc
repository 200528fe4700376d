// gzip (RFC 1952) and deflate (RFC 1950 or, from servers that misread RFC 9110, RFC 1951).
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "codings/stage.h"

namespace sluice::codings {
namespace {

class Inflater {
 public:
  explicit Inflater(int window_bits) {
    if (::inflateInit2(&stream_, window_bits) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  void restart() { ::inflateReset(&stream_); }

  enum class Outcome { kMore, kEnded, kDamaged };
  struct Step {
    std::size_t consumed;
    std::size_t produced;
    Outcome outcome;
    bool again;  // the buffer was filled: there may be more
  };
  Step run(Bytes octets, char* out, std::size_t room) {
    const std::size_t offered = std::min<std::size_t>(octets.size(), std::numeric_limits<uInt>::max());
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));  // zlib only reads it
    stream_.avail_in = static_cast<uInt>(offered);
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    Step step{offered - stream_.avail_in, room - stream_.avail_out, Outcome::kMore, stream_.avail_out == 0};
    if (result == Z_STREAM_END) {
      step.outcome = Outcome::kEnded;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {  // Z_NEED_DICT too: HTTP has no dictionaries
      step.outcome = Outcome::kDamaged;
    }
    return step;
  }

 private:
  z_stream stream_{};
};

class GzipStage final : public MemberStage {
 public:
  using MemberStage::MemberStage;

 private:
  Match match_start(Bytes octets) const override {
    constexpr Bytes kMagic = "\x1f\x8b";
    if (octets == kMagic) return Match::kYes;
    return kMagic.starts_with(octets) ? Match::kPartly : Match::kNo;
  }
  void restart() override { inflater_.restart(); }
  std::string_view name() const override { return "gzip"; }

  Result<Step> run(Bytes octets) override {
    Step done;
    for (;;) {
      const auto step = inflater_.run(octets.substr(done.consumed), buffer(), kStageBuffer);
      done.consumed += step.consumed;
      SLUICE_CHECK(emit(step.produced));
      if (step.outcome == Inflater::Outcome::kDamaged) return damaged();
      done.ended = step.outcome == Inflater::Outcome::kEnded;
      if (done.ended || (done.consumed == octets.size() && !step.again)) return done;
    }
  }

  Inflater inflater_{kGzipWindow};
};

class DeflateStage final : public Stage {
 public:
  using Stage::Stage;
  bool ended() const override { return ended_; }

  Status accept(Bytes octets) override {
    if (!inflater_) {
      while (!octets.empty() && head_.size() < 2) {
        head_.push_back(octets.front());
        octets.remove_prefix(1);
      }
      if (head_.size() < 2) return {};
      inflater_ = std::make_unique<Inflater>(is_zlib_header(head_) ? kZlibWindow : kRawWindow);
      SLUICE_CHECK(run(head_));
    }
    return run(octets);
  }

 private:
  // RFC 1950 §2.2: method 8, window at most 32 KiB, check bits. Raw deflate that looks so would begin with a stored
  // block whose padding is not zero, which no encoder writes.
  static bool is_zlib_header(Bytes head) {
    const unsigned method = static_cast<unsigned char>(head[0]);
    const unsigned flags = static_cast<unsigned char>(head[1]);
    return (method & 15) == 8 && method >> 4 <= 7 && (method * 256 + flags) % 31 == 0;
  }

  Status run(Bytes octets) {
    while (!ended_) {
      const auto step = inflater_->run(octets, buffer(), kStageBuffer);
      octets.remove_prefix(step.consumed);
      SLUICE_CHECK(emit(step.produced));
      if (step.outcome == Inflater::Outcome::kDamaged) return fail(Code::kInvalid, "the deflate data is damaged");
      ended_ = step.outcome == Inflater::Outcome::kEnded;
      if (octets.empty() && !step.again) break;
    }
    return {};
  }

  std::string head_;
  std::unique_ptr<Inflater> inflater_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Stage> make_gzip_stage(Sink& next, ByteCount budget) {
  return std::make_unique<GzipStage>(next, budget);
}
std::unique_ptr<Stage> make_deflate_stage(Sink& next, ByteCount budget) {
  return std::make_unique<DeflateStage>(next, budget);
}

Result<std::string> encode_zlib(Bytes octets, int window_bits) {
  constexpr int kMemoryLevel = 8;  // zlib's default
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, [](z_stream* s) { return ::deflateEnd(s); });
  if (octets.size() > std::numeric_limits<uInt>::max() / 2) return fail(Code::kTooLarge, "too large to code again");
  std::string out(::deflateBound(&stream, octets.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(octets.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) return fail(Code::kInternal, "zlib did not finish");
  out.resize(stream.total_out);
  return out;
}

}  // namespace sluice::codings
