#include "websocket/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

namespace sluice::websocket {
namespace {

// §7.2.1: the end of every flushed message, which does not travel.
constexpr Bytes kTail("\x00\x00\xff\xff", 4);
constexpr std::size_t kStep = 16 * 1024;  // inflated at once; what the budget is checked by
constexpr int kMostBits = 15;
// Each costs a copy of the window, for two octets of payload. Encoders make one for a message, or for a fragment.
constexpr std::size_t kMostFinalBlocks = 1'000;

z_const Bytef* zlib_in(Bytes octets) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));  // zlib only reads it
}

}  // namespace

// --- inflating ---

struct Inflater::Stream {
  z_stream z{};
  bool ended = false;            // after a final block: what follows is a new stream over the same window (§7.2.3.4)
  std::size_t final_blocks = 0;  // of this message

  // The whole window, whatever was agreed: a peer that says more than it may is not read otherwise by its partner.
  Stream() {
    if (::inflateInit2(&z, -kMostBits) != Z_OK) throw std::bad_alloc();
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { ::inflateEnd(&z); }

  void begin_anew() {
    std::array<Bytef, 1u << kMostBits> window;
    uInt length = 0;
    ::inflateGetDictionary(&z, window.data(), &length);
    ::inflateReset(&z);
    if (length > 0) ::inflateSetDictionary(&z, window.data(), length);
    ended = false;
  }
};

Inflater::Inflater(Context context) : context_(context) {}
Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;
Inflater::~Inflater() = default;

void Inflater::begin(std::string* out, ByteCount budget) {
  out_ = out;
  left_ = budget;
  any_ = false;
  if (stream_) stream_->final_blocks = 0;
  if (context_ == Context::kTakenOver) return;
  lost_.reset();
  if (stream_) {
    ::inflateReset(&stream_->z);
    stream_->ended = false;
  }
}

Status Inflater::feed(Bytes payload) {
  if (lost_) return fail(*lost_);
  if (payload.empty()) return {};
  if (!stream_) stream_ = std::make_unique<Stream>();
  any_ = true;
  return run(payload);
}

Status Inflater::end() {
  if (lost_) return fail(*lost_);
  // Nothing at all stands for an empty message too, though §7.2.3.6 wants an octet; and a final block that is not
  // followed by anything ends the message just as well.
  if (!any_ || stream_->ended) return {};
  return run(kTail);
}

Status Inflater::lose(Code code, std::string message) {
  lost_ = Error{code, std::move(message)};
  return fail(*lost_);
}

Status Inflater::run(Bytes octets) {
  z_stream& z = stream_->z;
  std::array<char, kStep> buffer;
  for (;;) {
    if (stream_->ended) {
      if (octets.empty()) return {};
      if (++stream_->final_blocks > kMostFinalBlocks) {
        return lose(Code::kTooLarge, "the message has more final blocks than the limit");
      }
      stream_->begin_anew();
    }
    const std::size_t offered = std::min<std::size_t>(octets.size(), std::numeric_limits<uInt>::max());
    // One octet more than the budget allows, so that its end is noticed.
    const std::size_t room = left_ < buffer.size() ? static_cast<std::size_t>(left_) + 1 : buffer.size();
    z.next_in = zlib_in(octets);
    z.avail_in = static_cast<uInt>(offered);
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&z, Z_SYNC_FLUSH);
    octets.remove_prefix(offered - z.avail_in);
    const std::size_t made = room - z.avail_out;
    const std::size_t fitting = static_cast<std::size_t>(std::min<ByteCount>(made, left_));
    if (out_) out_->append(buffer.data(), fitting);
    left_ -= fitting;
    if (made > fitting) return lose(Code::kTooLarge, "the message says more than the limit");
    stream_->ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_BUF_ERROR) return {};  // nothing left to do
    if (result != Z_OK && !stream_->ended) return lose(Code::kInvalid, "RFC 7692 §7.2.2: not deflate data");
    if (octets.empty() && z.avail_out != 0) return {};
  }
}

// --- deflating ---

struct Deflater::Stream {
  z_stream z{};
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { ::deflateEnd(&z); }
};

Deflater::Deflater(Context context, std::unique_ptr<Stream> stream) : context_(context), stream_(std::move(stream)) {}
Deflater::Deflater(Deflater&&) noexcept = default;
Deflater& Deflater::operator=(Deflater&&) noexcept = default;
Deflater::~Deflater() = default;

Result<Deflater> Deflater::create(Context context, int window_bits) {
  if (window_bits < 8 || window_bits > kMostBits) {
    return fail(Code::kInvalid, "RFC 7692 §7.1.2: a window has 8 to 15 bits");
  }
  // zlib has no raw window of 8 bits. Without references back any window will do.
  const int strategy = window_bits == 8 ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY;
  constexpr int kMemoryLevel = 8;  // zlib's default
  auto stream = std::make_unique<Stream>();
  if (::deflateInit2(&stream->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -std::max(window_bits, 9), kMemoryLevel,
                     strategy) != Z_OK) {
    throw std::bad_alloc();
  }
  return Deflater(context, std::move(stream));
}

void Deflater::deflate(Bytes content, std::string& out) {
  if (content.empty()) {
    out.push_back('\0');  // §7.2.3.6
    return;
  }
  z_stream& z = stream_->z;
  std::array<char, kStep> buffer;
  const std::size_t begin = out.size();
  for (bool more = true; more;) {
    const std::size_t offered = std::min<std::size_t>(content.size(), std::numeric_limits<uInt>::max());
    z.next_in = zlib_in(content);
    z.avail_in = static_cast<uInt>(offered);
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(buffer.size());
    ::deflate(&z, offered == content.size() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    content.remove_prefix(offered - z.avail_in);
    out.append(buffer.data(), buffer.size() - z.avail_out);
    more = !content.empty() || z.avail_out == 0;
  }
  if (Bytes(out).substr(begin).ends_with(kTail)) out.resize(out.size() - kTail.size());
  if (context_ == Context::kFresh) ::deflateReset(&z);
}

}  // namespace sluice::websocket
